"""Hold journeys and let them go on, one or many, with a chosen policy (P18)."""

from __future__ import annotations

from datetime import datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from delivery.models import Delivery
from nurture import flags, services
from nurture.domain.catching_up import Policy
from nurture.models import Decision, Journey
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
