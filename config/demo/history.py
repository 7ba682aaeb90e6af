"""The weeks before today, made by the engine itself under its own clock."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.core.management import call_command
from django.db.models import Min, Q

import attendance.services
import delivery.clock
import nurture.services
from attendance.google import Google
from attendance.models import ClassSession
from attendance.sandbox import World, serve, service_account_key
from config.demo import school
from delivery import inbound_tasks, sender
from delivery.domain.states import Status
from delivery.models import Delivery
from delivery.sandbox import client
from delivery.services.gates import ensure_pacing
from delivery.telegram import gateway
from nurture.models import Journey, JourneyStatus

LONGEST_STEP = timedelta(hours=12)
# Some people answer, and not at once.
ANSWERS = 0.4


@contextmanager
def google_of(world: World, clock: Callable[[], datetime]) -> Iterator[Google]:
    """Google's two APIs over real HTTP, showing only what had arrived by `clock`."""
    with serve(world.google(clock=clock)) as url:
        key = service_account_key(f"{url}/token")
        yield Google(key=key, delegated_user=school.DELEGATED_USER, api_url=url)


def play(world: World, *, start: datetime, end: datetime, say: Callable[[str], None]) -> None:
    """Live through the time from `start` to `end`: sync, settle, decide, send, answer.

    Steps from one moment at which something is due to the next; every part is production code.
    """
    moment = start
    dice = random.Random("answers")
    heard = 0
    with google_of(world, lambda: moment) as google:
        while moment < end:
            with delivery.clock.simulated(moment):
                attendance.services.sync(now=moment, google=google)
                nurture.services.tick(now=moment)
                ensure_pacing()
                sender.drain(gateway, until_empty=True, simulated=moment)
                heard = _answer(dice, heard=heard)
                nurture.services.tick(now=moment)
            following = _next_moment(after=moment)
            if following.date() != moment.date():
                say(f"  {moment:%a %d %b}: {Delivery.objects.count()} messages planned so far")
            moment = following


def _answer(dice: random.Random, *, heard: int) -> int:
    """Let some of the people who just got a message press one of its buttons."""
    url = client.ensure()
    messages = client.request(url, "GET", f"/sandbox/messages?after={heard}")["messages"]
    for message in messages:
        heard = max(heard, int(message["message_id"]))
        rows = message.get("reply_markup", {}).get("inline_keyboard", [])
        choices = [b["callback_data"] for row in rows for b in row if "callback_data" in b]
        pledges = [data for data in choices if data.endswith(":pledge_next")]
        if pledges and dice.random() < ANSWERS:
            _press(url, message, pledges[0])
    _take_in()
    return heard


def _press(url: str, message: dict[str, Any], data: str) -> None:
    client.request(
        url,
        "POST",
        f"/sandbox/people/{message['chat']['id']}/press",
        {"message_id": message["message_id"], "data": data},
    )


def _take_in() -> None:
    """Fetch what people did, and handle it; the replies go out with the next messages."""
    call_command("runbot", "--once", verbosity=0, stdout=_Nowhere())
    inbound_tasks.work_off()


class _Nowhere:
    """A stream that keeps nothing."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        """Nothing to do."""


def _next_moment(*, after: datetime) -> datetime:
    """The next moment at which anything is due, at most half a day ahead."""
    candidates = [
        ClassSession.objects.filter(next_check_at__gt=after).aggregate(at=Min("next_check_at"))[
            "at"
        ],
        Delivery.objects.filter(Q(status=Status.PENDING) & Q(run_at__gt=after)).aggregate(
            at=Min("run_at")
        )["at"],
        Journey.objects.filter(status=JourneyStatus.ACTIVE, next_action_at__gt=after).aggregate(
            at=Min("next_action_at")
        )["at"],
    ]
    soonest = min([at for at in candidates if at], default=after + LONGEST_STEP)
    # Never shorter than a minute: everything due within it is done together.
    return max(min(soonest, after + LONGEST_STEP), after + timedelta(minutes=1))
