"""Journeys through generated sequences: whatever happens, and in whatever order (P03-P10, P14)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
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

from nurture.domain.catching_up import Policy
from nurture.domain.entry import Enter, Previous, Refuse, entry_key, may_enter
from nurture.domain.journey import MAX_STEPS, Status
from nurture.domain.sequence import Again, EntryKey, SequenceSpec
from tests.factories import sequences as make
from tests.unit.nurture.machine import OPEN, Ask, Learner, Play, faults
from tests.wall_clock import HOUR, MINUTE, Quiet

AHEAD = st.integers(0, 5 * 24 * 4).map(lambda n: n * 15 * MINUTE or None)
ANY = st.integers(0, 7)


class Machine(RuleBasedStateMachine):
    """A learner, a sequence, and everything that may happen to the two."""

    ask: Ask | None = None  # the machine itself, but for a test of this model

    @initialize(data=st.data(), zone=make.zones, spec=make.specs(), quiet=make.quiet_hours)
    def begin(self, data: Any, zone: str, spec: SequenceSpec, quiet: Quiet | None) -> None:
        self.spec = spec
        self.learner = Learner(
            zone=ZoneInfo(zone), quiet=quiet, bucket=data.draw(st.floats(0, 100, exclude_max=True))
        )
        self.now: datetime = data.draw(make.near_a_change(zone))
        self.plays: list[Play] = []
        self.taken = data.draw(st.sampled_from((0, 0, 0, MAX_STEPS - 3)))
        self.next_session = self._ahead(data.draw(AHEAD))
        self.a_class_is_missed(1)

    @rule(number=st.integers(1, 9))
    def a_class_is_missed(self, number: int) -> None:
        """The entry rules let the learner in, or not."""
        key = entry_key(self.spec.entry, number)
        previous = [
            Previous(
                entry_key=play.entry_key, started_at=play.started_at, slot=play.enter.slot,
                is_open=play.status in OPEN,
            )
            for play in self.plays
        ]  # fmt: skip
        found = may_enter(self.spec.entry, key=key, previous=previous, now=self.now)
        if isinstance(found, Refuse):
            assert previous
            return
        self._enter(key, found)

    def _enter(self, key: str, enter: Enter) -> None:
        play = Play(
            spec=self.spec, learner=self.learner, now=self.now, next_session=self.next_session,
            entry_key=key, enter=enter, steps_taken=self.taken,
        )  # fmt: skip
        play.ask = type(self).ask or play.ask
        self.plays.append(play)
        play.plan("")

    @rule(long=st.integers(1, 24 * 60).map(lambda n: n * MINUTE))
    @precondition(lambda self: self._are(*OPEN))
    def the_sender_is_down(self, long: timedelta) -> None:
        self._go_to(self.now + long, sending=False)

    @rule(long=st.integers(1, 3 * 24 * 60).map(lambda n: n * MINUTE))
    @precondition(lambda self: self._are(*OPEN))
    def time_goes_by(self, long: timedelta) -> None:
        self._go_to(self.now + long)

    @rule(which=ANY, late=st.sampled_from((0 * MINUTE, MINUTE, HOUR)))
    @precondition(lambda self: self._are(*OPEN))
    def it_is_time_for_the_next_thing(self, which: int, late: timedelta) -> None:
        moments = [moment for play in self.plays if (moment := play.due(sending=True))]
        if moments:
            self._go_to(max(self.now, moments[which % len(moments)] + late))

    @rule(event=st.sampled_from(make.EVENTS))
    @precondition(lambda self: self._are(*OPEN))
    def something_happens(self, event: str) -> None:
        for play in self.plays:
            play.hear(event)

    @rule(attended=st.booleans(), pledged=st.booleans(), session=st.booleans())
    @precondition(lambda self: self._are(*OPEN))
    def conditions_change(self, attended: bool, pledged: bool, session: bool) -> None:
        for play in self.plays:
            play.facts = type(play.facts)(
                facts=frozenset({"attended"} if attended else ()), pledged_next=pledged,
                has_next_session=session, tags=play.facts.tags,
            )  # fmt: skip

    @rule(ahead=AHEAD)
    @precondition(lambda self: self._are(*OPEN))
    def class_moves(self, ahead: timedelta | None) -> None:
        self.next_session = self._ahead(ahead)
        for play in self.plays:
            play.move_class(self.next_session)

    @rule(which=ANY, on_the_wire=st.booleans())
    @precondition(lambda self: self._are(Status.ACTIVE))
    def staff_hold_one(self, which: int, on_the_wire: bool) -> None:
        self._one(self._are(Status.ACTIVE), which).pause(on_the_wire=on_the_wire)

    @rule(which=ANY, policy=st.sampled_from(Policy))
    @precondition(lambda self: self._are(Status.PAUSED))
    def staff_let_it_go_on(self, which: int, policy: Policy) -> None:
        self._one(self._are(Status.PAUSED), which).resume(policy)

    @rule(which=ANY, hours=st.integers(1, 72), policy=st.sampled_from(Policy))
    @precondition(lambda self: self._are(Status.ACTIVE))
    def staff_hold_one_for_a_while(self, which: int, hours: int, policy: Policy) -> None:
        play = self._one(self._are(Status.ACTIVE), which)
        play.pause(on_the_wire=False)
        self._go_to(self.now + hours * HOUR)
        play.resume(policy)

    @rule(which=ANY, sure=st.sampled_from((False, False, False, True)))
    @precondition(lambda self: self._are(*OPEN))
    def one_ends_early(self, which: int, sure: bool) -> None:
        if sure:
            self._one(self._are(*OPEN), which).leave()

    @invariant()
    def nothing_is_wrong_with_any_journey(self) -> None:
        for play in getattr(self, "plays", ()):
            assert faults(play) == []

    @invariant()
    def nobody_is_in_twice(self) -> None:
        plays = getattr(self, "plays", [])
        runs = [(play.entry_key, play.enter.round) for play in plays]
        slots = [play.enter.slot for play in plays if play.status in OPEN]
        assert len(runs) == len(set(runs))
        assert len(slots) == len(set(slots))
        if plays:
            assert all(slot < self.spec.entry.open for slot in slots)
            if self.spec.entry.again is Again.NEVER:
                assert len(plays) == 1
            if self.spec.entry.key is EntryKey.SESSION:
                assert len({key for key, _ in runs}) == len(runs)

    def _go_to(self, moment: datetime, *, sending: bool = True) -> None:
        """With everything at work, or through an outage of the sender."""
        self.now = moment
        for play in self.plays:
            play.until(moment, sending=sending)

    def _ahead(self, long: timedelta | None) -> datetime | None:
        return None if long is None else self.now + long

    def _are(self, *statuses: Status) -> list[Play]:
        return [play for play in self.plays if play.status in statuses]

    def _one(self, plays: list[Play], which: int) -> Play:
        return plays[which % len(plays)]


LONG = settings.get_current_profile_name() == "long"
HOW = settings(
    max_examples=2_000 if LONG else 100, stateful_step_count=15, deadline=None, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_journey_goes_wrong_whatever_happens() -> None:
    """P03-P10: none twice, none out of order, none at the wrong hour, none stuck."""
    run_state_machine_as_test(Machine, settings=HOW)
