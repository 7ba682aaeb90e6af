"""Conditions: a tree over a closed list of questions, and the answer to it."""

from __future__ import annotations

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
    match condition.op:
        case "not":
            return not holds(condition.parts[0], facts)
        case "all":
            return all(holds(part, facts) for part in condition.parts)
        case "any":
            return any(holds(part, facts) for part in condition.parts)
        case _:
            return _answer(condition, facts)


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
