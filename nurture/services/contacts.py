"""Learners from a file: who they are, where they live, which chat is theirs."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime

from django.db import transaction

from attendance import services as attendance
from attendance.domain.identity import email_key
from attendance.domain.imports import Problem, Row, batches, csv_rows
from attendance.models import Enrolment, Learner
from config.console.zone_names import known_zones
from delivery import services as delivery
from delivery.models import Chat
from nurture.models import Contact
from nurture.services.replanning import plan_anew

REQUIRED = ("email", "name")
OPTIONAL = ("timezone", "telegram_chat_id", "courses")
_MAX_BIGINT = 2**63


class ImportRefusedError(ValueError):
    """The file has mistakes; nothing was written. `problems`: one line of words for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, kw_only=True)
class Imported:
    """How many learners were made, changed, or stood there already just so."""

    created: int
    updated: int
    unchanged: int
    erased: int = 0  # left out: somebody with this address was erased

    def as_dict(self) -> dict[str, int]:
        """The counts by name; who was left out only where somebody was."""
        counts = asdict(self)
        return counts if self.erased else {k: n for k, n in counts.items() if k != "erased"}


@dataclass(frozen=True, kw_only=True)
class LearnerRow:
    """One learner of a file; whatever is empty keeps what is known."""

    line: int
    email: str
    name: str
    time_zone: str
    chat_id: int | None
    courses: tuple[str, ...]

    @property
    def key(self) -> str:
        """The normal form of the address."""
        return email_key(self.email)


@dataclass
class _Seen:
    """What must be unique in a file, and the line that had it first."""

    emails: dict[str, int] = field(default_factory=dict)
    chats: dict[int, int] = field(default_factory=dict)


@transaction.atomic
def import_learners(*, content: str, now: datetime, dry_run: bool = False) -> Imported:
    """Make or update every learner of a CSV, or none: raises ImportRefusedError with all mistakes.

    Columns: email, name, and if need be timezone (IANA), telegram_chat_id, courses (calendar ids
    with `;` between). A chat id counts as linked, started and consented, except that a consent
    once withdrawn stays withdrawn. An empty zone or chat id keeps what is known. Running it again
    changes nothing; `dry_run` does everything and takes it back.
    """
    lines = io.StringIO(content.removeprefix("\ufeff"), newline="")
    rows = check_learners(rows=csv_rows(lines, required=REQUIRED, optional=OPTIONAL))
    done = write_learners(rows=rows, now=now)
    if dry_run:
        transaction.set_rollback(True)
    return done


def check_learners(*, rows: Iterable[Row | Problem]) -> list[LearnerRow]:
    """Read rows that come from elsewhere; raises ImportRefusedError with every mistake."""
    problems: list[str] = []
    found: list[LearnerRow] = []
    seen = _Seen()
    for row in rows:
        if isinstance(row, Problem):
            problems.append(str(row))
            continue
        learner = _row(row, seen)
        if isinstance(learner, LearnerRow):
            found.append(learner)
        else:
            problems += learner
    if problems:
        raise ImportRefusedError(problems)
    return found


def _row(row: Row, seen: _Seen) -> LearnerRow | list[str]:
    """The learner of this row, or what is wrong with it."""
    cell = {name: row.cell(name) for name in row.cells}
    if problems := list(_problems(cell, seen, row.number)):
        return [str(Problem(number=row.number, what=what)) for what in problems]
    chat = cell.get("telegram_chat_id", "")
    courses = (part.strip() for part in cell.get("courses", "").split(";"))
    return LearnerRow(
        line=row.number,
        email=cell["email"],
        name=cell.get("name", ""),
        time_zone=cell.get("timezone", ""),
        chat_id=int(chat) if chat else None,
        courses=tuple(dict.fromkeys(course for course in courses if course)),
    )


def _problems(cell: Mapping[str, str], seen: _Seen, line: int) -> Iterator[str]:
    email, zone = cell.get("email", ""), cell.get("timezone", "")
    key = email_key(email)
    if not email:
        yield "the e-mail address is missing"
    elif not key or len(email) > 320:
        yield f"{email!r} is not an e-mail address"
    elif first := seen.emails.get(key):
        yield f"{email!r} is the same address as in line {first}"
    seen.emails.setdefault(key, line)
    if not cell.get("name"):
        yield "the name is missing"
    elif len(cell["name"]) > 200:
        yield "the name is longer than 200 characters"
    if zone and zone not in known_zones():
        yield f"unknown time zone {zone!r}"
    yield from _storage_problems(cell)
    yield from _chat_problems(cell.get("telegram_chat_id", ""), seen, line)


def _storage_problems(cell: Mapping[str, str]) -> Iterator[str]:
    if any(len(course.strip()) > 320 for course in cell.get("courses", "").split(";")):
        yield "a calendar id in courses is longer than 320 characters; put ; between them"
    if any("\0" in text for text in cell.values()):
        yield "it holds a zero character, which cannot be stored"


def _chat_problems(text: str, seen: _Seen, line: int) -> Iterator[str]:
    if not text:
        return
    try:
        chat_id = int(text)
    except ValueError:
        yield f"the telegram_chat_id {text!r} is not a whole number"
        return
    if not chat_id or not -_MAX_BIGINT <= chat_id < _MAX_BIGINT:
        yield f"the telegram_chat_id {text!r} is out of range"
    elif first := seen.chats.get(chat_id):
        yield f"the telegram_chat_id {chat_id} is also in line {first}"
    seen.chats.setdefault(chat_id, line)


def _refuse_taken_chats(rows: Sequence[LearnerRow]) -> None:
    """A chat of another learner, or another chat of this learner, is not moved by a file."""
    # By hashes: those stand also where ids were lost with their key, and this file has them.
    wanted = {Chat.sealed_id(row.chat_id)[1]: row for row in rows if row.chat_id is not None}
    problems = [
        f"line {wanted[chat].line}: the chat {wanted[chat].chat_id} is linked to another learner"
        " already"
        for chat, key in Contact.objects.filter(chat__telegram_key__in=wanted).values_list(
            "chat__telegram_key", "learner__email_key"
        )
        if wanted[chat].key != key
    ]
    by_key = {row.key: (row, chat) for chat, row in wanted.items()}
    problems += [
        f"line {by_key[key][0].line}: this learner is linked to another chat already"
        for key, chat in Contact.objects.filter(
            learner__email_key__in=by_key, chat__isnull=False
        ).values_list("learner__email_key", "chat__telegram_key")
        if by_key[key][1] != chat
    ]
    if problems:
        raise ImportRefusedError(sorted(problems, key=lambda text: int(text.split()[1][:-1])))


@transaction.atomic
def write_learners(*, rows: Sequence[LearnerRow], now: datetime) -> Imported:
    """Make or update these learners, in a constant number of statements for each thousand.

    Who was erased is left out and counted. Raises ImportRefusedError where a chat is another
    learner's. Safe to run twice.
    """
    gone = attendance.erased_among(marks=[f"email:{row.key}" for row in rows])
    given, rows = len(rows), [row for row in rows if f"email:{row.key}" not in gone]
    counts = {"created": 0, "updated": 0, "unchanged": 0}
    _refuse_taken_chats(rows)
    for batch in batches(rows):
        before = _pictures(batch)
        _write(batch, now)
        for key, after in _pictures(batch).items():
            was = before.get(key)
            counts["created" if was is None else "unchanged" if was == after else "updated"] += 1
    return Imported(**counts, erased=given - len(rows))


def _write(rows: Sequence[LearnerRow], now: datetime) -> None:
    learners = attendance.upsert_learners(
        people=[
            attendance.Person(email=row.email, name=row.name, calendar_ids=row.courses)
            for row in rows
        ],
        now=now,
    )
    chats = delivery.register_chats(
        telegram_ids=[row.chat_id for row in rows if row.chat_id is not None],
        source="import",
        now=now,
    )
    people = {learner.pk: learner for learner in learners.values()}
    Contact.objects.bulk_create(
        [Contact(learner=learner) for learner in people.values()], ignore_conflicts=True
    )
    contacts = {
        contact.learner_id: contact
        for contact in Contact.objects.select_for_update(no_key=True)
        .filter(learner__in=people)
        .order_by("pk")
    }
    changed, moved = [], []
    for row in rows:
        contact = contacts[learners[row.key].pk]
        zone = row.time_zone or contact.time_zone
        chat_id = contact.chat_id if row.chat_id is None else chats[row.chat_id].pk
        if contact.time_zone != zone:
            moved.append(contact.learner_id)
        if (contact.time_zone, contact.chat_id) != (zone, chat_id):
            contact.time_zone, contact.chat_id = zone, chat_id
            changed.append(contact)
    Contact.objects.bulk_update(changed, ["time_zone", "chat"])
    plan_anew(learners=moved, now=now)


def _pictures(rows: Sequence[LearnerRow]) -> dict[str, object]:
    """Everything an import can change about each learner there is, by normal form of address."""
    courses: dict[int, set[int]] = defaultdict(set)
    keys = [row.key for row in rows]
    for pk, course in Enrolment.objects.filter(learner__email_key__in=keys).values_list(
        "learner_id", "course_id"
    ):
        courses[pk].add(course)
    return {
        key: (email, name, zone, chat, courses[pk])
        for pk, key, email, name, zone, chat in Learner.objects.filter(
            email_key__in=keys
        ).values_list("pk", "email_key", "email", "name", "contact__time_zone", "contact__chat_id")
    }
