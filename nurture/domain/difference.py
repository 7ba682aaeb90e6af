"""What differs between two states of a sequence, as a person reads it (P28, P29).

Steps are the same if their keys are. A step has moved if it stands elsewhere among those that both
states have; as few as possible are said to have moved.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

from nurture.domain import wording
from nurture.domain.sequence import SequenceSpec, Step


class Mark(StrEnum):
    """What became of a piece of text, or of a step."""

    SAME = "same"
    ADDED = "added"
    REMOVED = "removed"
    MOVED = "moved"
    CHANGED = "changed"


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Some words of a text: in both, only in the older, or only in the newer."""

    mark: Mark
    text: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """One thing that reads otherwise; "" where it was not said."""

    label: str
    before: str
    after: str

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """Word by word: what stayed, went and came."""
        return tuple(_pieces(self.before, self.after))

    def __str__(self) -> str:
        return f"{self.label}: “{self.before or '–'}” → “{self.after or '–'}”"


@dataclass(frozen=True, kw_only=True)
class StepChange:
    """What became of one step; places count from 1 and are None where there is no such step."""

    key: str
    place_before: int | None
    place_after: int | None
    moved: bool
    lines: tuple[Line, ...]

    @property
    def mark(self) -> Mark:
        """In one word; a step that moved and says something else counts as changed."""
        if self.place_before is None:
            return Mark.ADDED
        if self.place_after is None:
            return Mark.REMOVED
        if self.lines:
            return Mark.CHANGED
        return Mark.MOVED if self.moved else Mark.SAME

    def __str__(self) -> str:
        if self.mark in {Mark.ADDED, Mark.REMOVED}:
            return f"step {self.key} was {self.mark}"
        moved = [f"moved from place {self.place_before} to {self.place_after}"]
        return f"step {self.key}: " + "; ".join(
            [*(moved if self.moved else ()), *(str(line) for line in self.lines)]
        )


@dataclass(frozen=True, kw_only=True)
class Difference:
    """All that differs: rules of the sequence, and its steps in their new order.

    `steps` has those that stayed as they are, too; a removed one stands after the step that it
    followed.
    """

    rules: tuple[Line, ...]
    steps: tuple[StepChange, ...]

    @property
    def changed_steps(self) -> tuple[StepChange, ...]:
        """The steps that are not what they were."""
        return tuple(step for step in self.steps if step.mark is not Mark.SAME)

    def __bool__(self) -> bool:
        return bool(self.rules or self.changed_steps)

    def __str__(self) -> str:
        return "\n".join(str(part) for part in (*self.rules, *self.changed_steps))


def difference(before: SequenceSpec | None, after: SequenceSpec) -> Difference:
    """What `after` says otherwise than `before`; without one, everything is new."""
    rules_before = wording.rules(before) if before else {}
    return Difference(
        rules=tuple(_lines(rules_before, wording.rules(after))),
        steps=tuple(_steps(before.steps if before else (), after.steps)),
    )


def _lines(before: dict[str, str], after: dict[str, str]) -> Iterator[Line]:
    for label in (*after, *(label for label in before if label not in after)):
        old, new = before.get(label, ""), after.get(label, "")
        if old != new:
            yield Line(label=label, before=old, after=new)


def _steps(before: Sequence[Step], after: Sequence[Step]) -> Iterator[StepChange]:
    old = {step.key: (place, step) for place, step in enumerate(before, start=1)}
    new = {step.key: (place, step) for place, step in enumerate(after, start=1)}
    shared = [old[step.key][0] for step in after if step.key in old]
    stayed = set(_longest_rising(shared))
    for key in _both([step.key for step in before], list(new)):
        was, is_now = old.get(key), new.get(key)
        yield StepChange(
            key=key,
            place_before=was[0] if was else None,
            place_after=is_now[0] if is_now else None,
            moved=bool(was and is_now and was[0] not in stayed),
            lines=tuple(
                _lines(
                    wording.step(was[1]) if was else {}, wording.step(is_now[1]) if is_now else {}
                )
            ),
        )


def _both(before: list[str], after: list[str]) -> list[str]:
    """The keys of `after` in order, each that is gone behind the one that it followed."""
    found = list(after)
    for place, key in enumerate(before):
        if key not in after:
            at = found.index(before[place - 1]) + 1 if place else 0
            found.insert(at, key)
    return found


def _longest_rising(places: list[int]) -> list[int]:
    """The most places that still follow each other as they did."""
    best: list[list[int]] = []
    for at, place in enumerate(places):
        earlier = [best[n] for n in range(at) if places[n] < place]
        best.append([*max(earlier, key=len, default=[]), place])
    return max(best, key=len, default=[])


def _pieces(before: str, after: str) -> Iterator[Piece]:
    old, new = re.findall(r"\s+|[^\s]+", before), re.findall(r"\s+|[^\s]+", after)
    for op, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if op == "equal":
            yield Piece(mark=Mark.SAME, text="".join(old[a:b]))
            continue
        if a != b:
            yield Piece(mark=Mark.REMOVED, text="".join(old[a:b]))
        if c != d:
            yield Piece(mark=Mark.ADDED, text="".join(new[c:d]))
