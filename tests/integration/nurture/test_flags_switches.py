"""Switches: seeded once from the settings, true from the commit on (P03)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
import waffle
from django.core.management import CommandError, call_command
from waffle.models import Flag, Switch

from attendance.tasks import settle_sessions
from delivery.models import Gate
from delivery.services.gates import close_gate
from nurture import flags
from nurture.models import Sequence
from nurture.services.switches import turn

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def _run(*args: str) -> dict[str, Any]:
    out = StringIO()
    call_command(*args, "--json", stdout=out)
    said: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return said


@pytest.mark.parametrize(
    ("enabled", "percent", "expected"),
    [(False, 50.0, "off"), (True, 100.0, "on"), (True, 12.5, "12.5%"), (True, 0.0, "off")],
)
def test_seed_takes_the_settings_once(
    settings: Any, enabled: bool, percent: float, expected: str
) -> None:
    """What staff changed later is not seeded away."""
    Flag.objects.all().delete()
    settings.NURTURE_ENABLED, settings.ROLLOUT_PERCENT = enabled, percent
    assert flags.state("nurture") == expected
    flags.set_nurture(percent=7)
    flags.seed()
    assert flags.state("nurture") == "7%"


def test_raising_the_share_only_adds_learners() -> None:
    """Nobody falls out when the rollout widens."""
    flags.set_nurture(percent=20)
    few = {number for number in range(300) if flags.in_rollout(number)}
    flags.set_nurture(percent=60)
    more = {number for number in range(300) if flags.in_rollout(number)}
    assert few < more
    assert 30 < len(few) < 90


@pytest.mark.parametrize("bad", ["101", "-1", "nan", "0.05", "many"])
def test_a_share_that_is_none_changes_nothing(bad: str) -> None:
    """The switch says so, and stays."""
    flags.set_nurture(percent=20)
    with pytest.raises(CommandError, match="Nothing was changed"):
        call_command("switch", "nurture", "--", bad)
    assert flags.state("nurture") == "20%"


def test_resume_gives_the_share_back() -> None:
    """A pause remembers how far the rollout had come."""
    flags.set_nurture(percent=20)
    assert _run("pause", "nurture")["after"] == "off"
    assert not flags.nurture_is_on()
    assert _run("resume", "nurture") == {"name": "nurture", "before": "off", "after": "20%"}


def test_deliver_moves_its_gate() -> None:
    """Off closes `bot:switch`, on opens it, and what a refused token had closed."""
    close_gate(key="bot:token", reason="Telegram refuses it", by="sender")
    assert _run("switch", "deliver", "off") == {"name": "deliver", "before": "on", "after": "off"}
    assert Gate.objects.get(key="bot:switch").closed_until > NOW
    assert not Switch.objects.get(name="deliver").active
    assert _run("switch", "deliver", "on")["after"] == "on"
    assert not Gate.objects.filter(scope="bot", closed_until__gt=NOW).exists()


def test_a_stream_is_paused_and_resumed() -> None:
    """Only this sequence's gate moves."""
    Sequence.objects.create(slug="missed-class", name="We missed you")
    assert _run("pause", "stream:missed-class")["after"] == "off"
    assert _run("resume", "stream:missed-class")["after"] == "on"


@pytest.mark.parametrize("name", ["stream:nowhere", "nothing", "stream:"])
def test_an_unknown_switch_is_an_error(name: str) -> None:
    """No gate is made for a name that is none."""
    with pytest.raises(CommandError, match="Nothing was changed"):
        call_command("pause", name)
    assert not Gate.objects.filter(key=name).exists()


def test_a_percentage_is_for_nurture_only() -> None:
    """Half an attendance makes no sense."""
    with pytest.raises(CommandError, match="nurture only"):
        call_command("switch", "attendance", "50")


def test_switches_are_turned_and_read_while_redis_is_away(
    settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    """The kill switch and the reading of Google: the clock goes on without Redis."""
    away = {"LOCATION": "redis://127.0.0.1:1"}
    settings.CACHES = settings.CACHES | {"default": settings.CACHES["default"] | away}

    for name, to in (("deliver", "off"), ("attendance", "on"), ("nurture", "5")):
        with django_capture_on_commit_callbacks(execute=True):
            turn(name=name, to=to, by="ann", now=NOW)

    assert not flags.deliver_is_on()
    assert flags.rollout_percent() == 5
    settle_sessions.fn()
    assert waffle.switch_is_active("attendance")
