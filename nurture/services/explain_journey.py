"""The part of an explanation that tells where a journey stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from delivery import selectors as delivery
from delivery.domain.states import Status
from delivery.models import Delivery, Scope
from nurture.domain.reasons import Reason
from nurture.models import OPEN, Journey, JourneyStatus

_UNTOLD = frozenset(
    {Status.FAILED, Status.EXPIRED, Status.CANCELLED, Status.SKIPPED, Status.DEAD, Status.UNKNOWN}
)
#: Why a journey is held; the last of them counts.
_HOLDS = (Reason.DISPUTED, Reason.PAUSED_BY_STAFF, Reason.RESTORED, Reason.ENGINE_ERROR)


@dataclass(frozen=True)
class Rule:
    """One rule: what it saw, whether it let the learner pass, and the code if it decides."""

    rule: str
    input: dict[str, Any]
    passed: bool = True
    code: str = ""
    changes_at: datetime | None = None


def rules(*, journey: Journey, now: datetime) -> Iterator[Rule]:
    """Entry as it was recorded, then the journey, its step and the message it waits for."""
    entered = journey.decisions.filter(code="entered").order_by("id").first()
    yield Rule("entered", dict(entered.inputs) if entered else {})
    yield _journey(journey)
    last = journey.decisions.filter(decided_at__lte=now).exclude(code="").order_by("-id").first()
    if last is not None:
        seen = {"step": last.step_key or journey.step_key, "decided": last.code, **last.inputs}
        yield Rule("step", seen, True, last.code, journey.next_action_at)
    row = journey.waiting_on or _last_delivery(journey)
    if row is not None:
        yield from _delivery(row, now)


def deciding(journey: Journey, before: Sequence[Rule], story: Sequence[Rule]) -> Rule:
    """The rule that decides: how the journey ended, or what stops it, or where it waits."""
    if journey.status not in OPEN or journey.status == JourneyStatus.PAUSED:
        return next(rule for rule in story if rule.rule == "journey")
    stopped = next((rule for rule in [*before, *story] if not rule.passed), None)
    return stopped or story[-1]


def _journey(journey: Journey) -> Rule:
    seen = {
        "journey": journey.pk,
        "status": journey.status,
        "version": journey.version.number,
        "started_at": journey.started_at.isoformat(),
        "ended_at": journey.ended_at.isoformat() if journey.ended_at else None,
        "reason": journey.exit_reason,
    }
    if journey.status == JourneyStatus.PAUSED:
        seen["held"] = journey.decisions.filter(code__in=_HOLDS).order_by("-id").values_list(
            "code", flat=True
        ).first()  # fmt: skip
    passed = journey.status in {JourneyStatus.ACTIVE, JourneyStatus.COMPLETED}
    code = journey.exit_reason or journey.status
    return Rule("journey", seen, passed, code, journey.next_action_at)


def _last_delivery(journey: Journey) -> Delivery | None:
    told = journey.decisions.filter(delivery__isnull=False).order_by("-id").first()
    if told is None or told.delivery_id is None:
        return None
    try:
        return delivery.delivery(told.delivery_id)
    except Delivery.DoesNotExist:  # dropped with its month
        return None


def _delivery(row: Delivery, now: datetime) -> Iterator[Rule]:
    seen = {
        "status": row.status,
        "reason": row.reason,
        "due_at": row.due_at.isoformat(),
        "sent_at": row.sent_at.isoformat() if row.sent_at else None,
        "expires_at": row.expires_at.isoformat() if row.expires_at else None,
    }
    waits = row.run_at if row.status == Status.PENDING else None
    yield Rule("delivery", seen, row.status not in _UNTOLD, row.reason or row.status, waits)
    if row.status != Status.PENDING:
        return
    snoozed = row.chat.snoozed_until
    if snoozed is not None and snoozed > now:
        until = {"until": snoozed.isoformat()}
        yield Rule("snoozed", until, False, "snoozed", max(snoozed, row.run_at))
    room_at = delivery.room_at(row, now=now)
    if room_at is not None:
        then = "defer" if row.cap_defers else "drop"
        yield Rule("cap", {"per_day": row.cap_per_day, "then": then}, False, "capped", room_at)
    if row.window_opens is not None and row.window_closes is not None:
        hours = {
            "opens": row.window_opens.isoformat(),
            "closes": row.window_closes.isoformat(),
            "zone": row.window_zone,
        }
        yield Rule("window", hours, True, row.status, row.run_at)
    for gate in delivery.closed_gates():
        if gate.scope == Scope.BOT or gate.key == row.stream_id:
            held = {"gate": gate.key, "reason": gate.reason}
            yield Rule("gate_open", held, False, "held_by_gate", gate.closed_until)
