"""After which messages learners leave, and what holds a sequence for it (N16, P17)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse

from delivery import clock
from delivery import services as delivery
from delivery.models import Chat, Consent, Delivery, Gate
from delivery.models.gates import OPEN
from nurture import flags, selectors, services
from nurture.domain.leaving import Leaving
from nurture.models import Sequence, StaffTask
from nurture.services.leaving import hold_what_drives_away
from tests.factories import nurture as make

pytestmark = pytest.mark.django_db
NOW = make.NOW
HOUR = timedelta(hours=1)
TWO_STEPS = (
    make.PLAIN
    + """\
  - key: again
    wait: {after: 1h}
    text: "Still there?"
"""
)


@pytest.fixture
def sequence() -> Sequence:
    """Two messages, an hour apart; its gate was opened long ago."""
    flags.set_nurture(percent=100)
    made = make.make_sequence(TWO_STEPS)
    delivery.ensure_stream(made.slug)
    Gate.objects.filter(key=f"stream:{made.slug}").update(updated_at=OPEN)
    return made


def told(count: int) -> list[Chat]:
    """So many learners get the first message at NOW, and are owed the second."""
    for _ in range(count):
        make.make_fact()
    services.tick(now=NOW)
    first = list(Delivery.objects.filter(status="pending", dedupe_key__contains=":hello:"))
    for row in first:
        make.settle(row, at=NOW)
    services.tick(now=NOW)
    return [row.chat for row in first]


def blocks(chat: Chat, after: timedelta = HOUR / 2) -> None:
    Chat.objects.filter(pk=chat.pk).update(
        reachability="blocked", reachability_changed_at=NOW + after
    )


def stops(chat: Chat, after: timedelta = HOUR / 2) -> None:
    delivery.set_consent(chat=chat, category="", granted=False, source="stop", now=NOW + after)


def report(sequence: Sequence, now: timedelta = 48 * HOUR) -> list[Leaving]:
    found = selectors.left_by_step(sequence_ids=[sequence.pk], since=NOW - 48 * HOUR, now=NOW + now)
    return found.get(sequence.pk, [])


def gate(sequence: Sequence) -> Gate:
    return Gate.objects.get(key=f"stream:{sequence.slug}")


def test_who_leaves_within_a_day_counts_against_the_message(sequence: Sequence) -> None:
    chats = told(8)
    blocks(chats[0])
    blocks(chats[1], 24 * HOUR)
    blocks(chats[2], 25 * HOUR)  # a day later
    blocks(chats[3], -HOUR)  # before it
    stops(chats[4])
    stops(chats[5])
    blocks(chats[5])  # both: one learner
    delivery.set_consent(chat=chats[6], category="", granted=False, source="staff", now=NOW + HOUR)

    assert report(sequence) == [Leaving(step_key="hello", messages=8, blocked=3, stopped=1)]


def test_each_message_of_the_day_before_counts(sequence: Sequence) -> None:
    (chat,) = told(1)
    make.settle(Delivery.objects.get(status="pending"), at=NOW + HOUR)
    blocks(chat, 2 * HOUR)
    assert {row.step_key: row.left for row in report(sequence)} == {"hello": 1, "again": 1}


def test_what_cannot_be_known_counts_as_told_and_tests_do_not(sequence: Sequence) -> None:
    told(3)
    doubtful, test, _owed = Delivery.objects.filter(status="pending")
    make.settle(doubtful, at=NOW, status="unknown", reason="no_answer")
    make.settle(test, at=NOW)
    Delivery.objects.filter(pk=test.pk).update(is_test=True)
    assert {row.step_key: row.messages for row in report(sequence)} == {"hello": 3, "again": 1}
    assert report(sequence, now=-HOUR) == []


def test_who_came_back_is_not_gone(sequence: Sequence) -> None:
    (chat,) = told(1)
    stops(chat)
    Consent.objects.update(granted=True, source="button")
    assert [row.left for row in report(sequence)] == [0]


def test_a_sequence_that_drives_learners_away_is_held_and_staff_told_once(
    sequence: Sequence,
) -> None:
    """P17: the reason names the rate and the step; what is owed stays owed."""
    chats = told(20)
    for chat in chats[:3]:
        blocks(chat)
    for chat in chats[3:5]:
        stops(chat)
    owed = Delivery.objects.filter(status="pending").count()
    assert services.has_upkeep(now=NOW + HOUR / 2)

    services.tick(now=NOW + HOUR / 2)
    services.tick(now=NOW + HOUR / 2)

    held = gate(sequence)
    assert held.closed_until.year == 2999
    assert held.closed_by == "telbot"
    assert held.reason == (
        "within 24 h of step hello 5 of 20 learners left (25%): 3 blocked the bot, 2 said stop"
    )
    assert Delivery.objects.filter(status="pending").count() == owed > 10
    task = StaffTask.objects.get(kind="sequence_held")
    assert task.learner is None
    assert "(25%)" in task.note
    assert "manage.py resume stream:missed-class" in task.note
    assert not services.has_upkeep(now=NOW + HOUR / 2)
    StaffTask.objects.update(done_at=NOW)
    services.tick(now=NOW + HOUR)
    assert StaffTask.objects.count() == 1


@pytest.mark.parametrize(("messages", "gone"), [(20, 4), (60, 5)])
def test_few_or_unsure_hold_nothing(sequence: Sequence, messages: int, gone: int) -> None:
    for chat in told(messages)[:gone]:
        blocks(chat)
    assert hold_what_drives_away(now=NOW + HOUR) == 0
    assert gate(sequence).closed_until == OPEN


def test_who_opens_it_again_begins_with_a_clean_slate(sequence: Sequence) -> None:
    for chat in told(20)[:6]:
        blocks(chat)
    assert hold_what_drives_away(now=NOW + HOUR) == 1
    delivery.open_gate(key=gate(sequence).key, by="boss")
    assert hold_what_drives_away(now=NOW + HOUR) == 0
    assert gate(sequence).closed_until == OPEN


def test_what_staff_hold_stays_theirs(sequence: Sequence) -> None:
    for chat in told(20)[:6]:
        blocks(chat)
    flags.set_stream(slug=sequence.slug, on=False, by="boss")
    assert hold_what_drives_away(now=NOW + HOUR) == 0
    assert gate(sequence).reason == "paused by staff"
    assert not StaffTask.objects.exists()


def test_long_ago_is_long_ago(sequence: Sequence) -> None:
    for chat in told(20)[:6]:
        blocks(chat)
    assert hold_what_drives_away(now=NOW + timedelta(days=8)) == 0


def test_what_the_sender_held_is_told_too(sequence: Sequence) -> None:
    delivery.close_gate(key=gate(sequence).key, reason="12 of its last 50 failed", by="sender")
    services.tick(now=NOW)
    services.tick(now=NOW)
    assert "12 of its last 50 failed" in StaffTask.objects.get().note


def test_staff_see_the_steps_ranked(sequence: Sequence, admin_client: Client) -> None:
    """On the sequence's own page, and the task that belongs to no learner in its list."""
    now = clock.now()
    chats = told(4)
    Delivery.objects.filter(status="sent").update(sent_at=now - HOUR)
    Chat.objects.filter(pk=chats[0].pk).update(
        reachability="blocked", reachability_changed_at=now - HOUR / 2
    )
    delivery.close_gate(key=gate(sequence).key, reason="too much", by="telbot")
    services.tick(now=NOW)

    page = admin_client.get(reverse("admin:nurture_sequence_change", args=[sequence.pk]))
    tasks = admin_client.get(reverse("admin:nurture_stafftask_changelist"))

    assert "25.0%" in page.content.decode()
    assert "4.6% to 69.9%" in page.content.decode()
    assert "too much" in tasks.content.decode()
