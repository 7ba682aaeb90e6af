"""Play a scenario: one made-up learner, one course, the production engine, a simulated clock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from attendance import services as attendance
from attendance.models import (
    ClassSession,
    Course,
    Enrolment,
    Learner,
    LearnerIdentity,
    Outcome,
    ReviewItem,
)
from delivery import services as delivery
from delivery.models import Chat, Consent, Delivery, InboundUpdate
from nurture.domain.reasons import Reason
from nurture.domain.scenario import OUTCOMES, Given, Happening, Heard, Scenario, Told
from nurture.models import Contact, Decision, Journey, SequenceVersion
from nurture.services import conversation
from nurture.services.events import learner_did
from nurture.services.simulation.backtesting import put_on_stage
from nurture.services.simulation.run import play
from nurture.services.simulation.shadow import set_clock, shadowed

CLASS_LASTS = timedelta(hours=1)
#: A class whose outcome is told without a class having been planned ended so long before.
TOLD_AFTER = timedelta(hours=3)
_CODE = "abc-defg-hij"  # a class without a link is not announced
_PEOPLE = (Learner, LearnerIdentity, Course, ClassSession, Enrolment, ReviewItem, Consent)


def tell(*, version: SequenceVersion, scenario: Scenario) -> Told:
    """What the learner of a scenario hears by this version, and why not what they do not.

    Switches, rollout, holdout and other sequences are left out. Nothing is written: it is played
    on copies that vanish. Safe to run twice: the same scenario always comes out the same.
    """
    with shadowed(*_PEOPLE) as shadow:
        put_on_stage(shadow, version)
        SequenceVersion.objects.update(holdout=0)
        shadow.ready()
        begins = min(scenario.moment(line.day, line.at) for line in scenario.given)
        set_clock(begins)
        story = _Story(scenario, begins)
        play(
            since=begins,
            until=scenario.until,
            moments=sorted(story.coming),
            happen=story.happen,
        )
        heard, because = _heard(), _because()
    return Told(heard=heard, because=because)


@dataclass
class _Story:
    scenario: Scenario
    begins: datetime

    def __post_init__(self) -> None:
        """The learner, the course and its classes are there from the start."""
        scenario = self.scenario
        self.learner = Learner.objects.create(
            email="learner@example.org", email_key="learner@example.org",
            name=scenario.learner, created_at=self.begins,
        )  # fmt: skip
        self.chat: Chat = delivery.register_chat(telegram_id=1)
        quiet = scenario.quiet or (None, None)
        self.contact = Contact.objects.create(
            learner=self.learner, chat=self.chat, time_zone=scenario.zone.key,
            language=scenario.language, quiet_opens=quiet[0], quiet_closes=quiet[1],
        )  # fmt: skip
        self.course = Course.objects.create(calendar_id=self._calendar(), title="Course")
        Enrolment.objects.create(learner=self.learner, course=self.course)
        self.coming: dict[datetime, list[Given]] = defaultdict(list)
        for line in scenario.given:
            at = scenario.moment(line.day, line.at)
            if line.what is Happening.CLASS:
                self._plan(at, line.detail or "Class")
            else:
                self.coming[at].append(line)

    def _calendar(self) -> str:
        """The first course that the sequence asks for by name, so that its triggers match."""
        asked = SequenceVersion.objects.get().triggers.exclude(course="any")
        first = asked.order_by("position").first()
        return first.course if first else "course"

    def _plan(self, at: datetime, title: str) -> ClassSession:
        return ClassSession.objects.create(
            course=self.course, event_id=f"{at:%Y%m%dT%H%M}", starts_at=at,
            ends_at=at + CLASS_LASTS, title=title, changed_at=self.begins,
            meeting_code=_CODE, meet_url=f"https://meet.google.com/{_CODE}",
        )  # fmt: skip

    def happen(self, now: datetime) -> None:
        """Everything that is given for this moment and was not told yet."""
        for at in sorted(at for at in self.coming if at <= now):
            for line in self.coming.pop(at):
                self._acts[line.what](line, now)

    @cached_property
    def _acts(self) -> Mapping[Happening, Callable[[Given, datetime], None]]:
        return {
            **dict.fromkeys(OUTCOMES, self._find_out),
            Happening.COMES: self._answer,
            Happening.DECLINES: self._answer,
            Happening.PRESSES: self._press,
            Happening.WRITES: lambda _, now: self._write("", now),
            Happening.STOPS: self._stop,
        }

    def _find_out(self, line: Given, now: datetime) -> None:
        """Attendance settles the last class that was held, or one that nobody planned."""
        held = self.course.sessions.filter(ends_at__lte=now, outcomes=None)
        session = held.order_by("-starts_at").first() or self._plan(
            now - TOLD_AFTER - CLASS_LASTS, "Class"
        )
        there = line.what is not Happening.MISSED
        Outcome.objects.create(
            learner=self.learner, session=session, revision=1, outcome=line.what.value,
            present_seconds=3000 if there else 0, effective=True, effective_at=now,
            reason="seen" if there else "not_seen", decided_at=now,
        )  # fmt: skip
        ClassSession.objects.filter(pk=session.pk).update(status="settled", settled_at=now)
        attendance.publish_outcomes(session=session, now=now)

    def _answer(self, line: Given, now: datetime) -> None:
        following = self.course.sessions.filter(starts_at__gt=now).order_by("starts_at").first()
        if following is not None:
            conversation.answer_pledge(
                contact=self.contact,
                session_id=following.pk,
                comes=line.what is Happening.COMES,
                now=now,
            )
        self._write("", now)

    def _press(self, line: Given, now: datetime) -> None:
        """They press a button of the last message that has it."""
        sent = Delivery.objects.filter(chat=self.chat, status="sent").order_by("-sent_at", "-pk")
        actions = [
            row for row in sent if line.detail in {button[1] for b in row.buttons for button in b}
        ]
        journey = actions and conversation.journey_of_button(
            contact=self.contact, chat=self.chat, delivery_id=actions[0].pk
        )
        if journey and line.detail == "dispute":
            conversation.dispute(journey=journey, now=now)
        elif journey and line.detail == "pledge_next":
            conversation.pledge_next(journey=journey, now=now)
        self._write(line.detail, now)

    def _stop(self, _: Given, now: datetime) -> None:
        conversation.stop(chat=self.chat, now=now)
        self._write("/stop", now)

    def _write(self, text: str, now: datetime) -> None:
        InboundUpdate.objects.create(
            update_id=InboundUpdate.objects.count() + 1, chat_key=self.chat.telegram_id,
            payload={"text": text}, received_at=now, handled_at=now,
        )  # fmt: skip
        learner_did(learner_id=self.learner.pk, fact="replied", now=now)


def _heard() -> list[Heard]:
    rows = Decision.objects.filter(code=Reason.STEP_PLANNED, delivery__status="sent")
    found = rows.order_by("delivery__sent_at", "delivery_id").values_list(
        "step_key", "delivery__sent_at", "delivery__text"
    )
    return [Heard(step=step, at=at, text=text) for step, at, text in found if at]


def _because() -> dict[str, frozenset[str]]:
    """The reasons noted of each step, and under "" those of the journeys and of who is kept out."""
    found: dict[str, set[str]] = defaultdict(set)
    of_entry = Decision.objects.filter(journey=None)
    found[""].update(of_entry.values_list("code", flat=True))
    found[""].update(Journey.objects.exclude(exit_reason="").values_list("exit_reason", flat=True))
    of_steps = Decision.objects.exclude(step_key="").exclude(code=Reason.STEP_PLANNED)
    for step, code in of_steps.values_list("step_key", "code"):
        found[step].add(code)
    unsent = Decision.objects.filter(code=Reason.STEP_PLANNED).exclude(delivery__reason="")
    for step, reason in unsent.values_list("step_key", "delivery__reason"):
        found[step].add(reason)
    return {step: frozenset(codes) for step, codes in found.items() if codes}
