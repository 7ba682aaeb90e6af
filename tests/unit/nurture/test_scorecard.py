"""The rules of going live: what was measured, and what that says (S18)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from nurture.domain import figures, scorecard
from nurture.domain.figures import Share
from nurture.domain.scorecard import WEEK, Item, Record, overall

NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)
DARK = timedelta(hours=2)


def week(hits: int, of: int, *, watched: timedelta = WEEK, name: str = "success") -> Item:
    return scorecard.of_week(
        name, Share(hits, of), figures.Target(above=0.95), source="s", watched=watched,
        unit="deliveries",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("item", "verdict", "value"),
    [
        (week(97, 100), "pass", "97 % (97 of 100 deliveries), > 95 %"),
        (week(95, 100), "fail", "95 % (95 of 100 deliveries), > 95 %"),
        (week(19, 19), "not_yet", "100 % (19 of 19 deliveries), > 95 %; at least 20 are needed"),
        (
            week(1, 100, watched=timedelta(days=1.5)), "not_yet",
            "1 % (1 of 100 deliveries), > 95 %; 1.5 of 7 days are measured",
        ),
        (
            week(0, 0, watched=timedelta()), "not_yet",
            "– (0 of 0 deliveries), > 95 %; 0.0 of 7 days are measured",
        ),
    ],
)  # fmt: skip
def test_a_week_is_judged_when_it_is_full(item: Item, verdict: str, value: str) -> None:
    assert (item.verdict, item.value) == (verdict, value)


def test_a_share_is_never_rounded_up_to_all() -> None:
    assert scorecard.percent(Share(9_999, 10_000)) == "99.9 %"
    assert scorecard.percent(Share(10_000, 10_000)) == "100 %"


@pytest.mark.parametrize("verdict", ["pass", "fail", "not_enough"])
def test_the_audit_decides_by_its_interval(verdict: str) -> None:
    item = scorecard.of_audit(Share(48, 50), verdict)

    assert item.verdict == {"not_enough": "not_yet"}.get(verdict, verdict)
    assert ("judge more pairs" in item.value) is (verdict == "not_enough")


@pytest.mark.parametrize(
    ("open_now", "watched", "verdict"),
    [(0, WEEK, "pass"), (0, timedelta(), "not_yet"), (1, WEEK, "fail"), (1, timedelta(), "fail")],
)
def test_nobody_is_left_with_what_is_not_true(
    open_now: int, watched: timedelta, verdict: str
) -> None:
    item = scorecard.of_false_activations(open_now=open_now, of_week=3, watched=watched)
    assert item.verdict == verdict


def test_a_broken_invariant_is_named() -> None:
    assert scorecard.of_invariants(broken=[], of=9).verdict == "pass"
    item = scorecard.of_invariants(broken=["sent_twice"], of=9)
    assert (item.verdict, "8 of 9 hold; broken: sent_twice" in item.value) == ("fail", True)
    assert item.label == "Self-audit"  # as the menu has it


@pytest.mark.parametrize(
    ("hours", "broken", "verdict", "word"),
    [
        (None, [], "not_yet", "no audit has run to its end yet"),
        (25.9, [], "pass", "9 of 9 hold; 25.9 h ago, < 26 h"),
        (1, ["sent_twice"], "fail", "broken: sent_twice"),
        (26, [], "not_yet", "too long ago"),
        (26, ["sent_twice"], "not_yet", "broken: sent_twice"),
    ],
)
def test_what_the_night_found_is_known_for_a_day(
    hours: float | None, broken: list[str], verdict: str, word: str
) -> None:
    at = None if hours is None else NOW - timedelta(hours=hours)
    item = scorecard.of_last_audit(broken=broken, of=9, at=at, now=NOW)
    assert (item.name, item.verdict, word in item.value) == ("audit", verdict, True)
    assert item.time == (at.isoformat() if at else "")


def test_late_alarming_or_astray() -> None:
    assert scorecard.of_lateness(90, at_most=90).verdict == "pass"
    assert scorecard.of_lateness(91, at_most=90).verdict == "fail"
    assert scorecard.of_alerts([]).verdict == "pass"
    assert scorecard.of_alerts(["The worker is gone."]).value == "The worker is gone."


@pytest.mark.parametrize(
    ("environment", "has_bot", "strays", "verdict", "word"),
    [
        ("production", True, 0, "pass", "every chat is meant"),
        ("staging", True, 0, "pass", "only allowed chats"),
        ("local", False, 0, "pass", "sandbox"),
        ("staging", True, 2, "fail", "2 went to chats"),
    ],
)
def test_only_production_writes_to_everybody(
    environment: str, has_bot: bool, strays: int, verdict: str, word: str
) -> None:
    item = scorecard.of_isolation(environment=environment, has_bot=has_bot, strays=strays)
    assert (item.verdict, word in item.value) == (verdict, True)


@pytest.mark.parametrize(
    ("record", "verdict", "word"),
    [
        (None, "not_yet", "none is known; run it"),
        (Record(at=NOW - timedelta(hours=25), ok=True, what="3 MB"), "pass", "25.0 h old, < 26 h"),
        (Record(at=NOW - timedelta(hours=26), ok=True, what=""), "fail", "too old: run it"),
        (Record(at=NOW - timedelta(days=9), ok=True, what=""), "fail", "9.0 days old, < 26 h"),
        (Record(at=NOW, ok=False, what="3 MB"), "fail", "it failed: run it"),
    ],
)
def test_what_is_done_regularly_is_young_and_well(
    record: Record | None, verdict: str, word: str
) -> None:
    item = scorecard.of_record(
        "backup", record, at_most=scorecard.BACKUP_AGE, now=NOW, source="s", do="run it"
    )
    assert (item.verdict, word in item.value) == (verdict, True)
    assert bool(item.time) is (record is not None)


def test_staff_have_roles_and_second_factors() -> None:
    def staff(
        missing: tuple[str, ...] = (),
        role: int = 0,
        factor: int = 0,
        of: int = 2,
        asked: bool = True,
    ) -> Item:
        return scorecard.of_staff(
            missing=missing, without_role=role, without_factor=factor, of=of, asked=asked
        )

    assert staff().verdict == "pass"
    assert staff(of=0).verdict == "not_yet"
    assert staff(factor=1, asked=False).verdict == "not_yet"
    wrong = staff(missing=("viewer",), role=1, factor=2)
    assert wrong.verdict == "fail"
    assert "missing (viewer)" in wrong.value
    assert "1 have no role; 2 have no second factor" in wrong.value


@pytest.mark.parametrize(
    ("minutes", "configured", "verdict"),
    [
        ((10, 20), True, "pass"),
        ((10, 121), True, "fail"),
        ((10, None), True, "not_yet"),
        ((), True, "not_yet"),
        ((10, 20), False, "not_yet"),
    ],
)
def test_google_is_read_as_a_whole_of_late(
    minutes: tuple[int | None, ...], configured: bool, verdict: str
) -> None:
    readings = [("meet", None if ago is None else NOW - timedelta(minutes=ago)) for ago in minutes]
    item = scorecard.of_google(readings, now=NOW, dark=DARK, configured=configured)
    assert item.verdict == verdict


def test_the_worst_decides() -> None:
    good, bad, open_yet = week(97, 100), week(1, 100), week(0, 0)
    assert overall([good, open_yet, bad]) == "fail"
    assert overall([good, open_yet]) == "not_yet"
    assert overall([good]) == "pass"


def test_an_item_as_people_and_programs_read_it() -> None:
    item = Item(name="oldest_due", verdict="pass", value="0 s", source="rows")
    assert item.label == "Oldest due"
    assert item.as_dict() == {
        "name": "oldest_due", "verdict": "pass", "value": "0 s", "source": "rows",
    }  # fmt: skip
    assert Item(name="a", verdict="pass", value="b", source="c", time="d").as_dict()["time"] == "d"
