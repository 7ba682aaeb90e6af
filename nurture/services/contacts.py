"""Learners from a file: who they are, where they live, which chat is theirs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import available_timezones

from django.db import transaction

from attendance import services as attendance
from attendance.domain.identity import email_key
from attendance.models import Enrolment, Learner
from delivery import services as delivery
from delivery.models import Chat, Consent
from nurture.models import Contact

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


@dataclass(frozen=True, kw_only=True)
class _Row:
    line: int
    email: str
    name: str
    time_zone: str
    chat_id: int | None
    courses: tuple[str, ...]

    @property
    def key(self) -> str:
        return email_key(self.email)


@dataclass
class _Seen:
    """What must be unique in a file, and the line that had it first."""

    emails: dict[str, int] = field(default_factory=dict)
    chats: dict[int, int] = field(default_factory=dict)


@transaction.atomic
def import_learners(*, content: str, now: datetime) -> Imported:
    """Make or update every learner of a CSV, or none: raises ImportRefusedError with all mistakes.

    Columns: email, name, and if need be timezone (IANA), telegram_chat_id, courses (calendar ids
    with `;` between). A chat id counts as linked, started and consented, except that a consent
    once withdrawn stays withdrawn. An empty zone or chat id keeps what is known. Running it again
    changes nothing.
    """
    rows = _read(content)
    _refuse_taken_chats(rows)
    counts = {"created": 0, "updated": 0, "unchanged": 0}
    for row in rows:
        counts[_write(row, now)] += 1
    return Imported(**counts)


def _read(content: str) -> list[_Row]:
    reader = csv.reader(io.StringIO(content.removeprefix("\ufeff")), strict=True)
    problems: list[str] = []
    rows: list[_Row] = []
    seen = _Seen()
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        _check_header(names)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            row = _row(reader.line_num, names, cells, seen)
            if isinstance(row, _Row):
                rows.append(row)
            else:
                problems += row
    except csv.Error as error:
        problems.append(f"line {reader.line_num}: not readable as CSV ({error})")
    if problems:
        raise ImportRefusedError(problems)
    return rows


def _check_header(names: list[str]) -> None:
    problems = [f"line 1: the column {name} is missing" for name in REQUIRED if name not in names]
    known = {*REQUIRED, *OPTIONAL}
    problems += [f"line 1: unknown column {name!r}" for name in names if name not in known]
    twice = {name for name in names if names.count(name) > 1}
    problems += [f"line 1: the column {name} is there twice" for name in sorted(twice & known)]
    if problems:
        raise ImportRefusedError(problems)


def _row(line: int, names: list[str], cells: list[str], seen: _Seen) -> _Row | list[str]:
    """The row, or what is wrong with it."""
    if len(cells) > len(names):
        return [f"line {line}: {len(cells)} cells, but the header names {len(names)} columns"]
    cell = dict(zip(names, (text.strip() for text in cells), strict=False))
    problems = list(_problems(cell, seen, line))
    if problems:
        return [f"line {line}: {problem}" for problem in problems]
    chat = cell.get("telegram_chat_id", "")
    courses = (part.strip() for part in cell.get("courses", "").split(";"))
    return _Row(
        line=line,
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
    if len(cell.get("name", "")) > 200:
        yield "the name is longer than 200 characters"
    if zone and zone not in available_timezones():
        yield f"unknown time zone {zone!r}"
    yield from _chat_problems(cell.get("telegram_chat_id", ""), seen, line)


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


def _refuse_taken_chats(rows: list[_Row]) -> None:
    """A chat of another learner, or another chat of this learner, is not moved by a file."""
    wanted = {row.chat_id: row for row in rows if row.chat_id is not None}
    problems = [
        f"line {wanted[chat_id].line}: the chat {chat_id} is linked to another learner already"
        for chat_id, key in Contact.objects.filter(chat__telegram_id__in=wanted).values_list(
            "chat__telegram_id", "learner__email_key"
        )
        if wanted[chat_id].key != key
    ]
    by_key = {row.key: row for row in wanted.values()}
    problems += [
        f"line {by_key[key].line}: this learner is linked to another chat already"
        for key, chat_id in Contact.objects.filter(
            learner__email_key__in=by_key, chat__isnull=False
        ).values_list("learner__email_key", "chat__telegram_id")
        if by_key[key].chat_id != chat_id
    ]
    if problems:
        raise ImportRefusedError(sorted(problems, key=lambda text: int(text.split()[1][:-1])))


def _write(row: _Row, now: datetime) -> str:
    """Write one row; return what that was."""
    before = _picture(row.key)
    learner = attendance.upsert_learner(
        email=row.email, name=row.name, calendar_ids=row.courses, now=now
    )
    Contact.objects.get_or_create(learner=learner)
    contact = Contact.objects.select_for_update(no_key=True).get(learner=learner)
    contact.time_zone = row.time_zone or contact.time_zone
    if row.chat_id is not None:
        contact.chat = _consenting_chat(row.chat_id, now)
    contact.save(update_fields=["time_zone", "chat"])
    if before is None:
        return "created"
    return "unchanged" if before == _picture(row.key) else "updated"


def _consenting_chat(telegram_id: int, now: datetime) -> Chat:
    """The chat, with consent to the default category unless it ever said something itself."""
    known = Chat.objects.filter(telegram_id=telegram_id).first()
    said = known is not None and Consent.objects.filter(chat=known, category="").exists()
    chat = delivery.register_chat(telegram_id=telegram_id)
    if not said:
        delivery.set_consent(
            chat=chat,
            category=delivery.DEFAULT_CATEGORY,
            granted=True,
            source="import",
            now=now,
        )
    return chat


def _picture(key: str) -> object | None:
    """Everything an import can change about a learner; None where there is none."""
    learner = Learner.objects.filter(email_key=key).first()
    if learner is None:
        return None
    contact = Contact.objects.filter(learner=learner).values("time_zone", "chat_id").first()
    courses = set(Enrolment.objects.filter(learner=learner).values_list("course_id", flat=True))
    return (learner.email, learner.name, contact, courses)
