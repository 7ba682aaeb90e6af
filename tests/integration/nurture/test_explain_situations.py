"""Situations, each with the one rule that decides, what it saw, and when the answer turns.

Together with test_explain.py these are more than forty (P27, N07, N08).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from delivery import services as delivery
from nurture import flags, services
from nurture.models import Contact, Journey
from nurture.services.explain import Explanation, explain
from nurture.services.simulation.run import play
from tests.factories import nurture as make

pytestmark = pytest.mark.django_db

SLUG, DAY, HOUR = "missed-class", timedelta(days=1), timedelta(hours=1)
Situation = Callable[[], Contact]


@pytest.fixture(autouse=True)
def _on() -> None:
    flags.set_nurture(percent=100)


def ask(contact: Contact, now: datetime = make.NOW) -> Explanation:
    """Ask about the sequence of these tests."""
    return explain(email=contact.learner.email, slug=SLUG, now=now)


def story(steps: str, head: str = "", **contact: Any) -> Contact:
    """A class missed, and a pass of the engine."""
    make.make_sequence(
        f"sequence: {SLUG}\nname: Story\ntriggers:\n  - {{fact: missed}}\n{head}steps:\n{steps}"
    )
    rosa = make.make_contact(**contact)
    make.make_fact(contact=rosa)
    services.tick(now=make.NOW)
    return rosa


def trigger(line: str, *facts: str, head: str = "") -> Contact:
    """A sequence with another trigger, and facts of one class after the other."""
    make.make_sequence(make.PLAIN.replace("{fact: missed}", line) + head)
    rosa, course = make.make_contact(), make.make_course()
    for back, kind in zip(range(len(facts) - 1, -1, -1), facts, strict=True):
        held = make.make_session(course=course, starts_at=make.CLASS_STARTS - back * HOUR)
        make.make_fact(kind, contact=rosa, session=held)
    services.tick(now=make.NOW)
    return rosa


HI = "  - {key: a, text: Hi.}\n"


def rolled_out_to_nobody() -> Contact:
    """A tenth of a percent: this learner is not among them."""
    rosa = story(HI)
    Journey.objects.all().delete()
    flags.set_nurture(percent=0.1)
    make.make_fact(contact=rosa)
    return rosa


def never_started() -> Contact:
    """Linked, but Telegram lets nobody write to a chat that was never opened."""
    rosa = make.make_contact()
    make.make_sequence()
    assert rosa.chat is not None
    delivery.set_reachability(chat=rosa.chat, reachability="never_started", now=make.NOW)
    make.make_fact(contact=rosa)
    services.tick(now=make.NOW)
    return rosa


def three_in_a_row() -> Contact:
    """Two were asked for, exactly."""
    return trigger("{fact: missed, times: 2}", "missed", "missed", "missed")


def never_again() -> Contact:
    """Once in a life: the second class starts nothing."""
    make.make_sequence(make.PLAIN.replace("again: every key", "again: never"))
    rosa = make.make_contact()
    make.make_fact(contact=rosa, session=make.make_session(starts_at=make.CLASS_STARTS - DAY))
    play(since=make.NOW - DAY, until=make.NOW - HOUR)
    make.make_fact(contact=rosa)
    services.tick(now=make.NOW)
    return rosa


def held_by_staff() -> Contact:
    """A journey that somebody paused."""
    rosa = story(HI)
    services.pause_all(journeys=Journey.objects.all(), now=make.NOW)
    return rosa


def bot_off() -> Contact:
    """Nothing goes out at all."""
    rosa = story(HI)
    flags.set_deliver(on=False, by="boss")
    return rosa


def snoozed() -> Contact:
    """She asked for three days of silence."""
    rosa = story(HI)
    assert rosa.chat is not None
    delivery.snooze(chat=rosa.chat, until=make.NOW + 3 * DAY)
    return rosa


def capped(then: str) -> Situation:
    """One message a day, and one was sent an hour ago."""

    def act() -> Contact:
        other = make.PLAIN.replace("missed-class", "other")
        make.make_sequence(other.replace("again: every key", "again: never"))
        rosa = make.make_contact()
        held = make.make_session(starts_at=make.CLASS_STARTS - HOUR)
        make.make_fact(contact=rosa, session=held)
        play(since=make.NOW - HOUR, until=make.NOW - HOUR)
        make.make_sequence(make.PLAIN + f"cap: {{per_day: 1, then: {then}}}\n")
        make.make_fact(contact=rosa)
        services.tick(now=make.NOW)
        return rosa

    return act


def expired() -> Contact:
    """Useful for an hour, and the bot was off for two."""
    rosa = story(
        "  - {key: a, expires: 1h, text: Hi.}\n  - {key: w, kind: wait, wait: {after: 9d}}\n"
    )
    flags.set_deliver(on=False, by="boss")
    play(since=make.NOW, until=make.NOW + 2 * HOUR)
    return rosa


def ended_by_a_fact() -> Contact:
    """She came to the next class."""
    rosa = story("  - {key: a, wait: {after: 9d}, text: Hi.}\n", head="exit_when: [attended]\n")
    journey = Journey.objects.get()
    held = make.make_session(course=journey.course, starts_at=make.CLASS_STARTS + HOUR)
    make.make_fact("attended", contact=rosa, session=held, recorded_at=make.NOW + HOUR)
    services.tick(now=make.NOW)
    return rosa


def worn_out() -> Contact:
    """A journey that took a hundred steps."""
    rosa = story("  - {key: w, kind: wait, wait: {after: 1h}}\n" + HI)
    Journey.objects.update(steps_taken=100, next_action_at=make.NOW)
    services.tick(now=make.NOW)
    return rosa


QUIET = {"quiet_opens": "20:00", "quiet_closes": "07:00"}
MORNING = datetime.fromisoformat("2026-03-04T07:00:00+00:00")


@pytest.mark.parametrize(
    ("situation", "verdict", "rule", "seen", "changes_at"),
    [
        (rolled_out_to_nobody, "not_in_rollout", "in_rollout", {"percent": 0.1}, None),
        (never_started, "unreachable", "chat_reachable", {}, None),
        (
            lambda: trigger("{fact: late}", "missed"),
            "no_such_fact", "fact_happened", {}, None,
        ),
        (
            lambda: trigger("{fact: missed, times: 2}", "missed"),
            "times_not_reached", "trigger_matched", {"in_a_row": 1, "wanted": [2]}, None,
        ),
        (three_in_a_row, "times_not_reached", "trigger_matched", {"in_a_row": 3}, None),
        (
            lambda: trigger("{fact: missed, course: other@x}", "missed"),
            "wrong_course", "trigger_matched", {}, None,
        ),
        (never_again, "already_entered", "entry_allowed", {"again": "never"}, None),
        (held_by_staff, "paused", "journey", {"status": "paused"}, None),
        (bot_off, "held_by_gate", "gate_open", {"gate": "bot:switch"}, ...),
        (snoozed, "snoozed", "snoozed", {}, make.NOW + 3 * DAY),
        (capped("defer"), "capped", "cap", {"per_day": 1, "then": "defer"}, make.NOW + 23 * HOUR),
        (capped("drop"), "capped", "cap", {"per_day": 1, "then": "drop"}, make.NOW + 23 * HOUR),
        (ended_by_a_fact, "exit_fact", "journey", {"status": "exited"}, None),
        (worn_out, "step_budget", "journey", {"status": "exited"}, None),
        (lambda: story(HI, **QUIET), "pending", "window", {"closes": "20:00:00"}, MORNING),
        (
            lambda: story("  - {key: w, kind: wait, wait: {after: 2d}}\n" + HI),
            "waiting", "step", {"step": "w"}, make.NOW + 2 * DAY,
        ),
        (
            lambda: story("  - {key: a, wait: {until_event: pledged, or_after: 3d}, text: Hi.}\n"),
            "waiting", "step", {"event": "pledged"}, make.NOW + 3 * DAY,
        ),
        (
            lambda: story("  - {key: a, wait: {after: 5h}, text: Hi.}\n"),
            "pending", "delivery", {"status": "pending"}, make.NOW + 5 * HOUR,
        ),
        (
            lambda: story("  - {key: e, kind: exit, reason: no}\n"),
            "sequence_exit", "journey", {}, None,
        ),
        (
            lambda: story("  - {key: a, when: replied, text: Hi.}\n"),
            "completed", "journey", {"status": "completed"}, None,
        ),
    ],
)  # fmt: skip
def test_the_deciding_rule(
    situation: Situation, verdict: str, rule: str, seen: dict[str, Any], changes_at: Any
) -> None:
    """N07: the verdict, the rule, its input, and when it would change."""
    found = ask(situation())
    assert (found.verdict, found.rule) == (verdict, rule)
    assert seen.items() <= dict(found.input).items()
    if changes_at is not ...:
        assert found.changes_at == (changes_at.isoformat() if changes_at else None)


@pytest.mark.parametrize(
    ("steps", "head", "code"),
    [
        ("  - {key: a, when: replied, text: Hi.}\n", "", "condition_false"),
        ("  - {key: a, text: '{{ next_session_url }}'}\n", "", "variable_missing"),
        ("  - {key: a, wait: {before_next_session: 2h}, text: Hi.}\n", "", "no_next_session"),
        ("  - {key: a, enabled: false, text: Hi.}\n", "", "step_disabled"),
        (
            HI,
            'outside_hours: skip\nwindow: {opens: "09:00", closes: "10:00"}\n',
            "outside_hours",
        ),
    ],
)
def test_a_step_that_was_passed_over_says_why(steps: str, head: str, code: str) -> None:
    """P27: the journey's decisions hold the reason and what it was made from."""
    rosa = story(steps, head)
    journey = Journey.objects.get(learner=rosa.learner)
    assert code in journey.decisions.values_list("code", flat=True)
    assert ask(rosa).verdict == "completed"


@pytest.mark.parametrize(
    "situation",
    [
        snoozed,
        capped("defer"),
        lambda: story(HI, **QUIET),
        lambda: story("  - {key: w, kind: wait, wait: {after: 2d}}\n" + HI),
        lambda: story("  - {key: a, wait: {after: 5h}, text: Hi.}\n"),
    ],
)
def test_the_answer_turns_when_it_says(situation: Situation) -> None:
    """N08: a second before it is the same; then the engine does what was waited for."""
    rosa = situation()
    found = ask(rosa)
    assert found.changes_at is not None
    at = datetime.fromisoformat(found.changes_at)

    play(since=make.NOW, until=at - timedelta(seconds=1))
    assert ask(rosa, at - timedelta(seconds=1)).changes_at == found.changes_at
    play(since=at, until=at)
    assert ask(rosa, at).verdict == "completed"


def test_a_class_of_which_nothing_may_be_said_yet() -> None:
    """Rosa's class is over, and the log may still bring her: when it is looked at again."""
    make.make_sequence()
    rosa = make.make_contact()
    held = make.make_session(next_check_at=make.NOW + HOUR)
    rosa.learner.enrolments.create(course=held.course)

    found = ask(rosa)

    assert found.rule == "class_settled"
    assert found.input["class"] == held.event_id
    assert found.changes_at == (make.NOW + HOUR).isoformat()


def test_what_expired_is_told_as_expired() -> None:
    """The journey goes on; the message says how it ended."""
    rosa = expired()
    rules = {row["rule"]: row for row in ask(rosa, make.NOW + 2 * HOUR).rules}
    assert "delivery" not in rules or rules["delivery"]["input"]["reason"] == "expired"
    assert Journey.objects.get().status == "active"
