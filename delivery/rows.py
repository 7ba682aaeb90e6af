"""Rows of the queue as values: what the ledger reads, and what the last look said."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from config.sealed import DamagedError
from delivery.domain import pacing
from delivery.domain.outcome import Verdict
from delivery.domain.reasons import Reason
from delivery.domain.results import Result
from delivery.domain.states import Status
from delivery.domain.windows import Window, next_opening
from delivery.models import Chat, ChatKind

log = logging.getLogger(__name__)
GROUP_SPACING = timedelta(seconds=3)  # 20 a minute: https://core.telegram.org/bots/faq

#: Verdicts of the intent that end a delivery, and those that only put it off.
ENDING = frozenset({"expired", "unreachable", "no_consent", "capped"})
PUT_OFF = frozenset({"gate", "snoozed", "window", "full"})

_UNREACHABLE = {
    "never_started": Reason.CHAT_NEVER_STARTED,
    "blocked": Reason.CHAT_BLOCKED,
    "deactivated": Reason.CHAT_DEACTIVATED,
    "gone": Reason.CHAT_GONE,
}
#: Until when a delivery is put off, and by which column.
_UNTIL = {"snoozed": "snoozed_until", "full": "room_at"}
_SKIPPED = {"no_consent": Reason.NO_CONSENT, "capped": Reason.CAPPED}


@dataclass(kw_only=True)
class Held:
    """A delivery that this worker leases. `attempts` is filled in by the intent."""

    id: int
    fence: int
    chat: int
    telegram_id: int
    text: str
    buttons: list[list[list[str]]]
    slot_at: datetime
    attempts: int = 0
    deaths: int = 0
    trace: str = ""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What came of one try, to be recorded."""

    held: Held
    result: Result
    verdict: Verdict
    outcome: str  # of the attempt
    http_status: int | None = None
    diverted: bool = False


def spacing(kind: str, *, rate: float, per_chat: float) -> timedelta:
    """The pause between two messages of one chat, with the lateness a slot may have."""
    pause = GROUP_SPACING if kind == ChatKind.GROUP else timedelta(seconds=1 / per_chat)
    return pause + (pacing.allowed_lateness(rate) or timedelta(0))


def candidate(row: Mapping[str, Any], *, rate: float, per_chat: float) -> pacing.Candidate:
    """What the plan needs to know of a due delivery."""
    return pacing.Candidate(
        delivery_id=row["id"],
        chat_id=row["chat_id"],
        chat_free_at=row["chat_free_at"],
        chat_busy=row["chat_busy"],
        behind=row["behind"],
        spacing=spacing(row["kind"], rate=rate, per_chat=per_chat),
    )


def leased(
    slots: Iterable[pacing.Slot], *, found: Iterable[Mapping[str, Any]], fences: Mapping[int, int]
) -> list[Held]:
    """Those that got a lease (`fences`), in the order of their slots.

    Without one where the chat's id is damaged, for nobody can be called: its lease runs out, and
    after a few of them staff find it given up as poison. Raises SealedError where a key is missing:
    nothing is leased then, since it may be missing here only.
    """
    by_id, taken = {row["id"]: row for row in found}, []
    for slot in slots:
        fence = fences.get(slot.delivery_id)
        if fence is None:
            continue
        try:
            taken.append(held(by_id[slot.delivery_id], fence=fence, slot_at=slot.at))
        except DamagedError:
            log.exception("sender.chat_damaged", extra={"delivery_id": slot.delivery_id})
    return taken


def held(row: Mapping[str, Any], *, fence: int, slot_at: datetime) -> Held:
    """A leased delivery. Raises SealedError."""
    return Held(
        id=row["id"],
        fence=fence,
        chat=row["chat_id"],
        telegram_id=Chat.opened_id(row["telegram_id"]),
        text=row["text"],
        buttons=row["buttons"],
        slot_at=slot_at,
        deaths=row["deaths"],
        trace=row["trace"],
    )


def written(entry: Entry) -> dict[str, Any]:
    """What came of one try, as the statement that records it reads it."""
    wait = entry.verdict.retry_after
    return {
        "id": entry.held.id,
        "fence": entry.held.fence,
        "status": entry.result.status,
        "reason": entry.result.reason,
        "wait": entry.result.wait.total_seconds(),
        "uncounted": 0 if entry.result.counted else 1,
        "message_id": entry.verdict.message_id,
        "diverted": entry.diverted,
        "outcome": entry.outcome,
        "http": entry.http_status,
        "code": entry.verdict.error_code,
        "said": entry.verdict.description,
        "retry_after": None if wait is None else round(wait.total_seconds()),
    }


def company(found: list[dict[str, Any]], *, idle: bool, replies: bool) -> list[dict[str, Any]]:
    """Those of `found`, in their order, that may be leased together.

    One whose worker died may be what killed it: it goes alone, by a worker that holds nothing
    else, so that its next death says something of it and of nobody else. Bulk waits for that;
    replies do not.
    """
    if found and found[0]["deaths"] and idle:
        return found[:1]
    if replies:
        return [row for row in found if not row["deaths"]]
    return list(takewhile(lambda row: not row["deaths"], found))


def ending(row: Mapping[str, Any]) -> tuple[Status, Reason]:
    """How a delivery ends that the last look refused."""
    if row["verdict"] == "expired":
        return Status.EXPIRED, Reason.EXPIRED
    if row["verdict"] == "unreachable":
        return Status.SKIPPED, _UNREACHABLE[row["reachability"]]
    return Status.SKIPPED, _SKIPPED[row["verdict"]]


def keys_of(found: Sequence[Mapping[str, Any]]) -> dict[str, list[int]]:
    """Which deliveries, by their leases."""
    return {"ids": [row["id"] for row in found], "fences": [row["fence"] for row in found]}


def again_at(row: Mapping[str, Any]) -> datetime | None:
    """When to look again at a delivery that the last look put off; None: as it was."""
    if row["verdict"] in _UNTIL:
        until: datetime = row[_UNTIL[row["verdict"]]]
        return until
    if row["verdict"] == "window":
        window = Window(
            opens=row["window_opens"],
            closes=row["window_closes"],
            days=row["window_days"],
            zone=row["window_zone"],
        )
        return next_opening(window, at=row["now"])
    return None  # a gate: nothing behind it is claimed while it is closed
