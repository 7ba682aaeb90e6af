"""Who walks through a version, because of which class, and what they answer: on shadowed tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from django.conf import settings

from attendance import services as attendance
from attendance.domain.presence import Policy
from attendance.domain.settlement import FACTS_FIRE_FOR
from attendance.models import (
    AttendanceEvent,
    ClassSession,
    Course,
    Enrolment,
    Learner,
    Outcome,
    Pledge,
)
from attendance.selectors import next_session
from delivery import services as delivery
from delivery.models import Chat, Consent, InboundUpdate, Reachability
from nurture.domain.schedule import Quiet, resolve, zone_of
from nurture.domain.sequence import Fact
from nurture.models import OPEN, AttendanceTrigger, Contact, ContactTag, Journey
from nurture.services import conversation
from nurture.services.events import learner_did
from nurture.services.simulation.shadow import Shadow

_LENGTH, _WEEK = timedelta(hours=1), timedelta(days=7)
_SETTLES = Policy().settle_missed
_WEEKS_AHEAD = 13
_CODE = "abc-defg-hij"  # a class without a link is not announced
_CHAT = 1  # of somebody made up; no person has this Telegram id
#: Facts that are no outcome by themselves.
_OUTCOME = {
    Fact.MISSED_PLEDGED: "missed",
    Fact.FIRST_ATTENDED: "attended",
    Fact.RETURNED: "attended",
}
_PRESENT = {"missed": 0, "partial": 20, "late": 45, "left_early": 45}  # minutes; else all


class AnswerKind(StrEnum):
    """What a learner may do."""

    REPLIED = "replied"
    PLEDGED = "pledged"
    DISPUTED = "disputed"
    STOPPED = "stopped"
    BLOCKED = "blocked"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What they do, and when."""

    kind: AnswerKind
    at: datetime


class NextClass(StrEnum):
    """What is known of the class after the start."""

    OPEN = "open"
    ATTENDS = "attended"
    MISSES = "missed"


@dataclass(frozen=True, kw_only=True)
class Persona:
    """Somebody made up."""

    name: str
    zone: str = ""  # an IANA name; "" = TIME_ZONE
    language: str = ""
    quiet: Quiet | None = None


def bring(shadow: Shadow, learner: Learner, trigger: AttendanceTrigger, start: datetime) -> None:
    """Copy a real learner as they are now, with their courses and what the calendar holds."""
    mine = [learner.pk]
    contact = f"SELECT {{}} FROM {shadow.of_live(Contact)} WHERE learner_id = %s"
    shadow.copy(Learner, "id = %s", mine)
    shadow.copy(Enrolment, "learner_id = %s", mine)
    shadow.copy(Contact, "learner_id = %s", mine)
    shadow.copy(Chat, f"id IN ({contact.format('chat_id')})", mine)
    shadow.copy(Consent, f"chat_id IN ({contact.format('chat_id')})", mine)
    shadow.copy(ContactTag, f"contact_id IN ({contact.format('id')})", mine)
    theirs = f"id IN (SELECT course_id FROM {shadow.of_live(Enrolment)} WHERE learner_id = %s)"
    shadow.copy(Course, f"{theirs} OR calendar_id = %s", [learner.pk, trigger.course])
    course = _course_of(learner, trigger)
    if course is not None:
        ahead = "course_id = %s AND starts_at > %s AND status = 'scheduled'"
        shadow.copy(ClassSession, ahead, [course.pk, start])


def _course_of(learner: Learner, trigger: AttendanceTrigger) -> Course | None:
    """The course of which the trigger would speak: the one it names, else the learner's newest."""
    if trigger.course != "any":
        return Course.objects.filter(calendar_id=trigger.course).first()
    newest = Enrolment.objects.filter(learner=learner).order_by("-course__active", "-pk").first()
    return newest.course if newest else None


def make_up(persona: Persona, *, now: datetime) -> Learner:
    """Somebody who is linked and consents."""
    email = "somebody@example.org"
    learner = Learner.objects.create(
        email=email, email_key=email, name=persona.name, created_at=now
    )
    chat = delivery.register_chat(telegram_id=_CHAT)
    opens, closes = persona.quiet or (None, None)
    Contact.objects.create(
        learner=learner, chat=chat, time_zone=persona.zone, language=persona.language,
        quiet_opens=opens, quiet_closes=closes,
    )  # fmt: skip
    return learner


def give_cause(learner: Learner, trigger: AttendanceTrigger, start: datetime) -> Course:
    """Let attendance say at `start` what the trigger asks for, as often in a row as it asks.

    Of a class that ended as long before as classes take to settle. A course that is made up has a
    class each week at the same local time.
    """
    course, is_real = _course_of(learner, trigger), True
    if course is None:
        name = "somebody's-course" if trigger.course == "any" else trigger.course
        course, is_real = Course.objects.create(calendar_id=name, title="Spanish A1"), False
    begins = (start - _SETTLES - _LENGTH).replace(microsecond=0)
    times, zone = max(trigger.times, 1), zone_of("", course.time_zone, settings.TIME_ZONE)
    held = [_class(course, begins, -week, zone, start) for week in reversed(range(times))]
    if not is_real:
        for week in range(1, _WEEKS_AHEAD):
            _class(course, begins, week, zone, start)
    _say(learner, trigger, held, start)
    return course


def _class(
    course: Course, begins: datetime, weeks: int, zone: ZoneInfo, start: datetime
) -> ClassSession:
    local = begins.astimezone(zone)
    at = resolve(local.date() + weeks * _WEEK, local.time(), zone)
    over = at < start
    return ClassSession.objects.create(
        course=course, event_id=f"walk-{weeks}", starts_at=at, ends_at=at + _LENGTH,
        title=course.title, changed_at=start, status="settled" if over else "scheduled",
        settled_at=start if over else None, meeting_code=_CODE,
        meet_url=f"https://meet.google.com/{_CODE}",
    )  # fmt: skip


def _say(
    learner: Learner, trigger: AttendanceTrigger, held: list[ClassSession], start: datetime
) -> None:
    fact = Fact(trigger.fact)
    for session in held:
        if fact is Fact.MISSED_PLEDGED:
            Pledge.objects.create(
                learner=learner, session=session, state="broken", answered_at=session.starts_at
            )
        conclude(learner, session, _OUTCOME.get(fact, fact.value), at=start)
    session = held[-1]
    AttendanceEvent.objects.create(
        kind=fact.value, learner=learner, session=session,
        outcome=Outcome.objects.get(session=session), key=f"walk:{learner.pk}",
        streak=len(held), occurred_at=session.ends_at, recorded_at=start,
        expires_at=session.ends_at + FACTS_FIRE_FOR,
    )  # fmt: skip


def conclude(learner: Learner, session: ClassSession, outcome: str, *, at: datetime) -> None:
    """An outcome that has effect."""
    Outcome.objects.create(
        learner=learner, session=session, revision=1, outcome=outcome, effective=True,
        effective_at=at, decided_at=at, reason="not_seen" if outcome == "missed" else "seen",
        present_seconds=60 * _PRESENT.get(outcome, 60),
    )  # fmt: skip


@dataclass(kw_only=True)
class Happenings:
    """What happens after the start: answers, and the class that follows."""

    learner: Learner
    course: Course
    start: datetime
    answers: Iterable[Answer]
    next_class: NextClass
    _left: list[tuple[datetime, AnswerKind | ClassSession]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Put them in order."""
        self._left = [(row.at, row.kind) for row in self.answers if row.at >= self.start]
        following = self.following()
        if following is not None and self.next_class is not NextClass.OPEN:
            self._left.append((following.ends_at + _SETTLES, following))
        self._left.sort(key=lambda row: row[0])

    def following(self) -> ClassSession | None:
        """The class after the start."""
        return next_session(course_id=self.course.pk, after=self.start)

    def moments(self) -> list[datetime]:
        """When something happens."""
        return [at for at, _ in self._left]

    def tell(self, now: datetime) -> None:
        """Let happen what has its moment, by the services that production calls."""
        while self._left and self._left[0][0] <= now:
            _, what = self._left.pop(0)
            if isinstance(what, ClassSession):
                conclude(self.learner, what, self.next_class.value, at=now)
                attendance.publish_outcomes(session=what, now=now)
            else:
                self._answer(what, now)

    def _answer(self, kind: AnswerKind, now: datetime) -> None:
        contact = Contact.objects.select_related("chat").filter(learner=self.learner).first()
        if contact is None or contact.chat is None:
            return
        if kind is AnswerKind.BLOCKED:
            delivery.set_reachability(chat=contact.chat, reachability=Reachability.BLOCKED, now=now)
            return
        InboundUpdate.objects.create(
            update_id=-InboundUpdate.objects.count() - 1, chat_key=contact.chat.telegram_id,
            payload={}, received_at=now, handled_at=now,
        )  # fmt: skip
        self._do(kind, contact.chat, now)
        learner_did(learner_id=self.learner.pk, fact="replied", now=now)

    def _do(self, kind: AnswerKind, chat: Chat, now: datetime) -> None:
        if kind is AnswerKind.STOPPED:
            conversation.stop(chat=chat, now=now)
        rows = Journey.objects.filter(learner=self.learner, status__in=OPEN)
        journey = rows.select_related("learner", "session").order_by("-pk").first()
        if journey is None:
            return
        if kind is AnswerKind.PLEDGED:
            conversation.pledge_next(journey=journey, now=now)
        elif kind is AnswerKind.DISPUTED:
            conversation.dispute(journey=journey, now=now)
