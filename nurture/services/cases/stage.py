"""A case as rows: who and what there was, and what was known at each moment. On shadowed tables."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from functools import lru_cache
from typing import Any

from django.db import connection
from waffle.models import Flag

from attendance.models import (
    AttendanceEvent,
    ClassSession,
    Course,
    Learner,
    Outcome,
    Pledge,
)
from delivery import services as delivery
from delivery.domain.states import ENDS, Status
from delivery.models import Chat, Delivery, InboundUpdate
from nurture import flags, sequence_files
from nurture.domain.sequence import Mode, SequenceSpec
from nurture.models import (
    Contact,
    ContactTag,
    Journey,
    JourneyStatus,
    Sequence,
    SequenceVersion,
    VersionStatus,
)
from nurture.services.versions import write_version

Row = Mapping[str, Any]
_CHAT = 1  # no person has this Telegram id
_CODE = "abc-defg-hij"
_UPDATE = "UPDATE nurture_deliveries SET {} WHERE id = %(id)s AND status = ANY(%(from)s)"
_ON_ITS_WAY = _UPDATE.format("status = 'sending', intent_at = %(at)s, lease_until = 'infinity'")
_END = _UPDATE.format(
    "status = %(status)s, reason = %(reason)s, settled_at = %(settled_at)s, sent_at = %(sent_at)s,"
    " lease_until = NULL"
)


def moment(text: str) -> datetime:
    """A moment of a case."""
    return datetime.fromisoformat(text)


def maybe(text: str | None) -> datetime | None:
    """A moment of a case, if there is one."""
    return moment(text) if text else None


@lru_cache(maxsize=20)
def _rules(text: str) -> SequenceSpec:
    """What a case's sequence says; the cases of one sequence say the same."""
    return sequence_files.read(text)


def known(text: str | None, now: datetime) -> bool:
    """Whether something that came at a moment had come by now."""
    return text is not None and moment(text) <= now


def is_over(message: Row, now: datetime) -> bool:
    """Whether a message had come to its end by now.

    With a simulated clock an end may be noted at a moment before it: that of the pass.
    """
    return any(known(message[when], now) for when in ("settled_at", "observed_at"))


@dataclass
class Stage:
    """The rows of a case."""

    case: Row
    learner: Learner = field(init=False)
    chat: Chat = field(init=False)
    _told: set[tuple[str, int]] = field(default_factory=set)  # facts, pledges, what was called off
    _journey: Journey | None = None
    _heard: int = 0
    _outcomes: tuple[Any, ...] = ()

    def furnish(self) -> None:
        """Who and what there is from the start."""
        self._people()
        self._calendar()
        self._rules()

    def _people(self) -> None:
        who, contact = self.case["learner"], self.case["contact"]
        address = f"learner-{who['id']}@case.invalid"
        self.learner = Learner.objects.create(
            pk=who["id"], email=address, email_key=address, created_at=self._began(),
            name=" ".join(["First"] * who["first"] + ["Last"] * who["last"]),
        )  # fmt: skip
        self.chat = delivery.register_chat(telegram_id=_CHAT)
        opens, closes = contact["quiet"] or (None, None)
        row = Contact.objects.create(
            learner=self.learner, chat=self.chat, time_zone=contact["time_zone"],
            language=contact["language"], quiet_opens=opens and time.fromisoformat(opens),
            quiet_closes=closes and time.fromisoformat(closes),
        )  # fmt: skip
        ContactTag.objects.bulk_create(ContactTag(contact=row, name=n) for n in contact["tags"])

    def _began(self) -> datetime:
        return moment(self.case["journey"]["started_at"])

    def _calendar(self) -> None:
        Course.objects.bulk_create(
            Course(
                pk=row["id"], calendar_id=row["calendar"],
                time_zone=row["time_zone"] or self.case["zone"],
                title="Course" if row["titled"] else "",
            )
            for row in self.case["courses"]
        )  # fmt: skip
        ClassSession.objects.bulk_create(
            ClassSession(
                pk=row["id"], course_id=row["course"], event_id=f"class-{row['id']}",
                starts_at=moment(row["starts_at"]), ends_at=moment(row["ends_at"]),
                title="Class" if row["titled"] else "", meeting_code=_CODE if row["code"] else "",
                meet_url=f"https://meet.google.com/{_CODE}" if row["url"] else "",
                changed_at=self._began(),
            )
            for row in self.case["classes"]
        )  # fmt: skip

    def _rules(self) -> None:
        text = self.case["sequence"]
        spec = _rules(text)
        journey = self.case["journey"]
        mode = Mode.DRY_RUN if journey["dry_run"] else Mode.LIVE
        sequence = Sequence.objects.create(slug=spec.slug, name=spec.name, mode=mode)
        checksum = hashlib.sha256(f"case:{text}".encode()).hexdigest()
        version = write_version(
            sequence, spec, canonical=text, checksum=checksum, now=self._began(), by=None
        )
        SequenceVersion.objects.update(
            status=VersionStatus.PUBLISHED, published_at=version.created_at
        )
        Sequence.objects.update(published_version=version)
        Flag.objects.create(name=flags.NURTURE, everyone=True)
        Journey.objects.bulk_create(self._earlier(sequence, version))

    def _earlier(self, sequence: Sequence, version: SequenceVersion) -> Iterable[Journey]:
        """As they stood when this one began; those that were open are held, so nothing moves."""
        slots = {False: 0, True: 0}
        for row in self.case["earlier"]:
            started, ended = moment(row["started_at"]), maybe(row["ended_at"])
            over = ended is not None and ended <= self._began()
            status = JourneyStatus.COMPLETED if over else JourneyStatus.PAUSED
            yield Journey(
                sequence=sequence, version=version, learner=self.learner, status=status,
                entry_key=row["entry_key"], round=row["round"], dry_run=row["dry_run"],
                slot=None if over else slots[row["dry_run"]], started_at=started,
                anchor_at=started, ended_at=ended if over else None,
                paused_at=None if over else started,
            )  # fmt: skip
            slots[row["dry_run"]] += not over

    def journey(self) -> Journey | None:
        """The journey of the case, once it has begun."""
        mine = self.case["journey"]
        if self._journey is None:
            self._journey = Journey.objects.filter(
                entry_key=mine["entry_key"], round=mine["round"], dry_run=mine["dry_run"],
                cause=mine["cause"],
            ).first()  # fmt: skip
        return self._journey

    def tell(self, now: datetime) -> None:
        """Bring in what was known by `now`."""
        self._tell_outcomes(now)
        self._tell_facts(now)
        self._hear(now)
        for row in self._new("pledges", "class", "answered_at", now):
            Pledge.objects.create(
                learner=self.learner, session_id=row["class"], state=row["state"],
                answered_at=moment(row["answered_at"]),
            )  # fmt: skip
        for row in self._new("classes", "id", "cancelled_at", now):
            ClassSession.objects.filter(pk=row["id"]).update(status="cancelled")

    def _new(self, part: str, key: str, came: str, now: datetime) -> list[Row]:
        """What of a part of the case came by now and was not told before."""
        rows = [row for row in self.case[part] if known(row[came], now)]
        new = [row for row in rows if (part, row[key]) not in self._told]
        self._told |= {(part, row[key]) for row in new}
        return new

    def _tell_outcomes(self, now: datetime) -> None:
        """The newest revision of each class that was concluded by now, and its effect."""
        rows = [row for row in self.case["outcomes"] if known(row["decided_at"], now)]
        newest = {row["class"]: row["id"] for row in sorted(rows, key=lambda r: r["revision"])}
        made = [self._outcome(row, row["id"] == newest[row["class"]], now) for row in rows]
        state = tuple((row.pk, row.is_current, row.effective) for row in made)
        if state == self._outcomes:
            return
        with connection.cursor() as cursor:  # facts name outcomes; Django would delete them, too
            cursor.execute("DELETE FROM attendance_outcome")
        Outcome.objects.bulk_create(made)
        self._outcomes = state

    def _outcome(self, row: Row, is_current: bool, now: datetime) -> Outcome:
        effective = known(row["effective_at"], now)
        return Outcome(
            pk=row["id"], learner=self.learner, session_id=row["class"], revision=row["revision"],
            outcome=row["outcome"], flags=row["flags"], present_seconds=row["present_seconds"],
            effective=effective, effective_at=maybe(row["effective_at"]) if effective else None,
            is_current=is_current, reason=row["reason"], decided_at=moment(row["decided_at"]),
        )  # fmt: skip

    def _tell_facts(self, now: datetime) -> None:
        AttendanceEvent.objects.bulk_create(
            AttendanceEvent(
                pk=row["id"], kind=row["kind"], learner=self.learner, session_id=row["class"],
                outcome_id=row["outcome"], key=f"case:{row['id']}", streak=row["streak"],
                occurred_at=moment(row["occurred_at"]), recorded_at=moment(row["recorded_at"]),
                expires_at=moment(row["expires_at"]),
            )
            for row in self._new("facts", "id", "recorded_at", now)
        )  # fmt: skip

    def _hear(self, now: datetime) -> None:
        said = [row for row in self.case["said"] if known(row["received_at"], now)]
        InboundUpdate.objects.bulk_create(
            InboundUpdate(
                update_id=number, chat_key=_CHAT, payload={},
                received_at=moment(row["received_at"]), handled_at=moment(row["received_at"]),
            )
            for number, row in enumerate(said[self._heard :], start=self._heard + 1)
        )  # fmt: skip
        self._heard = len(said)

    def end(self, now: datetime) -> int:
        """Let messages go on their way and come to their ends, as it was recorded.

        What the engine withdraws it withdraws here, too, at that very moment; only what is still
        there afterwards was withdrawn by somebody else. Returns how many changed.
        """
        journey = self.journey()
        if journey is None:
            return 0
        keys = {row["key"]: row for row in self.case["deliveries"]}
        prefix, changed = f"journey:{journey.pk}:", 0
        for owed in Delivery.objects.filter(dedupe_key__startswith=prefix, settled_at=None):
            row = keys.get(owed.dedupe_key.removeprefix(prefix))
            withdrawn = row is not None and row["status"] == Status.CANCELLED
            if row is not None and not (withdrawn and row["settled_at"] == now.isoformat()):
                changed += self._end(owed, row, now)
        return changed

    def _end(self, owed: Delivery, row: Row, now: datetime) -> int:
        values = {
            "id": owed.pk, "at": row["intent_at"], "status": row["status"], "reason": row["reason"],
            "settled_at": row["settled_at"], "sent_at": row["sent_at"],
            "from": ["pending", "leased", "sending"],
        }  # fmt: skip
        settled = is_over(row, now) and row["status"] in ENDS
        with connection.cursor() as cursor:
            if settled:
                cursor.execute(_END, values)
            elif known(row["intent_at"], now) and owed.status != Status.SENDING:
                cursor.execute(_ON_ITS_WAY, values)
            return max(int(cursor.rowcount), 0)
