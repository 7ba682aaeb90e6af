"""From a fact to a planned message, in one pass (P01-P04, S01)."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest

from attendance.models import AttendanceEvent
from delivery.models import Delivery
from nurture import flags, selectors, services
from nurture.domain.sequence import Step
from nurture.models import Decision, Journey, JourneyStatus, StaffTask
from tests.factories import nurture as make

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _on() -> None:
    flags.set_nurture(percent=100)
    flags.set_attendance(on=True)


def codes() -> list[str]:
    """Every decision so far, in order."""
    return list(Decision.objects.order_by("id").values_list("code", flat=True))


def test_a_missed_class_becomes_one_message_and_a_second_pass_does_nothing() -> None:
    """One tick goes the whole way; text and moment are exact."""
    make.make_sequence()
    contact = make.make_contact(name="Rosa Diaz")
    fact = make.make_fact(contact=contact)

    report = services.tick(now=make.NOW)

    delivery = Delivery.objects.get()
    journey = Journey.objects.get()
    assert (report.facts, report.journeys, report.deliveries) == (1, 1, 1)
    assert delivery.text == "Hi Rosa, we missed you in Lesson 4."
    assert (delivery.due_at, delivery.chat, delivery.stream_id) == (
        make.NOW, contact.chat, "stream:missed-class",
    )  # fmt: skip
    assert (journey.status, journey.waiting_on, journey.cause) == ("active", delivery, fact)
    assert codes() == ["entered", "step_planned"]
    again = services.tick(now=make.NOW + timedelta(minutes=1))
    assert (again.facts, again.journeys, again.deliveries) == (0, 0, 0)
    assert not selectors.has_work(now=make.NOW + timedelta(minutes=1))


def test_work_is_seen_before_the_pass_and_gone_after_it() -> None:
    """The clock asks this each second."""
    make.make_sequence()
    make.make_fact()

    assert selectors.has_work(now=make.NOW)
    services.tick(now=make.NOW)
    assert not selectors.has_work(now=make.NOW)


def test_at_night_the_message_waits_for_the_morning_of_the_learner() -> None:
    """22:40 in Madrid becomes 09:00 the next day there, and delivery knows the hours."""
    make.make_sequence(make.PLAIN.replace("steps:", make.WINDOW + "steps:"))
    make.make_fact(contact=make.make_contact(time_zone="Europe/Madrid"))

    services.tick(now=datetime(2026, 3, 3, 21, 40, tzinfo=UTC))

    delivery = Delivery.objects.get()
    assert delivery.due_at == datetime(2026, 3, 4, 8, tzinfo=UTC)
    assert (delivery.window_opens, delivery.window_closes) == (time(9), time(20))
    assert delivery.window_zone == "Europe/Madrid"


def test_the_courses_zone_answers_where_the_contact_has_none() -> None:
    """Zone chain: contact, course, TIME_ZONE."""
    make.make_sequence(make.PLAIN.replace("steps:", make.WINDOW + "steps:"))
    held = make.make_session(course=make.make_course(time_zone="America/Bogota"))
    make.make_fact(session=held)

    services.tick(now=datetime(2026, 3, 4, 2, tzinfo=UTC))  # 21:00 in Bogotá

    assert Delivery.objects.get().due_at == datetime(2026, 3, 4, 14, tzinfo=UTC)


def test_a_window_of_whole_days_is_checked_again_when_it_is_sent() -> None:
    """From Monday to Friday, all day: what a gate holds until Saturday waits for Monday."""
    days = 'window: {opens: "00:00", closes: "00:00", days: [mon, tue, wed, thu, fri]}\n'
    make.make_sequence(make.PLAIN + days)
    make.make_fact()

    services.tick(now=make.NOW)

    row = Delivery.objects.get()
    assert (row.due_at, row.window_days) == (make.NOW, 0b0011111)


def test_quiet_hours_shorten_the_window() -> None:
    """The contact's quiet hours and the sequence's window both hold."""
    make.make_sequence(make.PLAIN.replace("steps:", make.WINDOW + "steps:"))
    contact = make.make_contact(quiet_opens=time(22), quiet_closes=time(10, 30))
    make.make_fact(contact=contact)

    services.tick(now=make.NOW)

    delivery = Delivery.objects.get()
    assert delivery.due_at == datetime(2026, 3, 4, 10, 30, tzinfo=UTC)
    assert (delivery.window_opens, delivery.window_closes) == (time(10, 30), time(20))


TWO_STEPS = (
    make.PLAIN
    + """\
  - key: more
    wait: {after: 2h}
    text: "Come back soon, {{ first_name }}."
"""
)


def test_the_second_step_counts_from_the_end_of_the_first() -> None:
    """A step is planned when the one before it has settled; the last one completes."""
    make.make_sequence(TWO_STEPS)
    make.make_fact()
    services.tick(now=make.NOW)
    sent_at = make.NOW + timedelta(minutes=5)

    make.settle(Delivery.objects.get(), at=sent_at)
    services.tick(now=sent_at + timedelta(seconds=1))

    second = Delivery.objects.order_by("id").last()
    assert second is not None
    assert (second.text, second.due_at) == (
        "Come back soon, Rosa.", sent_at + timedelta(hours=2),
    )  # fmt: skip
    make.settle(second, at=second.due_at)
    services.tick(now=second.due_at)
    assert Journey.objects.get().status == JourneyStatus.COMPLETED
    assert Delivery.objects.filter(observed_at__isnull=True).count() == 0


def test_a_blocked_chat_ends_the_journey() -> None:
    """Nothing more can be said to this learner."""
    make.make_sequence(TWO_STEPS)
    make.make_fact()
    services.tick(now=make.NOW)

    make.settle(Delivery.objects.get(), at=make.NOW, status="failed", reason="chat_blocked")
    services.tick(now=make.NOW)

    journey = Journey.objects.get()
    assert (journey.status, journey.exit_reason) == ("exited", "unreachable")
    assert Delivery.objects.count() == 1


def test_an_unknown_end_lets_the_journey_go_on() -> None:
    """P03: it is never sent again, and nobody waits for it."""
    make.make_sequence(TWO_STEPS)
    make.make_fact()
    services.tick(now=make.NOW)

    make.settle(Delivery.objects.get(), at=make.NOW, status="unknown", reason="no_answer")
    services.tick(now=make.NOW)

    assert Delivery.objects.count() == 2


def test_a_text_without_its_value_is_passed_over_and_the_next_step_planned() -> None:
    """Nobody gets "Hi ,"; the record says which value was missing."""
    make.make_sequence(TWO_STEPS.replace("{{ first_name | default: 'there' }}", "{{ last_name }}"))
    make.make_fact(contact=make.make_contact(name="Rosa"))

    services.tick(now=make.NOW)

    assert Delivery.objects.get().text == "Come back soon, Rosa."
    missing = Decision.objects.get(code="variable_missing")
    assert (missing.step_key, missing.inputs) == ("hello", {"variable": "last_name"})


def test_a_fact_that_breaks_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is undone alone, given to staff, and not tried for ever."""
    from nurture.services.situation import Situation

    make.make_sequence()
    broken, well = make.make_contact(name="Broken"), make.make_contact(name="Rosa")
    make.make_fact(contact=broken)
    make.make_fact(contact=well)
    render = Situation.render

    def failing(self: Situation, step: Step, *, at: datetime) -> str:
        if self.contact.pk == broken.pk:
            raise ZeroDivisionError
        return render(self, step, at=at)

    monkeypatch.setattr(Situation, "render", failing)
    services.tick(now=make.NOW)

    assert Journey.objects.get().learner == well.learner
    assert StaffTask.objects.get().learner == broken.learner
    assert Decision.objects.get(learner=broken.learner).code == "engine_error"
    assert not AttendanceEvent.objects.filter(processed_at__isnull=True).exists()
