"""What an action would do to planned messages is known before: it is done on copies (N11, N12)."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import hypothesis
import pytest

from delivery.models import Delivery
from nurture import flags, services
from nurture.domain.catching_up import Policy
from nurture.domain.sequence import InFlight
from nurture.models import Contact, Decision, Journey, Sequence
from nurture.services.simulation import blast_radius, forecast
from nurture.services.simulation.blast import difference, owed
from nurture.services.simulation.report import learner_lines
from nurture.services.simulation.run import play
from tests.factories import nurture as make

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
#: Of each world: 200 in all in `make stories`.
EDITS = 50 if hypothesis.settings.get_current_profile_name() == "long" else 15
STEPS = (
    "  - {key: hello, text: Hello.}\n",
    "  - {key: pause, kind: wait, wait: {after: 1d}}\n",
    "  - {key: nudge, wait: {at: '10:00', plus_days: 1}, text: Nudge., expires: 2d}\n",
    "  - {key: next, wait: {before_next_session: 3h, if_past: skip}, text: Soon.}\n",
    "  - {key: last, wait: {after: 3d}, when: {not: attended}, text: Last.}\n",
)
WINDOWS = (
    "",
    'window: {opens: "09:00", closes: "20:00"}\n',
    'window: {opens: "21:00", closes: "06:00", days: [mon, wed, fri]}\n',
)


@pytest.fixture(autouse=True)
def _on() -> None:
    flags.set_nurture(percent=100)


def source(chance: random.Random, slug: str) -> str:
    """A sequence with some of the steps, in some window, under some cap."""
    steps = [step for step in STEPS if chance.random() < 0.8] or [STEPS[0]]
    cap = chance.choice(("", "cap: {per_day: 1}\n"))
    text = "".join(steps).replace("Hello.", f"Hello {chance.randrange(3)}.")
    return (
        f"sequence: {slug}\nname: {slug}\ntriggers:\n  - {{fact: missed}}\n"
        f"{chance.choice(WINDOWS)}{cap}steps:\n{text}"
    )


def world(chance: random.Random) -> None:
    """Eight learners of four zones in one course with classes to come; two sequences."""
    for slug in ("one", "two"):
        make.make_sequence(source(chance, slug))
    course = make.make_course()
    missed = make.make_session(course=course)
    for week in (1, 2, 3):
        make.make_session(course=course, starts_at=make.CLASS_STARTS + week * 7 * DAY)
    for number in range(8):
        zone = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "")[number % 4]
        quiet: dict[str, Any] = {}
        if number % 3 == 0:
            quiet = {"quiet_opens": "22:00", "quiet_closes": "08:00"}
        make.make_fact(contact=make.make_contact(time_zone=zone, **quiet), session=missed)
    play(since=make.NOW, until=make.NOW + timedelta(minutes=1))


def miss_another(chance: random.Random, now: datetime) -> None:
    """Somebody misses one more class, and begins anew."""
    contact = chance.choice(list(Contact.objects.order_by("pk")))
    held = make.make_session(starts_at=now - timedelta(hours=4))
    make.make_fact(contact=contact, session=held, recorded_at=now)
    services.tick(now=now)


def some(chance: random.Random) -> Any:
    """One journey, those of a learner, or those of a sequence."""
    rows = Journey.objects.all()
    one = chance.choice(list(rows.order_by("pk")))
    return chance.choice(
        (
            rows.filter(pk=one.pk),
            rows.filter(learner=one.learner_id),
            rows.filter(sequence=one.sequence_id),
        )
    )


def edit(chance: random.Random, now: datetime) -> Callable[[], Any]:
    """Something that staff may do."""
    journeys, policy = some(chance), chance.choice(list(Policy))
    slug = chance.choice(("one", "two"))
    draft, in_flight = source(chance, slug), chance.choice(list(InFlight))

    def publish() -> None:
        services.import_sequence(source=draft, now=now)
        services.publish(sequence=Sequence.objects.get(slug=slug), now=now, in_flight=in_flight)

    return chance.choice(
        (
            publish,
            lambda: services.pause_all(journeys=journeys, now=now),
            lambda: services.resume_all(journeys=journeys, policy=policy, now=now),
            lambda: services.resume_all(journeys=Journey.objects.all(), policy=policy, now=now),
            lambda: services.release_stream(journeys=journeys, policy=policy, now=now),
        )
    )


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_what_is_predicted_is_what_is_found_afterwards(seed: int) -> None:
    """N11: random edits in four worlds, each predicted and then done, while time goes on."""
    chance = random.Random(seed)
    world(chance)
    now = make.NOW + timedelta(minutes=1)
    touched = 0
    for turn in range(EDITS):
        if turn % 6 == 0:
            miss_another(chance, now)
        action = edit(chance, now)
        predicted = blast_radius(action, now=now)
        before = owed()
        action()
        assert difference(before, owed()) == predicted
        touched += predicted.size
        later = now + chance.random() * timedelta(hours=6)
        play(since=now, until=later)
        now = later
    assert (
        touched > EDITS // 10
    )  # the edits do change messages; how many hangs on spread, so on row ids


def test_the_forecast_of_a_frozen_world_is_what_then_happens() -> None:
    """N12: message by message, with windows, quiet hours, zones and caps."""
    world(random.Random(5))
    now = make.NOW + timedelta(minutes=1)
    before = Delivery.objects.count(), Journey.objects.count(), Decision.objects.count()

    foreseen = forecast(now=now)

    assert (Delivery.objects.count(), Journey.objects.count(), Decision.objects.count()) == before
    said = set(Decision.objects.filter(delivery__settled_at__lt=now).values_list("pk", flat=True))
    play(since=now, until=now + 14 * DAY)
    happened = learner_lines(of=Decision.objects.exclude(pk__in=said))
    messages = {line["email"]: line["messages"] for line in happened}
    assert {line["email"]: line["messages"] for line in foreseen.learners} == messages
    assert sum(len(lines) for lines in messages.values()) > 20


def test_the_forecast_of_one_learner_is_the_same_as_in_the_whole() -> None:
    """Nobody else's rows are needed for it."""
    world(random.Random(6))
    now = make.NOW + timedelta(minutes=1)
    everybody = {line["email"]: line["messages"] for line in forecast(now=now).learners}
    one = Journey.objects.select_related("learner").first()
    assert one is not None

    alone = forecast(now=now, learner_ids=[one.learner_id])

    assert [line["email"] for line in alone.learners] == [one.learner.email]
    assert alone.learners[0]["messages"] == everybody[one.learner.email]
