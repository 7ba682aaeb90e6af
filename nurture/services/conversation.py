"""What a learner may do by talking to the bot. Each function is one unit of work."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import F

from attendance import selectors as attendance_selectors
from attendance import services as attendance
from attendance.models import ClassSession, Enrolment, Learner, ReviewItem
from delivery import services as delivery
from delivery.domain.states import UNSENT
from delivery.models import Chat, Consent, Delivery, Lane
from nurture.domain.reasons import Reason
from nurture.domain.schedule import zone_of
from nurture.models import Contact, Decision, Journey, PledgeQuestion
from nurture.services import asking, holding, journeys
from nurture.services.endings import exit_journey
from nurture.services.world import World


@dataclass(frozen=True, kw_only=True)
class Status:
    """What is next for a learner."""

    next_class: ClassSession | None
    zone: ZoneInfo  # the learner's, for that class
    planned: int  # messages owed to the chat and not on the wire
    consents: bool


def linked_contact(*, chat: Chat) -> Contact | None:
    """Who a chat belongs to."""
    return Contact.objects.select_related("learner", "chat").filter(chat=chat).first()


def status(*, contact: Contact, chat: Chat, now: datetime) -> Status:
    """The next class of the learner's courses, what is planned, and what was agreed to."""
    found = attendance_selectors.upcoming(learner_id=contact.learner_id, after=now, most=1)
    soonest = found[0] if found else None
    owed = Delivery.objects.filter(chat=chat, lane=Lane.BULK, status__in=UNSENT, is_test=False)
    return Status(
        next_class=soonest,
        zone=zone_for(contact=contact, session=soonest),
        planned=owed.count(),
        consents=delivery.has_consent(chat=chat, category=delivery.DEFAULT_CATEGORY),
    )


def zone_for(*, contact: Contact, session: ClassSession | None) -> ZoneInfo:
    """The zone in which a learner reads a time: contact, course, TIME_ZONE.

    Without a session it is their latest course that they have not left, or left last.
    """
    course_zone = session.course.time_zone if session else ""
    if session is None and not contact.time_zone:
        theirs = Enrolment.objects.filter(learner=contact.learner_id, course__active=True)
        latest = theirs.order_by(F("ends_at").desc(nulls_first=True), "-id")
        course_zone = latest.values_list("course__time_zone", flat=True).first() or ""
    return zone_of(contact.time_zone, course_zone, settings.TIME_ZONE)


@transaction.atomic
def stop(*, chat: Chat, now: datetime) -> int:
    """Somebody said stop: consent ends, with everything that is planned for them.

    Also kept for a chat that nobody is linked to. Returns how many journeys ended; safe to run
    twice.
    """
    contact = linked_contact(chat=chat)
    ended = 0
    if contact is not None:
        world = World(now=now)
        rows = journeys.open_journeys().filter(learner=contact.learner_id)
        for journey in journeys.locked(rows):
            ended += exit_journey(journey=journey, reason=Reason.OPTED_OUT, world=world)
        world.writes.write()
        questions = PledgeQuestion.objects.filter(learner=contact.learner_id)
        asking.take_back(questions, code=Reason.OPTED_OUT, now=now)
    delivery.set_consent(
        chat=chat, category=delivery.DEFAULT_CATEGORY, granted=False, source="stop", now=now
    )
    return ended


@transaction.atomic
def opt_in(*, chat: Chat, now: datetime) -> None:
    """Somebody wants to hear from us again: what their /stop withdrew is granted again.

    An earlier snooze ends. A category that was withdrawn by itself stays withdrawn. Safe to run
    twice.
    """
    default = Consent.objects.filter(chat=chat, category=delivery.DEFAULT_CATEGORY).first()
    categories = [delivery.DEFAULT_CATEGORY]
    if default is not None and not default.granted:
        categories += Consent.objects.filter(
            chat=chat, granted=False, changed_at=default.changed_at
        ).values_list("category", flat=True)
    for category in set(categories):
        delivery.set_consent(chat=chat, category=category, granted=True, source="button", now=now)
    delivery.snooze(chat=chat, until=None)


def journey_of_button(*, contact: Contact, chat: Chat, delivery_id: int) -> Journey | None:
    """The journey of the message whose button was pressed, if it is this learner's in this chat.

    Clients may send any data, so what they name must belong to who presses.
    """
    decision = (
        Decision.objects.select_related("journey__session__course", "journey__learner")
        .filter(
            delivery_id=delivery_id,
            delivery__chat=chat,
            journey__learner=contact.learner_id,
        )
        .order_by("-id")
        .first()
    )
    return decision.journey if decision else None


def name_address(*, contact: Contact, email: str, now: datetime) -> ReviewItem | None:
    """A learner names a Google address they join with: a person is asked whether it is theirs.

    None where it is known to be. Raises IdentityError for what is no whole address. Safe to run
    twice.
    """
    return attendance.suggest_address(learner=contact.learner, email=email, origin="bot", now=now)


@transaction.atomic
def dispute(*, journey: Journey, now: datetime) -> bool:
    """A learner says "I was there": what that class caused waits, and a person is asked.

    False where the journey has no class to dispute. Safe to run twice.
    """
    if journey.session is None:
        return False
    if journey.exit_reason != Reason.CORRECTED:  # what began since then is not what they doubt
        caused = Journey.objects.filter(learner=journey.learner, session=journey.session)
        holding.pause_all(journeys=caused, reason=Reason.DISPUTED, now=now)
    attendance.open_dispute(
        learner=journey.learner,
        session=journey.session,
        note="The learner pressed the button: I was there.",
        now=now,
    )
    return True


@transaction.atomic
def answer_pledge(
    *, contact: Contact, session_id: int, comes: bool, now: datetime
) -> ClassSession | None:
    """A learner says whether they come to a class; None where it is none of theirs, or has begun.

    Clients may send any number. Safe to run twice: the latest word counts.
    """
    theirs = attendance_selectors.upcoming(learner_id=contact.learner_id, after=now, most=50)
    session = next((row for row in theirs if row.pk == session_id), None)
    if session is None:
        return None
    _pledge(learner=contact.learner, session=session, comes=comes, now=now)
    return session


@transaction.atomic
def pledge_next(*, journey: Journey, now: datetime) -> ClassSession | None:
    """A learner says they come to the next class of the journey's course.

    None if there is none, or none for them: who has left the course promises nothing. What was
    planned only for those who have not said so is withdrawn. Safe to run twice.
    """
    theirs = attendance_selectors.upcoming(learner_id=journey.learner_id, after=now, most=50)
    session = next((row for row in theirs if row.course_id == journey.course_id), None)
    if session is None:
        return None
    _pledge(learner=journey.learner, session=session, comes=True, now=now)
    return session


def _pledge(*, learner: Learner, session: ClassSession, comes: bool, now: datetime) -> None:
    attendance.pledge(learner=learner, session=session, answer=comes, source="button", now=now)
    holding.answered_pledge(learner=learner, session=session, now=now)
    questions = PledgeQuestion.objects.filter(learner=learner, session=session)
    asking.take_back(questions, code=Reason.PLEDGE_KNOWN, now=now)
