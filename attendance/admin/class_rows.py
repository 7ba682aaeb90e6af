"""The rows of a class's page, in words and bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.paginator import Page
from django.db.models import Model
from django.utils.safestring import SafeString

from attendance.admin.bars import axis, device_words, stays_svg
from attendance.admin.base import minute, person
from attendance.admin.phrases import SAID, judged_by, outcome_pill, policy_words, rule_words
from attendance.domain.kinds import OutcomeKind
from attendance.domain.reasons import EXPLAIN
from attendance.models import AttendanceEvent, Learner, Outcome
from attendance.selectors import ClassPage, Device, Person, Stranger
from attendance.services.corrections import DECIDABLE
from attendance.services.review import RECORDS
from config.console.lists import leaf, leaf_of
from config.console.words import link


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table; all in words."""

    who: str
    learner: Learner
    outcome: Any  # the row that stands, or None
    label: SafeString
    bars: SafeString
    came: str
    left: str
    minutes: int
    said: str
    because: str
    would_change: str
    rule: str
    policy: str
    judged_by: str
    flags: str
    by_name: bool
    question: Any
    choices: Sequence[tuple[str, str]]
    facts: Sequence[SafeString]  # that went out, as links
    followed: Sequence[SafeString]  # what was done because of them


@dataclass(frozen=True, kw_only=True)
class Guest:
    """One unresolved person, or somebody who is no learner."""

    shown: str
    device: str
    bars: SafeString
    came: str
    left: str
    why: str
    candidates: Sequence[SafeString]
    anyone: bool
    question: Any


def people_of(page: ClassPage, asked: Mapping[str, str]) -> Page[Person]:
    """The learners to be shown: those of one outcome, if asked; the page with `learner` on it."""
    only = asked.get("outcome", "")
    found = [who for who in page.people if only in {"", who.kind}]
    wanted = asked.get("learner", "")
    places = (at for at, who in enumerate(found) if str(who.learner.pk) == wanted)
    return leaf(found, asked.get("p") or leaf_of(next(places, 0)))


def rows_of(
    page: ClassPage,
    people: Page[Person],
    *,
    asked: Mapping[str, str],
    followed: Mapping[int, Sequence[SafeString]],
    may_see: bool,
) -> dict[str, Any]:
    """The context of the template: learners, guests, others; of each what one page shows."""
    guests, others = leaf(page.strangers, asked.get("g")), leaf(page.others, asked.get("o"))
    return {
        "axis": axis(page.frame),
        "people": people,
        "rows": [_row(page, who, followed.get(who.learner.pk, ())) for who in people],
        "strangers": guests,
        "guests": [_guest(page, who, may_see) for who in guests],
        "strange": others,
        "others": [(_shown(seen, may_see), *_other(page, seen)) for seen in others],
        "policy": policy_words(page.known.policy_row),
    }


def _row(page: ClassPage, who: Person, followed: Sequence[SafeString]) -> Row:
    outcome = who.outcome
    return Row(
        who=person(who.learner),
        learner=who.learner,
        outcome=outcome,
        label=outcome_pill(who.kind),
        bars=_bars(page, who.devices, "sure"),
        came=minute(outcome.first_join_at) if outcome else "–",
        left=minute(outcome.last_leave_at) if outcome else "–",
        minutes=outcome.present_seconds // 60 if outcome else 0,
        said=SAID[who.said],
        because=EXPLAIN[who.reason],
        would_change=who.would_change,
        rule=rule_words(who.deciding.name, who.deciding.value),
        policy=policy_words(outcome.policy if outcome else page.known.policy_row),
        judged_by=judged_by(outcome) if outcome and outcome.origin != "engine" else "",
        flags=", ".join(flag.replace("_", " ") for flag in outcome.flags) if outcome else "",
        by_name=who.by_name,
        question=who.question,
        choices=corrections_of(outcome),
        facts=[link(fact, _fact(fact)) for fact in who.facts],
        followed=followed,
    )


def _fact(fact: AttendanceEvent) -> str:
    """A fact, and in how many classes in a row it held."""
    words = fact.kind.replace("_", " ")
    return f"{words} ({fact.streak} in a row)" if fact.streak > 1 else words


def corrections_of(outcome: Outcome | None) -> list[tuple[str, str]]:
    """What it could be put right to; the records may speak again where a person had decided."""
    if outcome is None:
        return []
    found = [(kind.value, _word(kind)) for kind in DECIDABLE if kind != outcome.outcome]
    return [*found, (RECORDS, "as the records say")] if outcome.origin == "staff" else found


def _word(kind: OutcomeKind) -> str:
    return kind.value.replace("_", " ")


def _guest(page: ClassPage, who: Stranger, may_see: bool) -> Guest:
    return Guest(
        shown=_shown(who.device, may_see),
        device=device_words(who.device),
        bars=_bars(page, [who.device], "guest"),
        came=minute(who.device.started_at),
        left=minute(who.device.ended_at),
        why=who.why,
        candidates=[_link(found) for found in who.candidates],
        anyone=who.anyone,
        question=who.question,
    )


def _link(learner: Model) -> SafeString:
    return link(learner, person(learner))  # type: ignore[arg-type]


def _other(page: ClassPage, seen: Device) -> tuple[SafeString | str, str, str, SafeString]:
    learner = page.names.get(seen.learner_id or 0)
    what = _link(learner) if learner else _KINDS.get(seen.kind, seen.kind)
    return what, minute(seen.started_at), minute(seen.ended_at), _bars(page, [seen], "other")


_KINDS = {
    "staff": "one of our staff", "visitor": "a visitor", "bot": "a note-taker or bot",
    "room": "a room", "phone": "a phone", "human": "came before or after the class",
}  # fmt: skip


def _shown(seen: Device, may_see: bool) -> str:
    """What a device shows of its person, for those who may see such."""
    if not may_see:
        return "somebody"
    name, mark = seen.display_name, seen.identifier
    return f"{name} ({mark})" if name and mark else name or mark or "somebody without a name"


def _bars(page: ClassPage, devices: Sequence[Device], tone: str) -> SafeString:
    return stays_svg(devices, frame=page.frame, window=page.known.window, tone=tone)
