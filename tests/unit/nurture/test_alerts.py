"""Alerts and the set-up checklist, from how things stand (P29)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from attendance.domain.evaluation import Share
from attendance.selectors import figures as attendance
from config.admin.checklist import checklist
from delivery import selectors as delivery
from delivery.models import Process
from nurture import selectors
from nurture.flags import Stand
from nurture.services.alerts import alerts
from nurture.services.figures import Standing

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def seen(seconds_ago: float = 5) -> delivery.Alive:
    """A process."""
    at = NOW - timedelta(seconds=seconds_ago)
    return delivery.Alive(seen_at=at, seconds_ago=seconds_ago, minutes=9, of=10)


def gate(key: str, **values: Any) -> delivery.Queue:
    """A gate; open, with nothing behind it."""
    scope = "stream" if key.startswith("stream:") or key == "replies" else "bot"
    quiet = delivery.Queue(key, scope, False, "", "", NOW, 0, None)
    return replace(quiet, **values)


def reading(source: str, **values: Any) -> attendance.Reading:
    """A complete reading of a moment ago."""
    return replace(attendance.Reading(source, NOW, "complete", "", NOW), **values)


ALIVE = {name: seen() for name in ("clock", "worker")}
WELL = Standing(
    now=NOW,
    switches=Stand(percent=100, attendance=True, deliver=True),
    queues=[gate("bot"), gate("replies"), gate("stream:x")],
    delivery=delivery.Standing(
        unknown=0, dead=0, has_sent=True, bot_username="school_bot", heard_at=NOW,
        processes={**ALIVE, "poller": seen()},
    ),
    attendance=attendance.Standing(0, True, 9, 10, [reading("calendar"), reading("meet")]),
    nurture=selectors.Standing(open_tasks=0, has_published=True, has_linked=True),
    audit=Share("strict accuracy", 0, 0, above=0.9),
)  # fmt: skip


def of_delivery(**values: Any) -> Standing:
    """All well but for this."""
    return replace(WELL, delivery=replace(WELL.delivery, **values))


def of_queues(*queues: delivery.Queue) -> Standing:
    """All well but for these gates."""
    return replace(WELL, queues=list(queues))


def of_readings(*readings: attendance.Reading) -> Standing:
    """All well but for these readings."""
    return replace(WELL, attendance=replace(WELL.attendance, readings=list(readings)))


def of_nurture(**values: Any) -> Standing:
    """All well but for this."""
    return replace(WELL, nurture=replace(WELL.nurture, **values))


def expecting(**processes: delivery.Alive) -> Standing:
    """A deployment that is asked for its health and polls."""
    expects = [Process.WEB, Process.POLLER]
    return replace(of_delivery(processes=ALIVE | processes), expects=expects)


LATE = {"due": 1, "oldest": NOW - 10 * MINUTE}
SWITCH = gate("bot:switch", closed=True)


@pytest.mark.parametrize(
    ("standing", "said"),
    [
        (WELL, []),
        (of_delivery(processes={}), []),  # never started: that is for the checklist
        (of_delivery(processes={"clock": seen(300)}), [("bad", "clock", "not seen for 5 min")]),
        (of_delivery(unknown=1), [("warn", "unknown", "1 delivery cannot be known")]),
        (of_delivery(dead=10_001), [("warn", "dead", "More than 10,000 deliveries")]),
        (of_queues(gate("bot", closed=True)), [("bad", "gate", "The gate bot is closed")]),
        (
            of_queues(gate("bot", closed=True, reason="429")),
            [("warn", "gate", "Telegram asked us to wait")],
        ),
        (of_queues(SWITCH), [("bad", "gate", "The gate bot:switch is closed: closed by staff")]),
        (of_queues(gate("stream:x", closed=True, reason="9 failed")), [("warn", "gate", "9 fail")]),
        (of_queues(gate("stream:x", **LATE)), [("warn", "late", "10 min late")]),
        (of_queues(gate("replies", **LATE)), [("warn", "late", "10 min late")]),
        (of_queues(gate("replies", due=1, oldest=NOW - 61 * MINUTE)),
         [("bad", "late", "61 min late")]),
        (of_queues(gate("bot", reason="429")), [("warn", "gate", "Telegram asked us to wait")]),
        (of_queues(gate("bot", reason="429", updated_at=NOW - 10 * MINUTE)), []),
        (of_delivery(waiting_since=NOW - 6 * MINUTE), [("warn", "update", "for 6 min")]),
        (of_delivery(waiting_since=NOW - 5 * MINUTE), []),
        (of_nurture(fact_since=NOW - 11 * MINUTE), [("bad", "fact", "A fact has waited for 11")]),
        (of_nurture(fact_since=NOW - 10 * MINUTE, journey_since=NOW - 10 * MINUTE), []),
        (of_nurture(journey_since=NOW - 99 * MINUTE), [("bad", "journey", "A journey has waite")]),
        (replace(of_nurture(journey_since=NOW - 99 * MINUTE), switches=Stand(0, True, True)),
         []),  # they are meant to stand still
        (of_delivery(processes=ALIVE | {"web": seen(61), "poller": seen(86)}), []),
        (expecting(web=seen(61), poller=seen(86)),
         [("bad", "web", "not seen for 1 min"), ("bad", "poller", "not seen for 1 min")]),
        (expecting(web=seen(60), poller=seen(85)), []),
        (expecting(), []),  # they never ran
        (of_delivery(dead=1, poison=1),
         [("bad", "poison", "kill what handles them: 1"), ("warn", "dead", "1 delivery")]),
        (replace(WELL, hour={"failed": 1, "dead": 1, "unknown": 1, "sent": 56, "heard": 9}),
         [("bad", "failed", "3 of 59 deliveries")]),
        (replace(WELL, hour={"failed": 1, "refused": 9, "sent": 10}), []),  # not over 5 %
        (replace(WELL, hour={"failed": 9, "sent": 10}), []),  # too few to say
        (of_queues(gate("stream:x", closed=True, **LATE)), [("warn", "gate", "stream:x is")]),
        (of_queues(SWITCH, gate("stream:x", **LATE)), [("bad", "gate", "bot:switch is")]),
        (of_readings(reading("meet", state=None)), []),  # Google was never read
        (of_readings(reading("meet", state="failed", error="quota")),
         [("warn", "google", "Meet log failed: quota")]),
        (of_readings(reading("meet", state="failed", complete_at=None)),
         [("bad", "google", "no reason given")]),
        (of_readings(reading("calendar", complete_at=NOW - 121 * MINUTE)),
         [("bad", "google", "calendar was not read as a whole")]),
        (of_readings(reading("meet", state="failed", failure="circuit_open")),
         [("bad", "google", "is left in peace"), ("warn", "google", "Meet log failed")]),
        (of_readings(reading("meet", lag_seconds=10_801)), [("warn", "google", "over 3 hours")]),
        (replace(of_readings(reading("meet", complete_at=None)), switches=Stand(100, False, True)),
         []),  # nobody wants it read
        (replace(WELL, nurture=selectors.Standing(2, True, True)), [("warn", "task", "tasks: 2")]),
        (replace(WELL, attendance=replace(WELL.attendance, open_reviews=20)),
         [("warn", "review", "20 questions")]),
    ],
)  # fmt: skip
def test_what_is_told(standing: Standing, said: list[tuple[str, str, str]]) -> None:
    found = alerts(standing)

    assert [(alert.tone, alert.about) for alert in found] == [(tone, of) for tone, of, _ in said]
    for alert, (_, _, words) in zip(found, said, strict=True):
        assert words in alert.words
        assert alert.do.endswith(".")


def test_what_needs_an_act_stands_before_what_needs_a_look() -> None:
    standing = replace(of_queues(gate("stream:x", closed=True), SWITCH), now=NOW)

    assert [alert.tone for alert in alerts(standing)] == ["bad", "warn"]


@pytest.mark.parametrize(
    ("standing", "missing"),
    [
        (WELL, []),
        (of_delivery(processes={"clock": seen(61), "worker": seen(), "poller": seen(100)}),
         ["The clock runs"]),
        (of_delivery(processes={"clock": seen(), "worker": seen(), "poller": seen(121)}),
         ["The bot listens"]),
        (of_delivery(bot_username=""), ["The bot's token is right"]),
        (of_queues(gate("bot:token", closed=True)), ["The bot's token is right"]),
        (of_readings(reading("meet", complete_at=None)), ["Google lets us read"]),
        (of_delivery(has_sent=False), ["A first message has arrived"]),
        (replace(WELL, nurture=selectors.Standing(0, False, False)),
         ["A first learner has opened the bot", "A first sequence is published"]),
    ],
)  # fmt: skip
def test_what_is_still_to_set_up(standing: Standing, missing: list[str], settings: Any) -> None:
    settings.TELEGRAM_WEBHOOK_SECRET = ""

    assert [step.name for step in checklist(standing) if not step.done] == missing


def test_with_a_webhook_nobody_has_to_poll(settings: Any) -> None:
    settings.TELEGRAM_WEBHOOK_SECRET = "secret"
    silent = of_delivery(heard_at=None, processes={"clock": seen(), "worker": seen()})

    assert [step.name for step in checklist(silent) if not step.done] == ["Telegram reaches us"]
    assert all(step.done for step in checklist(replace(WELL, now=NOW)))
