"""A world in which much happens to many: journeys of every kind, by chance that repeats itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from attendance.models import AttendanceEvent, ClassSession, Course, Enrolment, Outcome
from delivery.models import Delivery, InboundUpdate
from nurture import flags
from nurture.models import OPEN, Contact, Journey
from nurture.services import conversation, holding
from nurture.services.events import learner_did
from nurture.services.simulation.run import play
from tests.factories import nurture as make

RULES = """\
sequence: case
name: Written by Greta Planted
entry: {key: session, again: after 3d, open: 2}
window: {opens: "08:00", closes: "20:00"}
triggers:
  - {fact: missed_pledged}
  - {fact: missed, times: any}
exit_when: [attended]
steps:
  - key: hello
    text: "Hi {{ first_name | default: 'Greta Planted' }}, we missed you in {{ session_title }}."
    buttons: [[{text: I was there, action: dispute}]]
  - {key: draw, kind: split, arms: {warm: 2, plain: 1}}
  - key: warm
    wait: {until_event: replied, or_after: 2d}
    when: {any: [has_next_session, "tag:vip"]}
    text: "Greta Planted is looking forward to {{ next_session_title }}, {{ last_name }}."
  - {key: mark, kind: tag, add: vip}
  - key: plain
    wait: {before_next_session: 2h}
    when: {not: pledged_next}
    text: "{{ next_session_title }} is on {{ next_session_date }}."
    expires: 12h
  - {key: call, kind: handover, to: Greta Planted, note: Ask Greta Planted.}
  - {key: last, wait: {after: 2d}, text: "Greta Planted {{ bot_username | default: 'us' }}"}
"""
ZONES = ("", "Europe/Berlin", "America/New_York", "Asia/Kolkata")


@dataclass
class Cases:
    """A school of one course, some weeks long; `happen` is what chance has planned."""

    learners: int
    seed: int = 7
    planned: dict[datetime, list[Callable[[datetime], Any]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    contacts: list[Contact] = field(default_factory=list)

    def play(self) -> None:
        """Let it happen, to the rows of the test's own transaction."""
        self.chance = Random(self.seed)
        flags.set_nurture(percent=100)
        make.make_sequence(RULES)
        self.course = make.make_course(title="Spanish with Planted Greta")
        self.classes = [self._class(week) for week in range(5)]
        for number in range(self.learners):
            self._learner(number)
        first = min(self.planned)
        play(
            since=first, until=make.CLASS_STARTS + timedelta(days=32),
            moments=sorted(self.planned), happen=self._happen,
        )  # fmt: skip

    def _happen(self, now: datetime) -> None:
        for at in sorted(at for at in self.planned if at <= now):
            for act in self.planned.pop(at):
                act(now)

    def _class(self, week: int) -> ClassSession:
        at = make.CLASS_STARTS + timedelta(days=7 * week)
        return make.make_session(
            course=self.course, starts_at=at, title=f"Planted lesson {week}",
            meet_url="https://meet.google.com/pla-nted-url",
        )  # fmt: skip

    def _learner(self, number: int) -> None:
        chance = self.chance
        quiet: dict[str, Any] = {}
        if number % 4 == 0:
            quiet = {"quiet_opens": "21:30", "quiet_closes": "09:15"}
        contact = make.make_contact(
            name=chance.choice(["Planted Rosa Diaz", "Plantedmono", ""]),
            time_zone=chance.choice(ZONES), **quiet,
        )  # fmt: skip
        contact.refresh_from_db()
        self.contacts.append(contact)
        Enrolment.objects.create(learner=contact.learner, course=self.course)
        for session in self.classes[:3]:
            kind = chance.choice(["missed", "missed", "attended", "missed_pledged"])
            told = session.ends_at + timedelta(hours=3)
            self.planned[told].append(self._find_out(contact, session, kind))
        for act in (self._writes, self._disputes, self._pledges, self._held, self._stops):
            after = timedelta(hours=chance.randrange(1, 20 * 24))
            if chance.random() < 0.35:
                self.planned[make.CLASS_ENDS + after].append(act(contact))
        if chance.random() < 0.2:
            at = self.classes[0].ends_at + timedelta(hours=40)
            self.planned[at].append(self._corrected(contact))
        if chance.random() < 0.2:
            at = self.classes[0].ends_at + timedelta(hours=9)
            self.planned[at].append(self._blocks(contact))

    def _find_out(
        self, contact: Contact, session: ClassSession, kind: str
    ) -> Callable[[datetime], Any]:
        def act(now: datetime) -> None:
            make.make_fact(kind, contact=contact, session=session, recorded_at=now)
            Outcome.objects.filter(learner=contact.learner, session=session).update(
                decided_at=now, effective_at=now
            )

        return act

    def _writes(self, contact: Contact) -> Callable[[datetime], Any]:
        def act(now: datetime) -> None:
            self._update(contact, now)
            learner_did(learner_id=contact.learner_id, fact="replied", now=now)

        return act

    def _update(self, contact: Contact, now: datetime) -> None:
        assert contact.chat is not None
        InboundUpdate.objects.create(
            update_id=InboundUpdate.objects.count() + 1, chat_key=contact.chat.telegram_id,
            payload={"message": {"text": "I am Planted, call +49 151 planted"}},
            received_at=now, handled_at=now,
        )  # fmt: skip

    def _journey(self, contact: Contact) -> Journey | None:
        return Journey.objects.filter(learner=contact.learner, status__in=OPEN).last()

    def _disputes(self, contact: Contact) -> Callable[[datetime], Any]:
        return lambda now: (
            (found := self._journey(contact)) and conversation.dispute(journey=found, now=now)
        )

    def _pledges(self, contact: Contact) -> Callable[[datetime], Any]:
        return lambda now: (
            (found := self._journey(contact)) and conversation.pledge_next(journey=found, now=now)
        )

    def _held(self, contact: Contact) -> Callable[[datetime], Any]:
        def act(now: datetime) -> None:
            found = self._journey(contact)
            if found is not None and holding.pause(journey=found, now=now):
                again = now + timedelta(days=1)
                self.planned[again].append(lambda at: holding.resume(journey=found, now=at))

        return act

    def _stops(self, contact: Contact) -> Callable[[datetime], Any]:
        assert contact.chat is not None
        chat = contact.chat
        return lambda now: conversation.stop(chat=chat, now=now)

    def _corrected(self, contact: Contact) -> Callable[[datetime], Any]:
        def act(now: datetime) -> None:
            wrong = Outcome.objects.filter(
                learner=contact.learner, session=self.classes[0], outcome="missed"
            ).first()
            if wrong is None:
                return
            Outcome.objects.filter(pk=wrong.pk).update(is_current=False)
            right = Outcome.objects.create(
                learner=contact.learner, session=wrong.session, revision=2, outcome="attended",
                present_seconds=3000, effective=True, effective_at=now, reason="seen",
                decided_at=now,
            )  # fmt: skip
            AttendanceEvent.objects.create(
                kind="corrected", learner=contact.learner, session=wrong.session, outcome=right,
                key=f"corrected:{contact.pk}", occurred_at=wrong.session.ends_at, recorded_at=now,
                expires_at=now + timedelta(days=3),
            )  # fmt: skip

        return act

    def _blocks(self, contact: Contact) -> Callable[[datetime], Any]:
        """The message that is owed cannot be delivered: the learner blocked the bot."""

        def act(now: datetime) -> None:
            owed = Delivery.objects.filter(chat=contact.chat, status="pending").first()
            if owed is not None:
                make.settle(owed, at=now, status="failed", reason="chat_blocked")

        return act


def make_cases(*, learners: int) -> Course:
    """Play such a world, and return its course."""
    cases = Cases(learners=learners)
    cases.play()
    return cases.course
