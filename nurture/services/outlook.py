"""What a learner may ask: which classes come, what they will hear next, why they heard the last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from attendance import selectors as attendance
from attendance.domain.kinds import EventKind, Flag
from attendance.models import AttendanceEvent, ClassSession, Outcome
from delivery import selectors as delivery
from delivery.models import Chat, Delivery
from nurture.domain.reasons import Reason
from nurture.models import Contact, Decision, PledgeQuestion
from nurture.services.conversation import zone_for

#: How many classes a schedule shows.
CLASSES = 5


@dataclass(frozen=True, kw_only=True)
class Upcoming:
    """A class that a learner is expected in."""

    session: ClassSession
    zone: ZoneInfo  # the learner's, for that class
    pledged: bool  # they said that they come


@dataclass(frozen=True, kw_only=True)
class Cause:
    """What led to a message: a fact about a class."""

    fact: str
    session: ClassSession
    zone: ZoneInfo
    taken_back: bool  # it turned out not to be so


def schedule(*, contact: Contact, now: datetime, most: int = CLASSES) -> list[Upcoming]:
    """The next classes of a learner's courses, soonest first."""
    rows = attendance.upcoming(learner_id=contact.learner_id, after=now, most=most)
    coming = attendance.pledged(
        learner_ids=[contact.learner_id], session_ids=[row.pk for row in rows]
    )
    return [
        Upcoming(
            session=row,
            zone=zone_for(contact=contact, session=row),
            pledged=(contact.learner_id, row.pk) in coming,
        )
        for row in rows
    ]


def next_message_at(*, chat: Chat) -> datetime | None:
    """When the next message of a sequence is planned for a chat, at the earliest (UTC).

    While the chat is snoozed, not before that is over. None where nothing is owed.
    """
    row = delivery.next_owed(chat=chat)
    if row is None:
        return None
    return max(row.run_at, chat.snoozed_until) if chat.snoozed_until else row.run_at


def next_message_waits(*, chat: Chat) -> bool:
    """Whether the next message is held back, by staff or by trouble, however due it is."""
    row = delivery.next_owed(chat=chat)
    return row is not None and delivery.is_held(row)


def why_last(*, contact: Contact, chat: Chat) -> Cause | None:
    """What caused the last message of a sequence that a chat got; None where none had a cause."""
    row = delivery.last_sent(chat=chat)
    decision = (
        Decision.objects.filter(delivery=row, journey__learner=contact.learner_id)
        .select_related("journey__cause__session__course", "journey__cause__outcome")
        .order_by("-id")
        .first()
    )
    journey = decision.journey if decision and row else None
    if journey is None or journey.cause is None:
        return _asked_about(contact, row)
    session = journey.cause.session
    return Cause(
        fact=journey.cause.kind,
        session=session,
        zone=zone_for(contact=contact, session=session),
        taken_back=_was_wrong(journey.cause, ended=journey.exit_reason == Reason.CORRECTED),
    )


def _was_wrong(fact: AttendanceEvent, *, ended: bool) -> bool:
    """Whether a fact was corrected and is not so today; its journeys may have been over by then.

    `ended`: what it began ended for a correction, though that may be one of an earlier class.
    """
    of_it = {"learner": fact.learner_id, "session": fact.session_id}
    later = AttendanceEvent.objects.filter(kind=EventKind.CORRECTED, pk__gt=fact.pk, **of_it)
    if not later.exists():
        return False
    if ended:
        return True
    today = Outcome.objects.filter(is_current=True, **of_it).first()
    if today is None or fact.outcome is None or Flag.BRIEF in today.flags:
        return True  # of who was there for a moment no absence is said
    return bool(today.outcome != fact.outcome.outcome)


def _asked_about(contact: Contact, row: Delivery | None) -> Cause | None:
    """The bot's own question before a class, if that is what was sent."""
    asked = PledgeQuestion.objects.filter(delivery=row, learner=contact.learner_id)
    question = asked.select_related("session__course").first() if row else None
    if question is None:
        return None
    session = question.session
    zone = zone_for(contact=contact, session=session)
    return Cause(fact="asked", session=session, zone=zone, taken_back=False)
