"""Whether a sequence changes anything: sent beside held out (P20), down to the joins (N20)."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.urls import reverse

from nurture.admin.insight.frame import Page, between, percent
from nurture.domain.effect import FEWEST, Effect, Group, Verdict
from nurture.services.insight import Counted, cases, effect

_GROUPS = {"sent": False, "held": True}
_CAME = {True: ("good", "came"), False: ("bad", "missed it"), None: ("calm", "not known yet")}


def effect_page(page: Page) -> HttpResponse:
    """Both groups, the difference, what may be said of it, and every learner counted."""
    counted = cases(sequence_id=page.sequence.pk)
    found = effect(counted)
    group = page.asked("group")
    shown = [row for row in counted if row.held_out is _GROUPS.get(group, row.held_out)]
    part = page.cut(shown)
    version = page.version()
    return page.show(
        "effect",
        holdout=version.holdout if version else 0,
        groups=[
            _group(page, "Written to", "sent", found.sent),
            _group(page, "Held out", "held", found.held),
        ],
        verdict=verdict_words(found),
        tone={Verdict.MORE: "good", Verdict.FEWER: "bad"}.get(found.verdict, ""),
        difference=_points(found.difference),
        interval=f"{_points(found.interval[0])} to {_points(found.interval[1])}",
        bar=_bar(found),
        minutes=f"{found.sent.mean_minutes - found.held.mean_minutes:+.1f}",
        any_known=bool(found.sent.known and found.held.known),
        fewest=FEWEST,
        group=group,
        rows=[_row(row) for row in part.pop("rows")],
        **part,
    )


def verdict_words(found: Effect) -> str:
    """What the figures allow to say, in a sentence."""
    match found.verdict:
        case Verdict.TOO_FEW:
            lacking = [
                f"{group.lacking} more {words}"
                for group, words in ((found.sent, "written to"), (found.held, "held out"))
                if group.lacking
            ]
            return (
                f"Too few to say anything: {' and '.join(lacking)} must have had their next class."
            )
        case Verdict.MORE:
            return "Those written to come more often to their next class."
        case Verdict.FEWER:
            return "Those written to come less often to their next class."
    return "No difference is shown: it may as well be none."


def _group(page: Page, words: str, name: str, group: Group) -> dict[str, Any]:
    return {
        "words": words,
        "url": page.url("effect", group=name),
        "known": group.known,
        "came": group.came,
        "share": percent(group.share),
        "interval": between(group.interval),
        "minutes": f"{group.mean_minutes:.0f}",
        "ahead": group.ahead,
    }


def _points(share: float) -> str:
    return f"{100 * share:+.1f}"


def _bar(found: Effect) -> dict[str, str]:
    """The interval on a line from -100 to +100 points."""
    low, high = found.interval
    return {
        "left": f"{50 + 50 * low:.2f}",
        "width": f"{50 * (high - low):.2f}",
        "middle": f"{50 + 50 * found.difference:.2f}",
    }


def _row(row: Counted) -> dict[str, Any]:
    def address(model: str, key: int | None) -> str:
        return reverse(f"admin:{model}_change", args=[key]) if key is not None else ""

    return {
        "row": row,
        "came": _CAME[row.came],
        "minutes": row.seconds // 60,
        "learner": address("attendance_learner", row.learner_id),
        "journey": address("nurture_journey", row.journey_id),
        "session": address("attendance_classsession", row.session_id),
        "outcome": address("attendance_outcome", row.outcome_id),
    }
