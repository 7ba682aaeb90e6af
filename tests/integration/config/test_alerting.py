"""Slack and PagerDuty hear of what is wrong once, and once that it is over (S16).

Receivers on loopback over real HTTP; moments are given, so nothing waits.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import redis
from django.core.management import CommandError, call_command
from django.db import connection, connections

from config import watch
from config.pagers import channels
from config.watch import OUTAGE, Watch
from delivery import clock
from delivery.gate_queries import HOLD_BOT
from delivery.models import Delivery, Process
from delivery.services import beat, close_gate, open_gate
from nurture.domain.alerts import CLEAR, Code
from nurture.models import AlertEpisode, AlertNotice, AlertSilence
from nurture.services import telling
from nurture.services.alerts import alerts
from nurture.services.figures import standing
from tests.factories.delivery import make_delivery
from tests.factories.nurture import settle
from tests.integration.config.receivers import Receiver, receiving

pytestmark = pytest.mark.django_db
TOKEN = "bot:token"  # the gate, whose alert is told at once


@pytest.fixture
def slack() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def pager() -> Iterator[Receiver]:
    with receiving(status=202) as receiver:
        yield receiver


class World:
    """telbot's alerts with a clock of their own: `pass_` lets time go by between looks."""

    def __init__(self, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.redis_url, self.ahead = settings.REDIS_URL, timedelta()
        real = clock.now
        monkeypatch.setattr(clock, "now", lambda: real() + self.ahead)

    def watch(self) -> Watch:
        """One clock's watch."""
        return Watch(channels=channels(), redis_url=self.redis_url)

    def look(self, *, after: timedelta = timedelta()) -> None:
        """A clock looks, so much later."""
        self.ahead += after
        self.watch().look(at=self.ahead.total_seconds)


@pytest.fixture
def world(
    settings: Any, monkeypatch: pytest.MonkeyPatch, slack: Receiver, pager: Receiver
) -> Iterator[World]:
    settings.SLACK_WEBHOOK_URL = f"{slack.url}/services/T0/B0/secret"
    settings.PAGERDUTY_ROUTING_KEY, settings.PAGERDUTY_API_URL = "R0UT1NG", pager.url
    settings.PUBLIC_URL = "https://telbot.example.org"
    yield World(settings, monkeypatch)
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.delete(OUTAGE)


def said(slack: Receiver) -> list[str]:
    """What Slack shows."""
    return [json.loads(body)["text"] for _, body in slack.arrived]


def events(pager: Receiver) -> list[tuple[str, str]]:
    """What PagerDuty was told, and of what: (action, key)."""
    found = [json.loads(body) for _, body in pager.arrived]
    assert all(event["routing_key"] == "R0UT1NG" for event in found)
    assert {path for path, _ in pager.arrived} <= {"/v2/enqueue"}
    return [(event["event_action"], event["dedup_key"]) for event in found]


def actions(pager: Receiver) -> list[str]:
    """The actions alone."""
    return [action for action, _ in events(pager)]


def wrong() -> None:
    close_gate(key=TOKEN, reason="Telegram refuses Rosa's token", by="sender")


def right() -> None:
    open_gate(key=TOKEN, by="ann")


def test_each_hears_once_that_it_began_and_once_that_it_is_over(
    world: World, slack: Receiver, pager: Receiver
) -> None:
    wrong()
    for _ in range(3):
        world.look()
    right()
    for _ in range(3):
        world.look(after=CLEAR)

    assert actions(pager) == ["trigger", "resolve"]
    assert len({key for _, key in events(pager)}) == 1
    began, over = said(slack)
    assert "*Telegram refuses the bot's token*" in began
    assert "is over" in over
    event = json.loads(pager.arrived[0][1])
    assert event["payload"]["severity"] == "critical"
    assert event["links"][0]["href"].startswith("https://telbot.example.org/admin/nurture/alert")
    assert event["payload"]["custom_details"]["runbook"].endswith("#token_refused")
    everything = b"".join(body for _, body in [*slack.arrived, *pager.arrived])
    assert b"Rosa" not in everything  # what others say in free text stays inside
    assert AlertEpisode.objects.get().resolved_at


def test_over_five_percent_of_the_deliveries_failed(world: World, pager: Receiver) -> None:
    """The whole way from the rows; what comes and goes within minutes tells nobody anything."""
    for number in range(30):
        failed = number < 3
        settle(
            make_delivery(), at=clock.now(), status="failed" if failed else "sent",
            reason="request_refused" if failed else "",
        )  # fmt: skip
    world.look()
    assert actions(pager) == []

    world.look(after=timedelta(minutes=2))
    assert actions(pager) == ["trigger"]
    assert "3 of 30 deliveries of the last hour" in pager.arrived[0][1].decode()

    Delivery.objects.filter(status="failed").update(is_test=True)
    world.look()
    Delivery.objects.filter(status="failed").update(is_test=False)
    world.look(after=CLEAR / 2)  # well for a moment only
    world.look(after=CLEAR * 2)
    assert actions(pager) == ["trigger"]


@pytest.mark.django_db(transaction=True)
def test_two_clocks_at_once_tell_once(world: World, slack: Receiver, pager: Receiver) -> None:
    wrong()
    start = threading.Barrier(4)

    def clock_process() -> None:
        try:
            own = world.watch()
            start.wait(10)
            for _ in range(4):
                own.look(at=lambda: 0.0)
        finally:
            connections.close_all()

    clocks = [threading.Thread(target=clock_process) for _ in range(4)]
    for each in clocks:
        each.start()
    for each in clocks:
        each.join(30)

    assert actions(pager) == ["trigger"]
    assert len(said(slack)) == 1


def test_who_was_away_hears_later_and_once(world: World, slack: Receiver, pager: Receiver) -> None:
    slack.status = 503
    wrong()
    for seconds in (0, 0, 15, 30, 60, 120, 240, 480):
        world.look(after=timedelta(seconds=seconds))
    notice = AlertNotice.objects.get(channel="slack")
    assert (notice.tries, notice.error) == (7, "it answered 503")  # ever later
    right()
    world.look(after=CLEAR)
    slack.status = 200
    world.look(after=CLEAR)
    assert actions(pager) == ["trigger", "resolve"]  # one receiver does not hold up the other
    assert said(slack) == []  # that it is over is not told before that it began

    for _ in range(3):
        world.look(after=timedelta(minutes=15))

    began, over = said(slack)
    assert "is over" in over
    assert "is over" not in began


def test_a_teller_that_died_is_followed_by_another(world: World, pager: Receiver) -> None:
    """Killed between the claim and the call."""
    wrong()
    present = clock.now()
    told = {"pagerduty": False}
    telling.review(found=alerts(standing(now=present)), channels=told, now=present)
    assert len(telling.claim_notices(now=present, channels=["pagerduty"])) == 1

    world.look()
    assert actions(pager) == []  # it may still be on its way
    world.look(after=telling.CLAIMED)
    assert actions(pager) == ["trigger"]


def test_what_stands_is_told_again_where_nobody_else_does(
    world: World, slack: Receiver, pager: Receiver
) -> None:
    wrong()
    world.look()
    world.look(after=timedelta(hours=3, minutes=59))
    assert len(said(slack)) == 1
    for _ in range(2):
        world.look(after=timedelta(hours=4))

    assert [text.split()[1] for text in said(slack)] == ["*Telegram", "Still:", "Still:"]
    assert actions(pager) == ["trigger"]  # PagerDuty repeats by itself


def test_in_a_silence_nobody_is_told_before_its_end(
    world: World, slack: Receiver, pager: Receiver
) -> None:
    told = StringIO()
    call_command("alerts", "silence", "2h", "--reason", "maintenance", "--json", stdout=told)
    assert "until" in json.loads(told.getvalue().splitlines()[-1])
    wrong()
    close_gate(key="bot:fence", reason="a copy", by="installation")
    world.look()
    open_gate(key="bot:fence", by="ann")  # was wrong and is right within the silence
    for _ in range(3):
        world.look(after=CLEAR)
    assert (said(slack), actions(pager)) == ([], [])
    assert AlertEpisode.objects.filter(code="fence_closed", resolved_at__isnull=False).exists()

    world.look(after=timedelta(hours=2))
    assert actions(pager) == ["trigger"]

    call_command("alerts", "silence", "1d", stdout=StringIO())
    AlertSilence.objects.update(since=clock.now() - timedelta(days=1))
    right()
    for _ in range(2):
        world.look(after=CLEAR)
    assert actions(pager) == ["trigger", "resolve"]  # who was told hears the end all the same
    call_command("alerts", "speak", stdout=StringIO())
    assert not telling.is_silenced(now=clock.now())


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("with_redis", [True, False])
def test_a_database_that_is_away_is_told_from_memory(
    world: World, slack: Receiver, pager: Receiver, settings: Any, with_redis: bool
) -> None:
    """The connection leads to a closed port; without Redis a single clock tells all the same."""
    if not with_redis:
        world.redis_url = "redis://127.0.0.1:1"
    clocks = [world.watch(), world.watch()][: 1 + with_redis]

    def look(at: float) -> None:
        for each in clocks:
            each.look(at=lambda: at)

    look(0.0)
    with unreachable():
        for at in (15.0, 30.0, 60.0):
            look(at)
        assert actions(pager) == []  # a restart takes as long
        for at in (76.0, 91.0):
            look(at)
    assert actions(pager) == ["trigger"]
    assert said(slack)[0].startswith(":rotating_light: *The database does not answer*")

    for at in (100.0, 115.0, 221.0, 240.0):
        look(at)

    assert events(pager) == [
        ("trigger", "telbot-local-database_unreachable"),
        ("resolve", "telbot-local-database_unreachable"),
    ]
    assert len([text for text in said(slack) if "database" in text]) == 2
    kept = AlertEpisode.objects.get(code="database_unreachable")
    assert kept.resolved_at


def test_a_gate_that_staff_closed_is_no_wait_of_telegrams() -> None:
    """It does not open by itself, whatever Telegram says of what was on the wire then."""
    close_gate(key="bot", reason="closed by staff", by="ann")
    with connection.cursor() as cursor:
        held = HOLD_BOT.replace("%(wait)s", "interval '3 s'")
        cursor.execute(held, {"slower": 0.8, "slowest": 5.0})

    (found,) = alerts(standing(now=clock.now()))

    assert (found.code, found.subject, found.tone) == ("sending_stopped", "bot", "bad")


def test_a_database_that_takes_no_rows_is_told_from_memory(world: World, pager: Receiver) -> None:
    """A standby after a fail-over, a full disk at some hosts: it answers, but nothing is kept."""
    one = world.watch()
    wrong()  # what is to be told now could not be kept
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
    moments = iter((0.0, 15.0, 61.0))
    for _ in range(3):
        one.look(at=lambda: next(moments))

    assert events(pager) == [("trigger", "telbot-local-database_unreachable")]


class unreachable:  # noqa: N801 - used as a context
    """PostgreSQL as it is when nobody listens: a port at which connections are refused."""

    def __enter__(self) -> None:
        connection.close()
        self.before = dict(connection.settings_dict)
        options = {k: v for k, v in self.before["OPTIONS"].items() if k != "host"}
        connection.settings_dict.update(HOST="127.0.0.1", PORT="1", OPTIONS=options)

    def __exit__(self, *_: object) -> None:
        connection.close()
        connection.settings_dict.update(self.before)


def test_without_redis_all_else_is_told(world: World, pager: Receiver) -> None:
    world.redis_url = "redis://127.0.0.1:1"
    wrong()
    world.look()
    assert actions(pager) == ["trigger"]

    world.look(after=timedelta(minutes=2))
    assert "Redis does not answer" in pager.arrived[1][1].decode()


def test_the_receivers_can_be_tried(
    world: World, slack: Receiver, pager: Receiver, settings: Any
) -> None:
    told = StringIO()
    call_command("alerts", "test", "--json", stdout=told)
    assert json.loads(told.getvalue().splitlines()[-1])["ok"] is True
    assert actions(pager) == ["trigger", "resolve"]
    assert len(said(slack)) == 2

    slack.status = 404
    told = StringIO()
    with pytest.raises(CommandError):
        call_command("alerts", "test", "--json", stdout=told)
    report = json.loads(told.getvalue().splitlines()[-1])
    assert report["receivers"]["slack trigger"] == "it answered 404"
    assert report["receivers"]["pagerduty resolve"] == "taken"

    settings.SLACK_WEBHOOK_URL = settings.PAGERDUTY_ROUTING_KEY = ""
    with pytest.raises(CommandError):
        call_command("alerts", "test", stdout=StringIO())
    with pytest.raises(CommandError, match="for how long"):
        call_command("alerts", "silence", "soon")
    with pytest.raises(CommandError, match="7d at most"):
        call_command("alerts", "silence", "8d")


def test_a_worker_watches_where_no_clock_does() -> None:
    beat(Process.WORKER)
    assert watch.others_look()  # never seen: it is not set up yet
    with connection.cursor() as cursor:  # but it should be, by now
        cursor.execute("UPDATE delivery_heartbeat SET first_at = first_at - interval '31 min'")
    assert not watch.others_look()
    found = {alert.code: alert.words for alert in alerts(standing(now=clock.now()))}
    assert found[Code.CLOCK_MISSING] == "The clock was never seen."
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO delivery_heartbeat (name, hour, first_at, seen_at, minutes)"
            " SELECT 'clock', date_trunc('hour', t), t, t, 1 FROM"
            " (SELECT clock_timestamp() - interval '61 seconds') AS s (t)"
        )
    assert not watch.others_look()
    beat(Process.CLOCK)
    assert watch.others_look()


def test_the_list_says_what_stands(world: World) -> None:
    wrong()
    told = StringIO()
    call_command("alerts", "check", "--json", stdout=told)

    report = json.loads(told.getvalue().splitlines()[-1])
    assert [row["code"] for row in report["alerts"]] == ["token_refused"]
    assert report["silenced"] is False
