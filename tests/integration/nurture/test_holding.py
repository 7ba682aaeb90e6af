"""Hold journeys and let them go on, one or many, with a chosen policy (P18)."""

from __future__ import annotations

from datetime import datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from attendance.models import ClassSession
from delivery.models import Delivery, InboundUpdate
from nurture import flags, services
from nurture.domain.catching_up import Policy
from nurture.models import Contact, Decision, Journey
from nurture.services.restored import take_over
from nurture.services.simulation.run import play
from tests.factories import nurture as make

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
WEEKLY = make.PLAIN + "".join(
    f"  - {{key: week{number}, wait: {{after: 7d}}, text: Week {number}.}}\n"
    for number in range(1, 5)
)


@pytest.fixture(autouse=True)
def _on() -> None:
    flags.set_nurture(percent=100)


def sent() -> list[tuple[str, datetime]]:
    """What went out, in its order."""
    rows = Delivery.objects.filter(status="sent").order_by("sent_at", "id")
    return [(row.text, row.sent_at) for row in rows if row.sent_at]


def a_week_in() -> Journey:
    """A journey whose first message is out."""
    make.make_sequence(WEEKLY)
    make.make_fact()
    play(since=make.NOW, until=make.NOW + DAY)
    assert len(sent()) == 1
    return Journey.objects.get()


@pytest.mark.parametrize(
    ("policy", "texts", "last"),
    [
        (Policy.LATEST, ["Week 2.", "Week 3.", "Week 4."], 15 + 14),
        (Policy.KEEP, ["Week 3.", "Week 4."], 28),
        (Policy.SHIFT, ["Week 1.", "Week 2.", "Week 3.", "Week 4."], 28 + 14),
    ],
)
def test_after_two_weeks_at_most_one_message_goes_out_at_once(
    policy: Policy, texts: list[str], last: int
) -> None:
    """Held from day 1 to day 15; the weekly steps were due on days 7 and 14."""
    journey = a_week_in()
    services.pause(journey=journey, now=make.NOW + DAY)
    play(since=make.NOW + DAY, until=make.NOW + 15 * DAY)
    assert len(sent()) == 1

    services.resume(journey=journey, policy=policy, now=make.NOW + 15 * DAY)
    play(since=make.NOW + 15 * DAY, until=make.NOW + 15 * DAY + timedelta(minutes=1))
    assert len(sent()) <= 2
    play(since=make.NOW + 15 * DAY, until=make.NOW + 60 * DAY)

    assert [text for text, _ in sent()][1:] == texts
    assert sent()[-1][1] - make.NOW == last * DAY
    assert Journey.objects.get().status == "completed"


def test_what_was_dropped_has_its_reason() -> None:
    """Every message that is not sent says why."""
    journey = a_week_in()
    services.pause(journey=journey, now=make.NOW + DAY)
    services.resume(journey=journey, policy=Policy.KEEP, now=make.NOW + 15 * DAY)

    dropped = Decision.objects.filter(code="missed_in_pause").order_by("id")
    assert [row.step_key for row in dropped] == ["week1", "week2"]
    resumed = Decision.objects.get(code="resumed")
    assert resumed.inputs["policy"] == "keep"


def test_a_journey_held_after_its_last_message_is_over_when_it_goes_on() -> None:
    """There is nothing left to plan."""
    make.make_sequence()
    make.make_fact()
    services.tick(now=make.NOW)
    journey = Journey.objects.get()
    make.settle(Delivery.objects.get(), at=make.NOW)
    services.pause(journey=journey, now=make.NOW)

    services.resume(journey=journey, now=make.NOW + DAY)

    assert Journey.objects.get().status == "completed"


def test_somebody_who_said_stop_meanwhile_hears_nothing() -> None:
    """Consent is looked at again."""
    journey = a_week_in()
    services.pause(journey=journey, now=make.NOW + DAY)
    chat = Delivery.objects.get(status="sent").chat
    chat.consents.update(granted=False)

    services.resume(journey=journey, now=make.NOW + 15 * DAY)

    journey.refresh_from_db()
    assert (journey.status, journey.exit_reason) == ("exited", "opted_out")


def test_a_sequence_that_was_held_releases_its_newest_message_only() -> None:
    """The gate of a stream was shut for two weeks; the message of day 7 waited behind it."""
    a_week_in()
    flags.set_stream(slug="missed-class", on=False, by="boss")
    play(since=make.NOW + DAY, until=make.NOW + 22 * DAY)
    assert len(sent()) == 1

    out = StringIO()
    later = make.NOW + 22 * DAY
    journeys = Journey.objects.filter(sequence__slug="missed-class")
    assert services.release_stream(journeys=journeys, policy=Policy.LATEST, now=later) == 1
    call_command("resume", "stream:missed-class", "--policy", "shift", stdout=out)
    play(since=later, until=later + timedelta(minutes=1))

    assert [text for text, _ in sent()][1:] == ["Week 3."]
    assert "off → on" in out.getvalue()


def test_a_policy_is_for_sequences_only() -> None:
    """`resume nurture --policy keep` makes no sense, and says so."""
    with pytest.raises(CommandError, match="a policy is for stream:<slug>"):
        call_command("resume", "nurture", "--policy", "keep")


WAITING = """
sequence: missed-class
name: It
triggers: [{fact: missed, course: any, times: any}]
entry: {key: session}
steps:
  - {key: waits, kind: wait, wait: {until_event: EVENT, or_after: 9d}}
  - {key: then, wait: {after: 1h}, text: Then.}
"""


def happen(event: str, session: ClassSession, *, at: datetime) -> None:
    """The one learner of the story did something, or was in this class."""
    contact = Contact.objects.get()
    if event != "replied":
        make.make_fact(event, contact=contact, session=session, recorded_at=at, occurred_at=at)
        return
    assert contact.chat is not None
    InboundUpdate.objects.create(
        update_id=1, chat_key=contact.chat.telegram_id, payload={}, received_at=at, handled_at=at
    )
    services.learner_did(learner_id=contact.learner_id, fact="replied", now=at)


@pytest.mark.parametrize("event", ["pledged", "replied", "attended"])
def test_what_a_journey_waits_for_counts_also_while_it_is_held(event: str) -> None:
    """P18: it came on day 2 of a pause of three days, and nobody waits for the time-out."""
    make.make_sequence(WAITING.replace("EVENT", event))
    fact = make.make_fact()
    services.tick(now=make.NOW)
    services.pause(journey=Journey.objects.get(), now=make.NOW + DAY)
    happen(event, fact.session, at=make.NOW + 2 * DAY)
    services.tick(now=make.NOW + 2 * DAY)

    services.resume(journey=Journey.objects.get(), now=make.NOW + 4 * DAY)

    assert Journey.objects.get().step_key == "then"
    assert Delivery.objects.get().due_at == make.NOW + 4 * DAY


@pytest.mark.parametrize("event", ["pledged", "replied", "attended"])
def test_what_came_before_the_pause_or_elsewhere_is_not_waited_for(event: str) -> None:
    """Only what came since, in the journey's own course, ends its wait."""
    make.make_sequence(WAITING.replace("EVENT", event))
    fact = make.make_fact()
    other = make.make_session(starts_at=make.NOW + DAY)
    if event != "replied":
        services.tick(now=make.NOW)
        happen(event, other, at=make.NOW + 2 * DAY)
    else:
        happen(event, fact.session, at=make.NOW - DAY)
    services.tick(now=make.NOW)
    services.pause(journey=Journey.objects.get(), now=make.NOW + DAY)
    services.tick(now=make.NOW + 2 * DAY)

    services.resume(journey=Journey.objects.get(), now=make.NOW + 4 * DAY)

    journey = Journey.objects.get()
    assert (journey.step_key, journey.next_action_at) == ("waits", make.NOW + 9 * DAY)


def test_a_journey_may_be_decided_anew_as_often_as_its_class_moves() -> None:
    """P32: the budget counts steps, not the times that one step was planned."""
    journey = a_week_in()
    for day in range(1, 130):
        services.pause(journey=journey, now=make.NOW + DAY + timedelta(minutes=day))
        services.resume(journey=journey, now=make.NOW + DAY + timedelta(minutes=day))
    journey.refresh_from_db()
    assert (journey.status, journey.step_key) == ("active", "week1")
    assert journey.steps_taken - journey.replans == 2


def test_a_message_whose_event_came_does_not_wait_for_it_again() -> None:
    """It was planned for its hours, withdrawn by a pause, and planned again for the same hours."""
    make.make_sequence(
        make.WINDOW + WAITING.replace("EVENT", "replied").replace("kind: wait, ", "text: Hi, ")
    )
    fact = make.make_fact()
    services.tick(now=make.NOW)
    happen("replied", fact.session, at=make.NOW + timedelta(hours=1))
    planned = Delivery.objects.get(status="pending").due_at
    services.pause(journey=Journey.objects.get(), now=make.NOW + timedelta(hours=2))

    services.resume(journey=Journey.objects.get(), now=make.NOW + timedelta(hours=3))

    assert planned == make.NOW + timedelta(hours=12)
    assert Delivery.objects.get(status="pending").due_at == planned


def test_a_reply_is_heard_that_comes_before_the_engine_has_seen_the_message_go_out() -> None:
    """Between what Telegram took and the next pass a quick learner has answered."""
    make.make_sequence(
        make.PLAIN + "  - {key: next, wait: {until_event: replied, or_after: 9d}, text: Yes.}\n"
    )
    fact = make.make_fact()
    services.tick(now=make.NOW)
    make.settle(Delivery.objects.get(), at=make.NOW)
    happen("replied", fact.session, at=make.NOW + timedelta(seconds=1))

    services.tick(now=make.NOW + timedelta(seconds=2))

    assert Delivery.objects.get(status="pending").due_at == make.NOW + timedelta(seconds=2)


def test_a_restored_database_says_nothing_that_the_one_before_may_have_said() -> None:
    """It went on for an hour: with its next step, and with facts that are read once more."""
    first = a_week_in()  # its next step is due in six days: nobody can have said it
    make.make_fact()
    services.tick(now=make.NOW + DAY)
    due = Journey.objects.exclude(pk=first.pk).get()
    lost_at = make.NOW + DAY + timedelta(hours=1)

    told = take_over(until=lost_at, now=lost_at)

    assert (told.due, told.held, told.paused) == (1, 1, True)
    due.refresh_from_db()
    assert (due.status, due.waiting_on and due.waiting_on.status) == ("paused", "unknown")
    assert Decision.objects.filter(journey=due).latest("pk").code == "restored"
    again = make.make_fact()  # Google is read anew
    services.tick(now=lost_at)
    assert not Journey.objects.filter(learner=again.learner).exists()
    assert Decision.objects.get(event=again).code == "nurture_off"
    flags.resume_nurture()
    play(since=lost_at, until=lost_at + 7 * DAY)
    assert [text for text, _ in sent()][1:] == ["Week 1."]  # of the first, once
    second = take_over(until=lost_at, now=lost_at)
    assert (second.due, second.held) == (0, 0)
    assert services.resume(journey=due, now=lost_at + 7 * DAY)  # a person has looked
