"""What holds when a guard is taken away: the checks of the models notice it (P01, P08, P14)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.db.utils import IntegrityError
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from delivery.models import Delivery
from nurture import flags, sequence_files, services
from nurture.domain.journey import Decision, Send, decide
from nurture.domain.sequence import Entry, SequenceSpec, Step, Wait, Window
from nurture.models import Decision as DecisionRow
from nurture.models import Journey, Sequence, StaffTask
from nurture.models import Step as StepRow
from nurture.services import versions
from tests.factories import nurture as make
from tests.integration.nurture.machine_rows import faults_in_rows, words_of
from tests.unit.nurture.machine import with_changed
from tests.unit.nurture.test_machine import HOW, Machine
from tests.wall_clock import DAY, HOUR

# --- the pure machine -----------------------------------------------------------------------------


def from_the_step_before(**asked: Any) -> Decision:
    """A machine that forgets where it stood."""
    keys = [step.key for step in asked["steps"]]
    at = keys.index(asked["current"]) if asked["current"] else 0
    return decide(**(asked | {"current": keys[max(at - 1, 0)]}))


def from_the_step_after(**asked: Any) -> Decision:
    """A machine that leaves steps out."""
    keys = [step.key for step in asked["steps"]]
    at = keys.index(asked["current"]) if asked["current"] else 0
    return decide(**(asked | {"current": keys[min(at + 1, len(keys) - 1)]}))


def useless_before_due(**asked: Any) -> Decision:
    """A machine that counts the end of use from somewhere else."""
    found = decide(**asked)
    match found.action:
        case Send(due_at=due, expires_at=ends) if ends is not None:
            return replace(found, action=replace(found.action, expires_at=due - HOUR))
    return found


def of_another_class(**asked: Any) -> Decision:
    """A machine that knows nothing of a class that has moved."""
    begins = asked["next_session"]
    return decide(**(asked | {"next_session": begins and begins + 6 * HOUR}))


def earlier(**asked: Any) -> Decision:
    """A machine that counts from an hour before the step before had settled."""
    return decide(**(asked | {"anchor": asked["anchor"] - HOUR}))


@pytest.mark.slow
@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(with_changed("window", None), id="without the window"),
        pytest.param(with_changed("quiet", None), id="without quiet hours"),
        pytest.param(with_changed("zone", ZoneInfo("UTC")), id="in UTC for everybody"),
        pytest.param(of_another_class, id="before another class"),
        pytest.param(with_changed("steps_taken", 0), id="without the budget"),
        pytest.param(from_the_step_before, id="a step twice"),
        pytest.param(from_the_step_after, id="a step left out"),
        pytest.param(useless_before_due, id="expired before it is due"),
        pytest.param(earlier, id="an hour early"),
    ],
)
def test_the_model_notices_a_machine_that_is_wrong(ask: Callable[..., Decision]) -> None:
    mutant = type("Mutant", (Machine,), {"ask": staticmethod(ask)})
    how = settings(
        HOW, max_examples=600, phases=[Phase.generate], derandomize=True, report_multiple_bugs=False
    )
    with pytest.raises(AssertionError):
        run_state_machine_as_test(mutant, settings=how)


# --- the tables -----------------------------------------------------------------------------------

SPEC = SequenceSpec(
    slug="made-up", name="Made up", entry=Entry(open=1), triggers=sequence_files.read(
        make.PLAIN
    ).triggers,
    window=Window(opens=make.NOW.time(), closes=(make.NOW + 8 * HOUR).time()),
    steps=(Step(key="one", text="x"), Step(key="two", text="x", wait=Wait(duration=HOUR))),
)  # fmt: skip


def publish(version: int) -> Sequence:
    return make.make_sequence(sequence_files.write(words_of(SPEC, version)))


@pytest.fixture
def journey() -> Journey:
    """It stands at its first message, and nothing is wrong."""
    flags.set_nurture(percent=100)
    publish(1)
    make.make_fact()
    services.tick(now=make.NOW)
    assert faults_in_rows(SPEC) == []
    return Journey.objects.get()


def without(guard: str) -> None:
    """Take a guard away until the test is undone."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(guard)


def again(journey: Journey, **other: Any) -> None:
    """The row that a second worker would write, had it not seen the first."""
    values = {"waiting_on": None, "next_action_at": make.NOW, "slot": 0} | other
    for name, value in values.items():
        setattr(journey, name, value)
    journey.pk = None
    journey.save(force_insert=True)


DROP_ONCE = "ALTER TABLE user_nurture_journeys DROP CONSTRAINT nurture_journey_once"
DROP_SLOT = "DROP INDEX nurture_journey_slot"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("guard", "other", "noticed"),
    [
        pytest.param(DROP_ONCE, {"slot": 5}, "2 times", id="the same run again"),
        pytest.param(DROP_SLOT, {"entry_key": "session:0"}, "2 open journeys", id="place taken"),
    ],
)
def test_without_its_constraint_a_second_journey_begins_and_is_noticed(
    journey: Journey, guard: str, other: dict[str, Any], noticed: str
) -> None:
    """P14: with it the database refuses the row, whoever writes it."""
    without(guard)
    again(journey, **other)

    assert any(noticed in fault for fault in faults_in_rows(SPEC))


@pytest.mark.django_db
@pytest.mark.parametrize("other", [{"slot": 5}, {"entry_key": "session:0"}])
def test_with_its_constraints_a_second_journey_does_not_begin(
    journey: Journey, other: dict[str, Any]
) -> None:
    with pytest.raises(IntegrityError):
        again(journey, **other)


def go_on(journey: Journey) -> None:
    """Its first message is sent, and the second planned."""
    assert journey.waiting_on is not None
    make.settle(journey.waiting_on, at=make.NOW)
    services.tick(now=make.NOW + HOUR)


@pytest.mark.django_db
def test_a_published_text_that_could_be_edited_is_noticed(
    journey: Journey, request: pytest.FixtureRequest
) -> None:
    """P01: words that change under a journey."""
    without("ALTER TABLE nurture_messages DISABLE TRIGGER nurture_guard_step")
    StepRow.objects.filter(version=journey.version_id).update(text="Something else.")
    versions.forget()
    request.addfinalizer(versions.forget)  # what is read now holds in this test only
    go_on(journey)

    assert any("says" in fault for fault in faults_in_rows(SPEC))


@pytest.mark.django_db
def test_a_journey_that_loses_its_version_is_noticed(journey: Journey) -> None:
    """P01: half by the old one, half by the new one."""
    publish(2)
    Journey.objects.update(version=Sequence.objects.get().published_version)
    go_on(journey)

    assert any("a journey of version 2 says" in fault for fault in faults_in_rows(SPEC))


@pytest.mark.django_db
def test_a_journey_that_keeps_its_version_is_not(journey: Journey) -> None:
    publish(2)
    go_on(journey)

    assert Delivery.objects.filter(text="two of version 1.").exists()
    assert faults_in_rows(SPEC) == []


@pytest.mark.django_db
def test_a_message_at_the_wrong_hour_is_noticed(journey: Journey) -> None:
    Delivery.objects.update(due_at=make.NOW + DAY - timedelta(minutes=1))

    assert any("outside its hours" in fault for fault in faults_in_rows(SPEC))


@pytest.mark.django_db
def test_a_decision_without_the_window_is_never_planned(
    journey: Journey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P08: what delivery is to check by itself is asked of the window again, and contradicts it."""
    monkeypatch.setattr("nurture.services.situation.decide", with_changed("window", None))
    assert journey.waiting_on is not None
    make.settle(journey.waiting_on, at=make.NOW + 9 * HOUR)
    services.tick(now=make.NOW + 9 * HOUR)
    services.tick(now=make.NOW + 11 * HOUR)

    assert Delivery.objects.count() == 1
    assert DecisionRow.objects.filter(code="engine_error").exists()
    assert StaffTask.objects.exists()
