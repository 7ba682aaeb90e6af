"""Let simulated time run: from one moment at which something happens to the next."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import connection

from delivery.services.recording import send_recorded
from nurture.services.engine import react
from nurture.services.simulation.shadow import set_clock

#: Nothing that the engine does at one moment takes more rounds than a journey has steps.
_MOST_ROUNDS = 500
_SHORTEST = timedelta(seconds=1)

_NEXT = """
SELECT least(
    (SELECT min(next_action_at) FROM user_nurture_journeys
      WHERE status = 'active' AND next_action_at IS NOT NULL),
    (SELECT min(d.run_at) FROM nurture_deliveries d WHERE d.status = 'pending'
        AND d.run_at > (SELECT telbot_now())),
    (SELECT min(d.expires_at) FROM nurture_deliveries d WHERE d.status = 'pending'
        AND d.expires_at > (SELECT telbot_now())))
"""


class DoesNotRestError(RuntimeError):
    """The engine found something to do at one moment again and again: a fault of ours."""


def play(
    *,
    since: datetime,
    until: datetime,
    moments: Iterable[datetime] = (),
    happen: Callable[[datetime], None] = lambda _: None,
) -> int:
    """Run the engine and the recording sender from `since` to `until`, both included.

    `moments`, in order, are those at which `happen` brings something new; the engine's own dates
    lie between them. Returns at how many moments something was due. Call it on shadowed tables.
    """
    with _seldom_collected():
        return _play(since, until, moments, happen)


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Rows live for one moment and hold no circles; looking for some took a sixth of the time."""
    usual = gc.get_threshold()
    gc.set_threshold(100_000, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def _play(
    since: datetime,
    until: datetime,
    moments: Iterable[datetime],
    happen: Callable[[datetime], None],
) -> int:
    ahead = iter([*moments, None])
    coming = next(ahead)
    now: datetime | None = since
    played = 0
    while now is not None and now <= until:
        set_clock(now)
        if coming is not None and coming <= now:
            happen(now)
            while coming is not None and coming <= now:
                coming = next(ahead)
        _rest(now)
        played += 1
        now = _following(now, coming)
    return played


def _rest(now: datetime) -> None:
    """Engine and sender by turns, until nothing is left to send."""
    for _ in range(_MOST_ROUNDS):
        react(now=now)
        if not send_recorded():
            return
    raise DoesNotRestError(f"still busy at {now.isoformat()}")


def _following(now: datetime, coming: datetime | None) -> datetime | None:
    with connection.cursor() as cursor:
        cursor.execute(_NEXT)
        own: datetime | None = cursor.fetchone()[0]
    if own is not None:
        own = max(own, now + _SHORTEST)
    return min((at for at in (own, coming) if at is not None), default=None)
