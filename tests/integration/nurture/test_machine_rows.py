"""Generated stories against the real tables: facts, ticks, pauses, moves, ends (P03-P10, P14)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.db.models import Min
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from attendance.models import ClassSession
from delivery.models import Delivery
from nurture import flags, sequence_files, services
from nurture.domain.catching_up import Policy
from nurture.domain.sequence import SequenceSpec
from nurture.models import Journey
from tests.factories import nurture as make
from tests.factories import sequences
from tests.integration.nurture.machine_rows import faults_in_rows, words_of
from tests.wall_clock import DAY, HOUR, MINUTE, Quiet

AHEAD = st.integers(1, 4 * 24).map(lambda n: n * HOUR)

#: With few examples each has to say something.
TALKATIVE = sequences.specs().filter(
    lambda spec: sum(bool(step.text) and step.enabled for step in spec.steps) > 1
)


class Rows(RuleBasedStateMachine):
    """A learner, a sequence with its versions, classes of one course; undone at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.undo = transaction.atomic()
        self.undo.__enter__()
        flags.set_nurture(percent=100)

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.undo.__exit__(None, None, None)

    @initialize(data=st.data(), zone=sequences.zones, spec=TALKATIVE, quiet=sequences.quiet_hours)
    def begin(self, data: Any, zone: str, spec: SequenceSpec, quiet: Quiet | None) -> None:
        self.spec, self.version = spec, 0
        self.now: datetime = data.draw(sequences.near_a_change(zone))
        self.contact = make.make_contact(time_zone=zone)
        self.contact.quiet_opens, self.contact.quiet_closes = quiet or (None, None)
        self.contact.save()
        self.course = make.make_course()
        self.missed: list[ClassSession] = []
        self.following = make.make_session(
            course=self.course, starts_at=self.now + data.draw(AHEAD), status="scheduled"
        )
        self.staff_publish()
        self.a_class_is_missed()

    @rule()
    @precondition(lambda self: self.version < 2)
    def staff_publish(self) -> None:
        """Other words; who is under way keeps those that they began with."""
        self.version += 1
        source = sequence_files.write(words_of(self.spec, self.version))
        sequence = services.import_sequence(source=source, now=self.now).sequence
        services.publish(sequence=sequence, now=self.now)

    @rule()
    def a_class_is_missed(self) -> None:
        held = make.make_session(course=self.course, starts_at=self.now - 4 * HOUR)
        self.missed.append(held)
        self._fact("missed", held)

    @rule(which=st.integers(0, 7), kind=st.sampled_from(("missed", "missed", "corrected")))
    def a_fact_comes_of_a_class_that_is_known(self, which: int, kind: str) -> None:
        """The same again, or that it was not so."""
        self._fact(kind, self.missed[which % len(self.missed)])

    @rule(long=st.integers(1, 3 * 24 * 60).map(lambda n: n * MINUTE))
    def time_goes_by(self, long: timedelta) -> None:
        self._tick(self.now + long)

    @rule(late=st.sampled_from((0 * HOUR, MINUTE, HOUR, DAY)))
    def the_next_thing_happens(self, late: timedelta) -> None:
        self._go_on(late)

    @rule()
    def the_next_two_things_happen_in_time(self) -> None:
        self._go_on(0 * HOUR)
        self._go_on(0 * HOUR)

    def _go_on(self, late: timedelta) -> None:
        """A message comes to its end, or a wait is over."""
        row = Delivery.objects.filter(status="pending").order_by("due_at").first()
        if row is not None:
            self.now = max(self.now, row.due_at) + late
            expired = row.expires_at is not None and row.expires_at <= self.now
            status, reason = ("expired", "too_late") if expired else ("sent", "")
            make.settle(row, at=self.now, status=status, reason=reason)
        else:
            waiting = Journey.objects.filter(next_action_at__isnull=False)
            moment = waiting.aggregate(at=Min("next_action_at"))["at"]
            self.now = max(self.now, moment or self.now) + late
        self._tick(self.now)

    @rule(ahead=AHEAD)
    def the_next_class_moves(self, ahead: timedelta) -> None:
        self.following.starts_at = self.now + ahead
        self.following.ends_at = self.following.starts_at + HOUR
        self.following.save()
        self._fact("session_moved", self.following, expires_at=self.following.ends_at)

    @rule(fact=st.sampled_from(("replied", "pledged")))
    def the_learner_does_something(self, fact: str) -> None:
        services.learner_did(learner_id=self.contact.learner_id, fact=fact, now=self.now)
        self._tick(self.now)

    @rule(hours=st.integers(0, 48), policy=st.sampled_from(Policy))
    def staff_hold_everything_for_a_while(self, hours: int, policy: Policy) -> None:
        services.pause_all(journeys=Journey.objects.all(), now=self.now)
        self._tick(self.now + hours * HOUR)
        services.resume_all(journeys=Journey.objects.all(), policy=policy, now=self.now)

    @invariant()
    def nothing_is_wrong_with_the_rows(self) -> None:
        if hasattr(self, "spec"):
            assert faults_in_rows(self.spec) == []

    @invariant()
    def a_second_pass_finds_nothing(self) -> None:
        if hasattr(self, "spec"):
            assert not services.has_work(now=self.now)

    def _fact(self, kind: str, held: ClassSession, **known: Any) -> None:
        known = {"recorded_at": self.now, "occurred_at": self.now} | known
        make.make_fact(kind, contact=self.contact, session=held, **known)
        self._tick(self.now)

    def _tick(self, moment: datetime) -> None:
        self.now = moment
        services.tick(now=moment)


LONG = settings.get_current_profile_name() == "long"
HOW = settings(
    max_examples=200 if LONG else 15, stateful_step_count=10, deadline=None, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.django_db
def test_no_row_goes_wrong_whatever_happens() -> None:
    """P14: one journey of a class, one delivery of a step, in order, in its hours, in its words."""
    run_state_machine_as_test(Rows, settings=HOW)
