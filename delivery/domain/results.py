"""What a verdict on one try makes of its delivery."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from delivery.domain.outcome import Consequence, Kind, Verdict
from delivery.domain.reasons import Reason
from delivery.domain.retry import backoff, is_exhausted
from delivery.domain.states import Status


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a delivery stands after one try.

    `wait`: how long until the next try, where it is pending again. `counted`: whether the try
    counts towards the limit (a missed slot and a 429 do not).
    """

    status: Status
    reason: str = ""
    wait: timedelta = timedelta(0)
    counted: bool = True


#: The slot was missed, or the gate closed before the first byte: back into the queue at once.
MISSED = Result(status=Status.PENDING, counted=False)


def result_of(verdict: Verdict, *, attempts: int, fraction: float) -> Result:
    """Say how a delivery stands after the `attempts`-th try came to `verdict`.

    `fraction`: random, 0 to 1, drawn by the caller, for the jitter of the back-off.
    """
    if verdict.kind is Kind.SENT:
        return Result(status=Status.SENT)
    if verdict.kind is Kind.UNKNOWN:
        return Result(status=Status.UNKNOWN, reason=str(verdict.reason))
    if verdict.consequence is Consequence.FAIL:
        return Result(status=Status.FAILED, reason=str(verdict.reason))
    if verdict.consequence in {Consequence.HOLD_BOT, Consequence.STOP_BOT}:
        # The gate holds everybody back; it is not this delivery's fault.
        return Result(
            status=Status.PENDING, counted=False, wait=verdict.retry_after or timedelta(0)
        )
    if is_exhausted(attempts):
        return Result(status=Status.DEAD, reason=Reason.TOO_MANY_TRIES)
    if verdict.consequence is Consequence.MIGRATE:
        return Result(status=Status.PENDING)
    return Result(status=Status.PENDING, wait=backoff(attempts=attempts, fraction=fraction))
