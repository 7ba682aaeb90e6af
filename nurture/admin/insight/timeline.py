"""A sequence as a picture, with what becomes of those who walk through it (P25)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpResponse

from delivery.clock import now
from nurture import selectors
from nurture.admin.insight.frame import (
    ROWS,
    Page,
    between,
    explained,
    known_zone,
    long_words,
    percent,
)
from nurture.domain import wording
from nurture.domain.funnel import Funnel, State, StepFigures, by_size, share
from nurture.domain.leaving import Leaving
from nurture.domain.sequence import SequenceSpec, Step, StepKind
from nurture.models import SequenceVersion
from nurture.services.insight import REACHED, WHOLE, count_runs, runs_at
from nurture.services.versions import spec_of

PERIODS = {"7": "7 days", "28": "28 days", "90": "90 days", "all": "all time"}
DEFAULT = "90"
LEAVING_DAYS = 90
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
TONES: dict[str, str] = {
    State.WAITING: "info",
    State.SENT: "good",
    State.UNKNOWN: "warn",
    State.FAILED: "bad",
    State.SKIPPED: "calm",
    State.PASSED: "calm",
    "active": "info",
    "paused": "warn",
    "completed": "good",
    "exited": "bad",
}
WORDS: dict[str, str] = {
    State.WAITING: "waiting now",
    State.SENT: "sent",
    State.UNKNOWN: "unknown",
    State.FAILED: "failed",
    State.SKIPPED: "skipped",
    State.PASSED: "gone on",
    "reached": "came here",
    "left": "ended early",
    "begun": "begun",
    "open": "under way",
    "active": "under way",
    "paused": "held",
    "completed": "went the whole way",
    "exited": "ended early",
}
#: What a branch asks comes before where it goes.
_FIRST = ("Asks whether the learner", "If so, goes to", "If not, goes to")
_ALWAYS = {True: (State.WAITING, State.SENT), False: (State.WAITING, State.PASSED)}


def timeline_page(page: Page) -> HttpResponse:
    """Trigger, steps, waits and hours of a version, and its figures; each leads to its list."""
    version, days = page.version(), _days(page)
    if version is None:
        return page.show("timeline", version=None, versions=[])
    spec = spec_of(version)
    found = count_runs(version_id=version.pk, since=_since(days))
    at = now()
    left = selectors.left_by_step(
        sequence_ids=[page.sequence.pk], since=at - timedelta(days=LEAVING_DAYS), now=at
    )
    pictures = _Pictures(page, version, days, found)
    leaving = {row.step_key: row for row in left.get(page.sequence.pk, [])}
    keys = {step.key for step in spec.steps}
    return page.show(
        "timeline",
        version=version,
        versions=page.versions,
        periods=PERIODS.items(),
        days=days,
        start=_start(spec),
        keys=keys,
        totals=pictures.totals(),
        reasons=pictures.reasons("", "left", found.left_for),
        steps=[pictures.step(step, leaving.get(step.key)) for step in spec.steps],
        elsewhere=[pictures.bare(row) for key, row in found.steps.items() if key not in keys],
        leaving_days=LEAVING_DAYS,
    )


def runs_page(page: Page) -> HttpResponse:
    """The runs behind one number of the timeline."""
    if not page.may("nurture.view_journey"):
        raise PermissionDenied
    version, days, state = page.version(), _days(page), page.asked("state", "reached")
    if version is None or state not in {*State, *WHOLE, REACHED}:
        return page.show("timeline_runs", version=version, rows=[])
    step, why = page.asked("step"), page.asked("why")
    found = runs_at(
        version_id=version.pk, since=_since(days), step=step, state=state, why=why, limit=ROWS,
        offset=page.offset,
    )  # fmt: skip
    return page.show(
        "timeline_runs",
        version=version,
        step=step,
        state=WORDS[state],
        why=explained(why) if why else "",
        period=PERIODS[days],
        rows=[
            (row, TONES[row.state], WORDS[row.state], explained(row.why) if row.why else "",
             known_zone(row.zone))
            for row in found.rows
        ],
        back=page.url("timeline", version=version.number, days=days),
        **page.ways(found.total),
    )  # fmt: skip


def _days(page: Page) -> str:
    days = page.asked("days", DEFAULT)
    return days if days in PERIODS else DEFAULT


def _since(days: str) -> datetime:
    return LONG_AGO if days == "all" else now() - timedelta(days=int(days))


def _start(spec: SequenceSpec) -> dict[str, Any]:
    """What starts it, and the rules that hold for every step."""
    rules = wording.rules(spec)
    shown = ("Entry", "Hours", "Outside the hours", "Ends early on", "Cap", "Held out")
    return {
        "triggers": [wording.trigger(trigger) for trigger in spec.triggers],
        "rules": [(label, rules[label]) for label in shown if label in rules],
        "hours": wording.window(spec.window) if spec.window else "",
    }


@dataclass
class _Pictures:
    """The figures of a version as a template shows them."""

    page: Page
    version: SequenceVersion
    days: str
    found: Funnel

    def totals(self) -> list[dict[str, Any]]:
        """What became of the journeys as a whole."""
        statuses, entered = self.found.statuses, self.found.entered
        under_way = statuses["active"] + statuses["paused"]
        early = self.found.left_for.total()
        begun = "at any time" if self.days == "all" else f"in {PERIODS[self.days]}"
        done = statuses["completed"]
        rows = [
            ("Journeys", entered, f"begun {begun}", "begun"),
            ("Under way", under_way, f"{statuses['paused']} of them held", "open"),
            ("Went the whole way", done, percent(share(done, entered)), "completed"),
            ("Ended early", early, percent(share(early, entered)), "left"),
        ]
        return [
            {"label": label, "value": value, "note": note, "url": self.runs("", state)}
            for label, value, note, state in rows
        ]  # fmt: skip

    def step(self, step: Step, leaving: Leaving | None) -> dict[str, Any]:
        """One step: what it says, and its figures."""
        says = step.kind is StepKind.MESSAGE
        words = wording.step(step)
        dull = {"Kind", "Switch", "Wait", "Text", "Only if the learner"}
        figures = self.found.of(step.key)
        labels = dict.fromkeys([*(label for label in _FIRST if label in words), *words])
        return self.bare(figures, says=says) | {
            "kind": step.kind.value,
            "enabled": step.enabled,
            "wait": wording.wait(step.wait),
            "when": words.get("Only if the learner", ""),
            "text": step.text,
            "more": [(label, words[label]) for label in labels if label not in dull],
            "median": long_words(figures.median_wait) if figures.median_wait is not None else "",
            "leaving": leaving and {
                "share": percent(leaving.share),
                "interval": between(leaving.interval),
                "said": f"{leaving.left} of {leaving.messages} messages: {leaving.blocked} blocked"
                f" the bot, {leaving.stopped} said stop",
                "bad": leaving.is_too_many,
            },
        }  # fmt: skip

    def bare(self, figures: StepFigures, *, says: bool = True) -> dict[str, Any]:
        """The figures of a step."""
        states = [
            state for state in State if figures.states[state] or state in _ALWAYS[says]
        ]  # fmt: skip
        reached = figures.reached
        widths = {state: 100 * share(figures.states[state], reached) for state in states}
        return {
            "key": figures.key,
            "reached": reached,
            "reached_url": self.runs(figures.key, "reached"),
            "of_all": percent(share(reached, self.found.entered)),
            "width": f"{100 * share(reached, self.found.entered):.2f}",
            "states": [
                (WORDS[state], figures.states[state], TONES[state],
                 self.runs(figures.key, state), f"{widths[state]:.2f}")
                for state in states
            ],
            "left": figures.left,
            "left_url": self.runs(figures.key, "left"),
            "drop_off": percent(figures.drop_off) if figures.drop_off is not None else "",
            "reasons": [
                *self.reasons(figures.key, State.SKIPPED, figures.skipped_for),
                *self.reasons(figures.key, State.FAILED, figures.failed_for),
                *self.reasons(figures.key, "left", figures.left_for),
            ],
        }  # fmt: skip

    def reasons(self, step: str, state: str, counted: Any) -> list[tuple[str, str, int, str]]:
        """Each reason, in words, with its list."""
        return [
            (WORDS[state], explained(why), count, self.runs(step, state, why))
            for why, count in by_size(counted)
        ]

    def runs(self, step: str, state: str, why: str = "") -> str:
        """The list behind a number."""
        return self.page.url(
            "runs", version=self.version.number, days=self.days, step=step, state=str(state),
            why=why,
        )  # fmt: skip
