"""Backtests that staff ask for: small ones at once, larger ones by a worker, none unbounded."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from attendance.models import Learner, Outcome
from nurture.models import BacktestRun, Sequence, SequenceVersion
from nurture.services.simulation import Backtest, NotSimulatedError, backtest, compare

#: So many outcomes are looked at within a request; more go to a worker.
AT_ONCE = 500
#: More are refused: the command does them, for as long as it takes.
MOST = 30_000
#: The worker that had it is gone; nobody works on it any more.
BROKEN_OFF_AFTER = timedelta(minutes=35)
KEPT = 20  # of each sequence


class TooLargeError(ValueError):
    """The period holds more than a page may ask for."""


def outcomes_in(*, since: datetime, until: datetime) -> int:
    """How many outcomes classes have that ended in a period: what a backtest takes time for."""
    return Outcome.objects.filter(
        is_current=True, session__ends_at__gte=since, session__ends_at__lt=until
    ).count()


@transaction.atomic
def ask(
    *,
    sequence: Sequence,
    version: int,
    against: int | None,
    since: datetime,
    until: datetime,
    by: str,
    now: datetime,
) -> tuple[BacktestRun, bool]:
    """Keep what is asked for; return it, and whether it is small enough to be run at once.

    Raises NotSimulatedError for what cannot be run, TooLargeError for what is too much. The oldest
    backtests of the sequence are forgotten.
    """
    if since >= until:
        raise NotSimulatedError("the period ends before it begins")
    numbers = {version} | ({against} if against is not None else set())
    known = set(sequence.versions.filter(number__in=numbers).values_list("number", flat=True))
    if numbers - known:
        raise NotSimulatedError(f"there is no version {min(numbers - known)}")
    size = outcomes_in(since=since, until=until) * len(numbers)
    if size > MOST:
        raise TooLargeError(
            f"These weeks hold {size} outcomes to look at, and a page may ask for {MOST}. "
            f"Take fewer weeks, or run `manage.py simulate {sequence.slug}` in a terminal."
        )
    row = BacktestRun.objects.create(
        sequence=sequence, version=version, against=against, since=since, until=until,
        asked_by=by, asked_at=now,
    )  # fmt: skip
    newest = BacktestRun.objects.filter(sequence=sequence).order_by("-pk").values("pk")[:KEPT]
    BacktestRun.objects.filter(sequence=sequence).exclude(pk__in=newest).delete()
    return row, size <= AT_ONCE


def run_waiting(*, now: datetime, only: int | None = None) -> int:
    """Run every backtest that waits, oldest first, or `only` this one; return how many.

    Each is claimed, so several workers may do this, and again.
    """
    done = 0
    while (row := _claim(now, only)) is not None:
        _run(row)
        done += 1
    return done


@transaction.atomic
def _claim(now: datetime, only: int | None) -> BacktestRun | None:
    waiting = BacktestRun.objects.filter(started_at=None).order_by("pk")
    if only is not None:
        waiting = waiting.filter(pk=only)
    row = waiting.select_for_update(skip_locked=True, of=("self",)).first()
    if row is not None:
        row.started_at = now
        row.save(update_fields=["started_at"])
    return row


def _run(row: BacktestRun) -> None:
    """Simulate, outside any transaction of ours, and keep what came of it."""
    error, result = "", {}
    try:
        result = _simulate(row)
    except NotSimulatedError as refused:
        error = f"{refused}."
    BacktestRun.objects.filter(pk=row.pk).update(
        finished_at=Now(), error=error[:300], result=result
    )


def _simulate(row: BacktestRun) -> dict[str, Any]:
    slug = row.sequence.slug
    numbers = [row.version] + ([row.against] if row.against is not None else [])
    found = {
        number: backtest(slug=slug, since=row.since, until=row.until, version=number)
        for number in numbers
    }
    emails = {line["email"] for run in found.values() for line in run.learners}
    learners = dict(Learner.objects.filter(email__in=emails).values_list("email", "pk"))
    result: dict[str, Any] = {
        "versions": {str(number): _kept(run, learners) for number, run in found.items()},
        "checksums": {str(number): checksum_of(row.sequence, number) for number in numbers},
    }
    if row.against is not None:
        difference = compare(found[row.against], found[row.version])
        result["difference"] = {
            kind: [learners[email] for email in theirs] for kind, theirs in difference.items()
        }
    return result


def checksum_of(sequence: Sequence, number: int) -> str:
    """What a version says now; "" where there is none of this number any more."""
    rows = SequenceVersion.objects.filter(sequence=sequence, number=number)
    return rows.values_list("checksum", flat=True).first() or ""


def _kept(run: Backtest, learners: dict[str, int]) -> dict[str, Any]:
    return {
        "digest": run.digest,
        "totals": run.totals,
        "learners": [
            {
                "learner": learners[line["email"]],
                "messages": _messages(line["messages"]),
                "decisions": line["decisions"],
            }
            for line in run.learners
        ],
    }


def _messages(lines: Iterable[dict[str, Any]]) -> list[list[str]]:
    """Step, moment on the learner's clock, state, reason; no text, for it may name somebody."""
    return [[line["step"], line["local"], line["status"], line["reason"]] for line in lines]
