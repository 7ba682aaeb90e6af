"""Four workers share one rate near Telegram's limit, while learners are answered."""

from __future__ import annotations

import time
from itertools import pairwise

from delivery import clock
from delivery.models import Lane
from delivery.services import enqueue
from tests.bench.queues import empty
from tests.bench.report import Figures, Line, expect, share
from tests.factories.delivery import make_chat
from tests.faults.books import one_chat_has, owe, states
from tests.faults.forks import forks
from tests.integration.delivery.receiver import Receiver, receiving

RATE, ALLOWED, WORKERS, HOT = 25, 30, 4, 5
EVERY = 0.7  # seconds between replies: no multiple of anything the sender does


def measure(*, seconds: int) -> Figures:
    """Owe so many seconds of work at the rate; answer somebody all the while."""
    empty()
    receiver = Receiver(latency=0.05, limit_per_second=ALLOWED)
    with receiving(receiver), forks(receiver.url, TELEGRAM_SENDS_PER_SECOND=str(RATE)) as workers:
        owe(RATE * seconds)
        hot = one_chat_has(HOT)
        at_work = [workers.start() for _ in range(WORKERS)]
        receiver.await_count(RATE)
        asked = {}
        for number in range(int((seconds - 3) / EVERY)):
            chat = make_chat(telegram_id=1_000_000 + number)
            asked[chat.telegram_id] = time.monotonic()
            enqueue(
                chat=chat, text="Yes", dedupe_key=f"reply:{number}", due_at=clock.now(),
                lane=Lane.REPLY,
            )  # fmt: skip
            time.sleep(EVERY)
        expect("workers ended", [workers.wait(pid) for pid in at_work], [0] * WORKERS)
    owed = RATE * seconds + len(asked)
    expect("on the books", dict(states()), {"sent": owed})
    expect("arrived", (receiver.total, receiver.arrived.pop(hot)), (owed, HOT))
    expect("doubled", {chat: n for chat, n in receiver.arrived.items() if n > 1}, {})
    arrived = [(chat, at) for (chat, _), at in zip(receiver.texts, receiver.times, strict=True)]
    replies = [at - asked[chat] for chat, at in arrived if chat in asked]
    others = [at for chat, at in arrived if chat != hot]  # what one chat may have takes longer
    in_hot = [at for chat, at in arrived if chat == hot]
    return {
        "messages": owed,
        "replies": len(replies),
        "reply_p50": share(replies, 0.5),
        "reply_p95": share(replies, 0.95),
        "rate_kept": (len(others) - 1) / (others[-1] - others[0]) / RATE,
        "refused": receiver.refused,
        "hot_chat_gap": min(later - earlier for earlier, later in pairwise(in_hot)),
    }


def lines(found: Figures) -> list[Line]:
    """For the table."""
    return [
        (f"reply while {WORKERS} workers send {RATE}/s, s, p95", found["reply_p95"], "<= 0.3"),
        (f"  part of the rate kept, {found['messages']:,} messages", found["rate_kept"], ">= 0.97"),
        (f"  refused by a receiver that allows {ALLOWED}", found["refused"], "0"),
        ("  least between two messages of one chat, s", found["hot_chat_gap"], ">= 1"),
    ]
