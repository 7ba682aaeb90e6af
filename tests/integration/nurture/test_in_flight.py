"""What becomes of journeys under way when a new version is published (P02)."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from delivery.models import Delivery
from nurture import flags, services
from nurture.domain.sequence import InFlight
from nurture.models import Journey, Sequence
from nurture.services.in_flight import preview_in_flight
from nurture.services.simulation.run import play
from tests.factories import nurture as make

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
OLD = (
    make.PLAIN
    + """\
  - {key: gone, wait: {after: 2d}, text: Only old.}
  - {key: last, wait: {after: 3d}, text: Old last.}
"""
)
NEW = """\
sequence: missed-class
name: We missed you
triggers:
  - {fact: missed}
steps:
  - {key: hello, text: New hello.}
  - {key: last, wait: {after: 1d}, text: New last.}
"""


@pytest.fixture(autouse=True)
def _on() -> None:
    flags.set_nurture(percent=100)


def under_way() -> tuple[Journey, Journey, Journey]:
    """Three journeys: in the first step, in one that the new version lacks, in the last."""
    make.make_sequence(OLD)
    make.make_fact(recorded_at=make.NOW - 5 * DAY, expires_at=make.NOW + DAY)
    play(since=make.NOW - 4 * DAY, until=make.NOW - 1 * DAY)
    make.make_fact()
    play(since=make.NOW - 1 * DAY, until=make.NOW)
    make.make_fact()
    services.tick(now=make.NOW)
    first, second, third = Journey.objects.order_by("id")
    assert [row.step_key for row in (first, second, third)] == ["last", "gone", "hello"]
    return first, second, third


def publish(in_flight: InFlight) -> None:
    """The new version, one minute later."""
    draft = services.import_sequence(source=NEW, now=make.NOW)
    assert draft.sequence.draft_version is not None
    services.publish(sequence=draft.sequence, now=make.NOW, in_flight=in_flight)


@pytest.mark.parametrize("policy", list(InFlight))
def test_the_count_beforehand_is_what_happens(policy: InFlight) -> None:
    """P02: moved + finishing + exited = active before."""
    under_way()
    draft = services.import_sequence(source=NEW, now=make.NOW)
    version = draft.sequence.draft_version
    assert version is not None
    said = preview_in_flight(sequence=draft.sequence, version=version, policy=policy, now=make.NOW)
    assert said.moved + said.awaiting + said.finishing + said.exited == 3

    services.publish(sequence=draft.sequence, now=make.NOW, in_flight=policy)

    now_on: Counter[tuple[Any, ...]] = Counter(
        Journey.objects.values_list("status", "version__number", "moves_to__number")
    )
    assert now_on["active", 2, None] == said.moved
    assert now_on["active", 1, 2] == said.awaiting
    assert now_on["active", 1, None] == said.finishing
    assert now_on["exited", 1, None] == said.exited


def test_who_finishes_hears_the_old_words_to_the_end() -> None:
    """P01: pinned, byte for byte."""
    under_way()
    publish(InFlight.FINISH)
    play(since=make.NOW, until=make.NOW + 9 * DAY)

    texts = set(Delivery.objects.filter(status="sent").values_list("text", flat=True))
    assert "New last." not in texts
    assert "New hello." not in texts
    assert Journey.objects.filter(status="completed", version__number=1).count() == 3


def test_who_moves_hears_the_new_words_from_the_next_shared_step() -> None:
    """In a shared step at once; in one that is gone, after it."""
    first, second, third = under_way()
    publish(InFlight.MOVE)
    play(since=make.NOW, until=make.NOW + 9 * DAY)

    def heard(journey: Journey) -> list[str]:
        rows = Delivery.objects.filter(status="sent", decisions__journey=journey)
        return [row.text for row in rows.order_by("sent_at").distinct()][-2:]

    assert heard(first) == ["Only old.", "New last."]
    assert heard(second) == ["Only old.", "New last."]
    assert heard(third) == ["New hello.", "New last."]
    assert Journey.objects.filter(status="completed", version__number=2).count() == 3


def test_who_exits_hears_nothing_more() -> None:
    """What is planned is withdrawn, with its reason."""
    under_way()
    publish(InFlight.EXIT)

    assert set(Journey.objects.values_list("exit_reason", flat=True)) == {"version_replaced"}
    assert not Delivery.objects.filter(status="pending").exists()


def test_publishing_the_same_again_moves_nobody() -> None:
    """Safe to run twice."""
    under_way()
    publish(InFlight.MOVE)
    before = sorted(Journey.objects.values_list("pk", "version_id", "waiting_on_id"))
    services.publish(sequence=Sequence.objects.get(), now=make.NOW, in_flight=InFlight.MOVE)
    assert sorted(Journey.objects.values_list("pk", "version_id", "waiting_on_id")) == before
