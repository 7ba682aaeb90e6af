"""A version over recorded weeks, beside another: who gains, who loses, who is moved (N01)."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import reverse

from attendance.models import Learner
from delivery.clock import now
from nurture import tasks
from nurture.admin.insight.frame import ROWS, Page, explained
from nurture.models import BacktestRun
from nurture.services import backtests
from nurture.services.simulation import NotSimulatedError
from nurture.services.simulation.backtesting import UNHEARD

MAY = "nurture.backtest_sequence"
MOST_WEEKS = 52
KINDS = {
    "gained": ("Gained", "hear something, and would not by the other version"),
    "lost": ("Lost", "hear nothing any more"),
    "moved": ("Moved", "hear something at another time or in other words"),
}


def backtest_page(page: Page) -> HttpResponse:
    """Choose weeks and versions; look at what came of them."""
    if page.request.method == "POST":
        return _ask(page)
    run = page.sequence.backtests.filter(pk=_number(page.asked("run"))).first()
    if run is not None and run.finished_at is None:
        _ring_again(run)
    present = page.version()
    if page.asked("state") and run is not None:
        return JsonResponse({"state": state_of(run)})
    return page.show(
        "backtest",
        versions=page.versions,
        chosen=run.version if run else present and present.number,
        may_run=page.may(MAY),
        most_weeks=MOST_WEEKS,
        most=backtests.MOST,
        run=run,
        state=state_of(run) if run else "",
        earlier=[
            (row, page.url("backtest", run=row.pk), state_of(row))
            for row in page.sequence.backtests.defer("result").order_by("-pk")[:10]
        ],
        **(_result(page, run) if run and run.result else {}),
    )


def state_of(run: BacktestRun) -> str:
    """How far a backtest is."""
    if run.finished_at is not None:
        return "failed" if run.error else "done"
    if run.started_at is None:
        return "waiting"
    gone = now() - run.started_at > backtests.BROKEN_OFF_AFTER
    return "broken off" if gone else "running"


def _ring_again(run: BacktestRun) -> None:
    """A bell may be lost; whoever looks rings again."""
    if run.started_at is None:
        tasks.ring_for_backtests()


def _ask(page: Page) -> HttpResponse:
    if not page.may(MAY):
        raise PermissionDenied
    said = page.request.POST
    version, against = _number(said.get("version", "")), _number(said.get("against", ""))
    weeks = min(max(_number(said.get("weeks", "")) or 1, 1), MOST_WEEKS)
    at = now().replace(microsecond=0)
    try:
        run, at_once = backtests.ask(
            sequence=page.sequence,
            version=version or 0,
            against=against if against != version else None,
            since=at - timedelta(weeks=weeks),
            until=at,
            by=page.request.user.get_username(),
            now=at,
        )
    except (NotSimulatedError, backtests.TooLargeError) as error:
        said_why = str(error)
        page.admin.message_user(
            page.request, f"{said_why[:1].upper()}{said_why[1:].rstrip('.')}. Nothing was run.",
            messages.ERROR,
        )  # fmt: skip
        return HttpResponseRedirect(page.url("backtest"))
    if at_once:
        backtests.run_waiting(now=at, only=run.pk)
    else:
        tasks.ring_for_backtests()
    return HttpResponseRedirect(page.url("backtest", run=run.pk))


def _number(said: str) -> int | None:
    return int(said) if said.isdecimal() and len(said) < 10 else None


def _result(page: Page, run: BacktestRun) -> dict[str, Any]:
    result, numbers = run.result, [run.version, run.against]
    mine = result["versions"][str(run.version)]
    lines = {line["learner"]: line for line in mine["learners"]}
    other = result["versions"].get(str(run.against), {"learners": []})
    before = {line["learner"]: line for line in other["learners"]}
    difference = result.get("difference", {})
    kind = page.asked("kind")
    wanted = difference.get(kind) if kind in KINDS else list(lines)
    first = page.offset
    some = (wanted or [])[first : first + ROWS]
    names = Learner.objects.in_bulk(some)
    stale = [
        number for number in numbers if number is not None
        and result["checksums"][str(number)] != backtests.checksum_of(page.sequence, number)
    ]  # fmt: skip
    return {
        "totals": [_totals(number, result) for number in numbers if number is not None],
        "reconstructed": mine["totals"]["reconstructed"],
        "difference": [
            (name, *KINDS[name], len(difference[name]), page.url("backtest", run=run.pk, kind=name))
            for name in KINDS if name in difference
        ],
        "stale": stale,
        "kind": KINDS[kind][0] if kind in KINDS else "",
        "compared": run.against is not None,
        "rows": [
            {
                "name": _name(names.get(key)),
                "url": reverse("admin:attendance_learner_change", args=[key])
                if key in names else "",
                "after": _messages(lines.get(key)),
                "before": _messages(before.get(key)),
                "also": _also(lines.get(key)),
            }
            for key in some
        ],
        **page.ways(len(wanted or [])),
    }  # fmt: skip


def _totals(number: int, result: dict[str, Any]) -> dict[str, Any]:
    kept = result["versions"][str(number)]
    ends = Counter(kept["totals"]["messages"])
    sent = ends.pop("sent", 0)
    return {
        "number": number,
        "facts": kept["totals"]["facts"],
        "journeys": kept["totals"]["journeys"],
        "sent": sent,
        "others": [(_end_words(end), count) for end, count in sorted(ends.items())],
        "learners": sum(_is_written_to(line) for line in kept["learners"]),
        "digest": kept["digest"][:16],
    }


def _is_written_to(line: dict[str, Any]) -> bool:
    """Whether anything went out to the learner, or is on its way to them."""
    return any(status not in UNHEARD for _, _, status, _ in line["messages"])


def _end_words(end: str) -> str:
    status, _, reason = end.partition(":")
    return f"{status}: {explained(reason)}" if reason else status


def _name(learner: Learner | None) -> str:
    return (learner.name or learner.email) if learner else "a learner who was erased"


def _messages(line: dict[str, Any] | None) -> list[tuple[str, str, str]]:
    """Step, moment there, and why it is not sent."""
    return [
        (step, local, "" if status == "sent" else f"{status}: {explained(reason)}")
        for step, local, status, reason in (line["messages"] if line else [])
    ]


def _also(line: dict[str, Any] | None) -> list[tuple[str, int]]:
    """What else was decided, where nothing was said."""
    if line is None or line["messages"]:
        return []
    return [(explained(code), count) for code, count in line["decisions"].items()]
