"""Moments, states and charts in words and numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils import timezone

from config.console import words
from config.console.charts import Chart, Series, points
from config.console.middleware import StaffZone

AT = datetime(2026, 11, 24, 8, tzinfo=UTC)


def test_a_moment_is_read_on_two_clocks() -> None:
    with timezone.override(ZoneInfo("Europe/Berlin")):
        said = words.moment(AT, "America/Bogota", now=AT + timedelta(hours=3))

    assert "3\xa0hours ago" in said
    assert "Tue 24 Nov 2026, 09:00 CET" in said
    assert "Tue 24 Nov 2026, 03:00 Bogota there" in said


def test_one_clock_is_said_once_and_nothing_is_a_dash() -> None:
    with timezone.override(ZoneInfo("Europe/Berlin")):
        assert "there" not in words.moment(AT, "Europe/Berlin", now=AT)
    assert words.moment(None) == "–"


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        (timedelta(0), "just now"),
        (timedelta(seconds=30), "in a moment"),
        (timedelta(days=2), "in 2\xa0days"),
        (-timedelta(minutes=5), "5\xa0minutes ago"),
    ],
)
def test_how_far_a_moment_is(ahead: timedelta, said: str) -> None:
    assert words.relative(AT + ahead, now=AT) == said


def test_what_is_not_ours_is_escaped() -> None:
    assert "<script>" not in words.pill("good", "<script>", "<script>")
    with pytest.raises(ValueError, match="no tone"):
        words.pill("green", "sent")


@pytest.mark.parametrize("name", ["Nowhere/Land", "../../etc/passwd", "Europe", "\x00", "a" * 5000])
def test_a_zone_that_is_none_is_not_followed(name: str) -> None:
    request = RequestFactory().get("/")
    request.COOKIES["telbot_zone"] = name

    answer = StaffZone(lambda _: HttpResponse(timezone.get_current_timezone_name()))(request)

    assert answer.content.decode() == timezone.get_default_timezone_name()


def test_bars_stand_on_each_other() -> None:
    chart = Chart("x", ["Mon"], [Series("sent", [3], "good"), Series("failed", [1], "bad")])
    low, high = chart.bars()

    assert (low.y, low.height) == (45, 135)
    assert (high.y, high.height) == (0, 45)
    assert chart.table() == [("Mon", [3, 1])]


def test_charts_of_nothing_are_drawn_without_an_error() -> None:
    assert Chart("x", [], [Series("sent", [])]).bars() == []
    assert Chart("x", ["Mon"], [Series("sent", [0])]).bars()[0].height == 0
    assert points([5]) == ""
    assert points([5, 5]) == "2.0,26.0 118.0,26.0"
    assert points([1, 3]) == "2.0,26.0 118.0,2.0"
