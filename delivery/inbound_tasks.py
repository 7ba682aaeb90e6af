"""Handling what learners did: the actor, its bell, and the work itself for whoever rings nobody."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import dramatiq
import redis
from dramatiq.errors import BrokerConnectionError

from delivery import clock, tasks
from delivery.calls import may_call
from delivery.services.erasure import forget_leaving
from delivery.services.updates import Handled, Press, handle_waiting
from delivery.telegram import TelegramGateway, gateway

log = logging.getLogger(__name__)

BATCH = 50


@dramatiq.actor(queue_name="inbound", max_retries=0, time_limit=60_000, max_age=60_000)
def handle_updates() -> None:
    """Rung by the webhook, and by the clock while updates wait; a run that is missed is made up."""
    work_off()


def ring() -> None:
    """Say that updates wait. A bell that nobody hears costs one tick of the clock."""
    try:
        handle_updates.send()
    except (redis.RedisError, BrokerConnectionError):
        log.warning("inbound.redis_unreachable")


def work_off() -> Handled:
    """Handle all that waits, end the waiting signs of pressed buttons, ring for the replies.

    Then forget the ids of those who left and have had their last reply.
    """
    total = Handled()
    while True:
        done = handle_waiting(now=clock.now(), limit=BATCH)
        total.handled += done.handled
        total.failed += done.failed
        total.replies += done.replies
        total.presses += done.presses
        if done.replies:
            tasks.ring()
        if done.handled + done.failed < BATCH:
            break
    forget_leaving(now=clock.now())
    if presses := [press for press in total.presses if may_call(press.chat_id)]:
        asyncio.run(_answer(presses))
    return total


async def _answer(presses: Sequence[Press]) -> None:
    door = gateway()
    await door.open()
    try:
        await asyncio.gather(*(_answer_one(door, press) for press in presses))
    finally:
        await door.close()


async def _answer_one(door: TelegramGateway, press: Press) -> None:
    answered = await door.answer_callback(callback_id=press.callback_id)
    if answered.status not in {200, 400}:  # 400: the press is older than Telegram remembers
        log.warning(
            "inbound.press_not_answered",
            extra={"http_status": answered.status, "cause": answered.cause},
        )
    if press.message_id is not None:
        await door.remove_buttons(chat_id=press.chat_id, message_id=press.message_id)
