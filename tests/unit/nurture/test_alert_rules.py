"""When an alert is told, told again and called over; and the page of figures (S14, S16)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from nurture.domain.alerts import (
    CATALOGUE,
    CLEAR,
    Advance,
    Code,
    Rule,
    Severity,
    Stretch,
    Tell,
    advance,
    wait_after,
)
from nurture.domain.exposition import render, sample

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
RULE = Rule("Late", "Look.", Severity.CRITICAL, after=5 * MINUTE)
NEW = Stretch(seen_since=NOW - 5 * MINUTE)
OPEN = replace(NEW, opened_at=NOW - MINUTE)
TOLD = replace(OPEN, told_at=NOW - MINUTE)


@pytest.mark.parametrize(
    ("stretch", "seen", "silenced", "then"),
    [
        # it begins
        (Stretch(NOW), True, False, Advance(Stretch(NOW))),
        (replace(NEW, seen_since=NOW - 4 * MINUTE), True, False, None),
        (NEW, True, False, Advance(replace(NEW, opened_at=NOW, told_at=NOW), Tell.TRIGGER)),
        (NEW, True, True, Advance(replace(NEW, opened_at=NOW))),
        (OPEN, True, False, Advance(replace(OPEN, told_at=NOW), Tell.TRIGGER)),  # silence is over
        # it stands
        (TOLD, True, False, Advance(TOLD)),
        (replace(TOLD, told_at=NOW - 4 * HOUR), True, False, Advance(TOLD, Tell.AGAIN)),
        (replace(TOLD, told_at=NOW - 4 * HOUR), True, True, None),
        # it goes
        (NEW, False, False, Advance(NEW, is_forgotten=True)),
        (TOLD, False, False, Advance(replace(TOLD, gone_since=NOW))),
        (replace(TOLD, gone_since=NOW - MINUTE), False, False, None),
        (replace(TOLD, gone_since=NOW - MINUTE), True, False, Advance(TOLD)),  # it is back
        (replace(TOLD, gone_since=NOW - CLEAR), False, False,
         Advance(replace(TOLD, gone_since=NOW - CLEAR), Tell.RESOLVE, is_resolved=True)),
        (replace(TOLD, gone_since=NOW - CLEAR), False, True,
         Advance(replace(TOLD, gone_since=NOW - CLEAR), Tell.RESOLVE, is_resolved=True)),
        (replace(OPEN, gone_since=NOW - CLEAR), False, True,
         Advance(replace(OPEN, gone_since=NOW - CLEAR), is_resolved=True)),
    ],
)  # fmt: skip
def test_one_look(stretch: Stretch, seen: bool, silenced: bool, then: Advance | None) -> None:
    done = advance(stretch, rule=RULE, is_seen=seen, is_silenced=silenced, now=NOW)

    if then and then.tell is Tell.AGAIN:
        then = replace(then, stretch=replace(stretch, told_at=NOW))
    assert done == (then or Advance(stretch))


def test_what_is_only_shown_is_never_told() -> None:
    rule = replace(RULE, after=None)

    assert advance(NEW, rule=rule, is_seen=True, is_silenced=False, now=NOW) == Advance(NEW)


def test_a_receiver_that_is_away_is_tried_ever_later() -> None:
    waits = [wait_after(tries).total_seconds() for tries in (1, 2, 3, 6, 7, 100)]

    assert waits == [15, 30, 60, 480, 900, 900]


def test_every_alert_says_what_it_is_and_what_to_do() -> None:
    assert set(CATALOGUE) == set(Code)
    for rule in CATALOGUE.values():
        assert rule.do.endswith(".")
        assert not rule.title.endswith(".")
        assert rule.again >= timedelta(hours=4)
        assert rule.tone == ("bad" if rule.severity == "critical" else "warn")


def test_the_page_is_as_prometheus_reads_it() -> None:
    meanings = {"telbot_b": "Bs", "telbot_nothing": "Never", "telbot_a": "As"}
    samples = [
        sample("telbot_a", 0.123456789), sample("telbot_b", 7, stream='a "quoted"\\\n'),
        sample("telbot_b", 10_000_000, stream="x", lane="bulk"),
    ]  # fmt: skip

    assert render(samples, meanings=meanings) == (
        "# HELP telbot_b Bs\n# TYPE telbot_b gauge\n"
        'telbot_b{stream="a \\"quoted\\"\\\\\\n"} 7\n'
        'telbot_b{stream="x",lane="bulk"} 10000000\n'
        "# HELP telbot_a As\n# TYPE telbot_a gauge\ntelbot_a 0.123457\n"
    )
    with pytest.raises(KeyError):
        render([sample("telbot_c", 1)], meanings=meanings)
