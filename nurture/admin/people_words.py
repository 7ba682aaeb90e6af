"""A learner's page in words: what is read by nurture.services.learner_page, as rows of tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from attendance.domain.reasons import EXPLAIN as OF_ATTENDANCE
from config.console.words import absolute, link, moment, pill
from delivery.domain.reasons import EXPLAIN as OF_DELIVERY
from delivery.models import Delivery
from nurture.domain.reasons import EXPLAIN, Reason
from nurture.domain.remedies import QUESTIONS
from nurture.models import Journey, TaskKind
from nurture.services.explain import Explanation, meaning, would_change
from nurture.services.learner_page import ClassLine, LearnerPage, ToDo
from nurture.services.simulation.forecasting import Forecast

DELIVERY_TONES = {
    "pending": "info", "leased": "info", "sending": "info", "sent": "good", "unknown": "warn",
    "failed": "bad", "dead": "bad", "expired": "warn", "cancelled": "calm", "skipped": "calm",
}  # fmt: skip
JOURNEY_TONES = {"active": "good", "paused": "warn", "completed": "info", "exited": "calm"}
OUTCOME_TONES = {
    "attended": "good", "late": "warn", "left_early": "warn", "partial": "warn", "missed": "bad",
}  # fmt: skip
PLEDGE_WORDS = {
    "asked": "was asked", "yes": "will come", "no": "will not come", "kept": "came as promised",
    "broken": "did not come, though promised", "excused": "is excused",
}  # fmt: skip

#: What a rule saw that says nothing to a person.
NUMBERS_OF_ROWS = frozenset({"learner", "chat", "journey", "class", "session", "key"})

Cells = tuple[object, ...]


@dataclass(frozen=True, kw_only=True)
class Section:
    """One table of the page; `empty` stands where it has no rows, `more` is the full list."""

    key: str
    title: str
    heads: Sequence[str]
    rows: Sequence[Cells]
    empty: str
    help: str = ""
    more: tuple[str, str] | None = None  # address, words


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Why, or why not: the verdict in words, the rule that decided, what would change it."""

    pill: SafeString
    sentence: str
    question: str
    seen: str
    remedy: str
    changes_at: datetime | None
    rules: list[Cells] = field(default_factory=list)


def sections(page: LearnerPage, *, personal: bool) -> list[Section]:
    """The tables of the page, top to bottom; `personal`: also what is nothing but personal data."""
    found = [_coming(page), _past(page), _journeys(page), _classes(page), _to_do(page)]
    return [*found, *([_identities(page)] if personal else []), _decisions(page)]


def reach(page: LearnerPage) -> SafeString:
    """Whether somebody can write to the learner now, and why not."""
    if page.silent is not None:
        return pill("bad", "cannot be written to", EXPLAIN[page.silent])
    if page.snoozed_until:
        until = absolute(page.snoozed_until, page.zone.key)
        return pill("warn", "asked for quiet", f"until {until}")
    return pill("good", "can be written to")


def consents(page: LearnerPage) -> list[SafeString]:
    """What the learner agreed to, each with since when and how."""
    return [
        pill(
            "good" if row["granted"] else "bad",
            ("agreed" if row["granted"] else "said no")
            + (f" to {row['category']}" if row["category"] else ""),
            f"{absolute(datetime.fromisoformat(row['changed_at']))} ({row['source']})",
        )
        for row in page.consents
    ]


def _coming(page: LearnerPage) -> Section:
    """What is owed and what will be decided, in the order of their moments."""
    lines = [(row.at, _owed_cells(row, page)) for row in page.owed]  # type: ignore[attr-defined]
    for journey in page.journeys:
        if journey.next_action_at:
            decides = ("decides what comes next", _step_words(journey), pill("info", "decision"))
            cells = (moment(journey.next_action_at, page.zone.key), *decides)
            lines.append((journey.next_action_at, cells))
    return Section(
        key="coming",
        title="Coming",
        heads=("When", "What", "From", "State"),
        rows=[cells for _, cells in sorted(lines, key=lambda line: line[0])],
        empty="Nothing is planned. “Why / why not” says what each sequence would do.",
        help="Times are first on your clock, then on the learner's. A message goes out at its time"
        " only if consent, hours, caps and gates still allow it then.",
    )


def _owed_cells(row: Delivery, page: LearnerPage) -> Cells:
    held = row.held_by or _held_by_stream(row)  # type: ignore[attr-defined]
    state = pill("warn", "held", held) if held else pill("info", row.status)
    return moment(row.at, page.zone.key), _text(row), _from(row), state  # type: ignore[attr-defined]


def _held_by_stream(row: Delivery) -> str:
    gate = row.stream
    is_closed = gate.closed_until > (row.at or gate.closed_until)  # type: ignore[attr-defined]
    return (gate.reason or "The gate of its sequence is closed.") if is_closed else ""


def _past(page: LearnerPage) -> Section:
    chat = page.chat
    address = reverse("admin:delivery_delivery_changelist")
    more = f"{address}?chat__id__exact={chat.pk}" if chat else ""
    return Section(
        key="past",
        title="So far",
        heads=("When", "What", "From", "State"),
        rows=[
            (moment(row.at, page.zone.key), _text(row), _from(row), _status(row.status, row.reason))  # type: ignore[attr-defined]
            for row in page.past
        ],
        empty="Nothing has been sent or dropped yet.",
        help=_in_archive(page),
        more=(more, f"All {page.past_in_all:,}") if page.past_in_all > len(page.past) else None,
    )


def _in_archive(page: LearnerPage) -> SafeString | str:
    if not page.has_archive or page.chat is None:
        return ""
    url = f"{reverse('admin:delivery_archiveddelivery_changelist')}?chat__id__exact={page.chat.pk}"
    words = '<a class="tb-link" href="{}">Older ones are in the archive.</a>'
    return format_html(words, url)


def _status(status: str, reason: str) -> SafeString:
    return pill(DELIVERY_TONES[status], status, _said(OF_DELIVERY, reason))


def _text(row: Delivery) -> SafeString:
    return link(row, row.text[:70] + ("…" if len(row.text) > 70 else ""))


def _from(row: Delivery) -> SafeString | str:
    """Which sequence and step, linked to the journey that planned it."""
    planned = row.planned_by  # type: ignore[attr-defined]
    if not planned or not planned["journey"]:
        return row.stream_id.removeprefix("stream:") or "the bot's own words"
    url = reverse("admin:nurture_journey_change", args=[planned["journey"]])
    words = f"{planned['sequence'] or planned['slug']}, {planned['step']}"
    return format_html('<a class="tb-link" href="{}">{}</a>', url, words)


def _journeys(page: LearnerPage) -> Section:
    return Section(
        key="journeys",
        title="Journeys",
        heads=("Sequence", "State", "Step", "Began with", "Started"),
        rows=[
            (
                link(row, f"{row.sequence.name}, version {row.version.number}"),
                pill(JOURNEY_TONES[row.status], row.status, _said(EXPLAIN, row.exit_reason)),
                row.step_key or "–",
                _cause(row),
                moment(row.started_at, page.zone.key),
            )
            for row in page.journeys
        ],
        empty="No sequence has begun for this learner.",
        more=(
            reverse("admin:nurture_journey_changelist") + f"?learner__id__exact={page.learner.pk}",
            "All journeys",
        ),
    )


def _step_words(row: Journey) -> SafeString:
    return link(row, f"{row.sequence.name}, {row.step_key or 'its first step'}")


def _cause(row: Journey) -> SafeString | str:
    if row.session is None:
        return "–"
    fact = row.cause.kind.replace("_", " ") if row.cause else "a class"
    return link(row.session, f"{fact}: {row.session.title or 'class'}")


def _classes(page: LearnerPage) -> Section:
    return Section(
        key="classes",
        title="Classes",
        heads=("Class", "Begins", "Said", "Was there", "Minutes"),
        rows=[_class_cells(row, page) for row in page.classes],
        empty="No class has been settled yet, and nothing was promised.",
        more=(
            reverse("admin:attendance_outcome_changelist")
            + f"?learner__id__exact={page.learner.pk}&is_current__exact=1",
            "All outcomes",
        ),
    )


def _class_cells(row: ClassLine, page: LearnerPage) -> Cells:
    url = reverse("admin:attendance_classsession_change", args=[row.session_id])
    outcome: object = "–"
    if row.outcome_id is not None:
        words = row.outcome.replace("_", " ")
        why = _said(OF_ATTENDANCE, row.reason)
        outcome = pill(OUTCOME_TONES.get(row.outcome, "calm"), words, why)
    return (
        format_html('<a class="tb-link" href="{}">{}</a>', url, row.title or "Class"),
        moment(row.starts_at, page.zone.key),
        PLEDGE_WORDS.get(row.pledge, "–"),
        outcome,
        row.minutes if row.outcome_id is not None else "–",
    )


def _to_do(page: LearnerPage) -> Section:
    return Section(
        key="todo",
        title="Waiting for a person",
        heads=("What", "Note", "Since"),
        rows=[(_to_do_link(row), row.note or "–", moment(row.created_at)) for row in page.to_do],
        empty="No open task and no open question about this learner.",
    )


def _to_do_link(row: ToDo) -> SafeString:
    url = reverse(f"admin:{row.model}_change", args=[row.pk])
    words = TaskKind(row.kind).label if row.kind in TaskKind.values else row.kind
    return format_html('<a class="tb-link" href="{}">{}</a>', url, words.replace("_", " "))


def _identities(page: LearnerPage) -> Section:
    return Section(
        key="identities",
        title="Known in calls by",
        heads=("Kind", "Mark", "In", "How sure", "From"),
        rows=[
            (
                row["kind"].replace("_", " "),
                row["value_key"],
                row["course_title"] or "every course",
                row["status"].replace("_", " "),
                row["origin"],
            )
            for row in page.identities
        ],
        empty="Nothing, so the learner cannot be seen in any class.",
    )


def _decisions(page: LearnerPage) -> Section:
    return Section(
        key="decisions",
        title="Decided of late",
        heads=("When", "Sequence", "Because", "From"),
        rows=[
            (
                moment(row.decided_at, page.zone.key),
                row.sequence.name if row.sequence else "–",
                _said(EXPLAIN, row.code),
                seen(row.inputs, page.zone.key),
            )
            for row in page.decisions
        ],
        empty="Nothing was decided about this learner yet.",
        more=(
            reverse("admin:nurture_decision_changelist") + f"?learner__id__exact={page.learner.pk}",
            "All decisions",
        ),
    )


def _said(sentences: Mapping[Any, str], code: str) -> str:
    return sentences.get(code, code.replace("_", " "))


def seen(inputs: Mapping[str, Any], zone: str) -> str:
    """What a rule saw, in words: moments on the learner's clock, codes as sentences."""
    return "; ".join(_pairs(inputs, zone)) or "–"


def _pairs(inputs: Mapping[str, Any], zone: str) -> Iterator[str]:
    for key, value in inputs.items():
        if key in NUMBERS_OF_ROWS:
            continue
        if isinstance(value, Mapping):
            yield from _pairs(value, zone)
        elif value not in (None, "", [], {}):
            yield f"{key.replace('_', ' ')}: {_value(value, zone)}"


def _value(value: Any, zone: str) -> str:
    if isinstance(value, str) and value in set(Reason):
        return EXPLAIN[Reason(value)]
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    return absolute(at, zone) if at is not None and at.tzinfo else str(value)


def answer(found: Explanation, zone: str) -> Answer:
    """An explanation in words, the rule that decided first."""
    passed = next((row["passed"] for row in found.rules if row["rule"] == found.rule), False)
    return Answer(
        pill=pill("good", "nothing stops it") if passed else pill("bad", "this stops it"),
        sentence=meaning(found.verdict),
        question=QUESTIONS.get(found.rule, found.rule.replace("_", " ")),
        seen=seen(found.input, zone),
        remedy=would_change(str(found.input.get("held"))) or would_change(found.verdict),
        changes_at=datetime.fromisoformat(found.changes_at) if found.changes_at else None,
        rules=[
            (
                QUESTIONS.get(row["rule"], row["rule"].replace("_", " ")),
                pill("good", "passed") if row["passed"] else pill("bad", "stopped here"),
                seen(row["input"], zone),
            )
            for row in found.rules
        ],
    )


def ahead(found: Forecast, zone: str) -> list[Cells]:
    """The messages of a forecast, soonest first."""
    return [
        (
            moment(datetime.fromisoformat(line["at"]), zone),
            line["sequence"],
            line["step"],
            line["text"][:70],
            pill(
                DELIVERY_TONES[line["status"]], line["status"], _said(OF_DELIVERY, line["reason"])
            ),
        )
        for learner in found.learners
        for line in learner["messages"]
    ]
