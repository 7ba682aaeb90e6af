"""Conditions: a tree over a closed list of questions, and the answer to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nurture.domain.sequence import Condition

#: Questions without a value; `tag:<name>` and `language:<code>` have one.
NAMES = ("attended", "missed", "pledged_next", "has_next_session", "replied", "opted_out")
VALUED = ("tag", "language")


@dataclass(frozen=True, kw_only=True)
class ConditionFacts:
    """What a condition may ask of one learner at one moment; facts count since entry."""

    facts: frozenset[str] = frozenset()
    pledged_next: bool = False
    has_next_session: bool = False
    replied: bool = False
    opted_out: bool = False
    tags: frozenset[str] = frozenset()
    language: str = ""


def holds(condition: Condition, facts: ConditionFacts) -> bool:
    """Whether a condition is true of these facts."""
    return comes_to(condition, lambda leaf: _answer(leaf, facts))


def comes_to(condition: Condition, answer: Callable[[Condition], bool]) -> bool:
    """What a tree of conditions comes to, where each question in it is answered so."""
    parts = (comes_to(part, answer) for part in condition.parts)
    match condition.op:
        case "not":
            return not next(parts)
        case "all":
            return all(parts)
        case "any":
            return any(parts)
        case _:
            return answer(condition)


def leaves(condition: Condition | None) -> Iterator[Condition]:
    """Every question in a tree of conditions."""
    if condition is None:
        return
    if condition.op == "is":
        yield condition
    for part in condition.parts:
        yield from leaves(part)


def answers(condition: Condition | None, facts: ConditionFacts) -> dict[str, bool]:
    """What each question in a condition is answered: the inputs of what was decided by it."""
    return {
        f"{leaf.name}:{leaf.value}" if leaf.value else leaf.name: _answer(leaf, facts)
        for leaf in leaves(condition)
    }


def _answer(condition: Condition, facts: ConditionFacts) -> bool:
    match condition.name:
        case "tag":
            return condition.value in facts.tags
        case "language":
            return facts.language == condition.value
        case "attended" | "missed":
            return condition.name in facts.facts
        case _:
            return bool(getattr(facts, condition.name))
