"""Single values of a sequence file: each function returns the value or raises ValueError with the
words that the author reads."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import time, timedelta
from enum import Enum
from typing import Any, TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.events import AliasEvent

from nurture.domain import conditions
from nurture.domain.sequence import DAYS, Again, Condition

E = TypeVar("E", bound=Enum)

_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}\Z")
_DURATION = re.compile(r"(\d{1,5})([mhd])\Z")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_TIME = re.compile(r"(\d{1,2}):(\d{2})\Z")
# Telegram takes 64 bytes, of which the version and the delivery's number need some.
#: Of a file; the longest that makes sense has a hundred steps in some languages.
MOST_CHARACTERS = 256 * 1024
#: Of the name of a sequence, and of a calendar's id.
LONGEST_NAME, LONGEST_CALENDAR = 120, 320
_MAY_BE_ALIAS = re.compile(r"(?:^|[\s\[{,:?-])\*\w")
_ACTION = re.compile(r"https://\S{1,500}\Z|[a-z][a-z0-9_]{0,39}\Z")


def bomb(text: str) -> tuple[int, str] | None:
    """Why a file must not be unfolded, and where: (line, words); None for any honest one.

    A few lines of aliases of aliases would become millions of conditions.
    """
    if len(text) > MOST_CHARACTERS:
        return 1, f"the file is longer than {MOST_CHARACTERS} characters"
    if _MAY_BE_ALIAS.search(text):
        for event in YAML(typ="safe", pure=True).parse(text):
            if isinstance(event, AliasEvent):
                line = event.start_mark.line + 1
                return line, "write it out: a sequence has no aliases (*name)"
    return None


def slug(value: Any) -> str:
    """A stable name: small letters, digits, - and _."""
    if not isinstance(value, str) or not _SLUG.match(value):
        raise ValueError(f"{value!r} is no name of small letters, digits, - and _")
    return value


def words(value: Any) -> str:
    """One line of text."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("expected a text")
    return value.strip()


def short(most: int) -> Callable[[Any], str]:
    """One line of text that its column takes."""

    def convert(value: Any) -> str:
        said = words(value)
        if len(said) > most:
            raise ValueError(f"expected at most {most} characters")
        return said

    return convert


def message(value: Any) -> str:
    """A message's text, lines kept."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("expected a text")
    return value.rstrip("\n")


def boolean(value: Any) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise ValueError("expected true or false")
    return value


def times(value: Any) -> int:
    """How many classes in a row; 0 for `any`: each time."""
    return 0 if value == "any" else number(1, 100)(value)


def number(least: int, most: int) -> Callable[[Any], int]:
    """A whole number within bounds."""

    def convert(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"expected a whole number from {least} to {most}")
        return int(value)

    return convert


def one_of(kinds: type[E]) -> Callable[[Any], E]:
    """A member of an enumeration."""

    def convert(value: Any) -> E:
        try:
            return kinds(value)
        except ValueError:
            known = ", ".join(str(kind.value) for kind in kinds)
            raise ValueError(f"{value!r} is not one of {known}") from None

    return convert


def choice(*known: str) -> Callable[[Any], str]:
    """One word of a closed list."""

    def convert(value: Any) -> str:
        if value not in known:
            raise ValueError(f"{value!r} is not one of {', '.join(known)}")
        return str(value)

    return convert


def several(known: tuple[str, ...]) -> Callable[[Any], tuple[str, ...]]:
    """A list of words of a closed list."""

    def convert(value: Any) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise ValueError("expected a list")
        return tuple(choice(*known)(item) for item in value)

    return convert


def local_time(value: Any) -> time:
    """A local time such as 09:00."""
    match = _TIME.match(value) if isinstance(value, str) else None
    if match is None or not (int(match[1]) < 24 and int(match[2]) < 60):
        raise ValueError(f'{value!r} is no time such as "09:00"')
    return time(int(match[1]), int(match[2]))


def duration(value: Any) -> timedelta:
    """A duration such as 30m, 2h, 3d."""
    match = _DURATION.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is no duration such as 30m, 2h or 3d")
    return int(match[1]) * _UNITS[match[2]]


def days(value: Any) -> int:
    """A list of weekdays, as a mask with bit 0 = Monday."""
    if not isinstance(value, list) or not value:
        raise ValueError(f"expected a list of {', '.join(DAYS)}")
    return sum({1 << DAYS.index(choice(*DAYS)(day)) for day in value})


def again(value: Any) -> tuple[Again, timedelta | None]:
    """never, every key, or after a duration."""
    if isinstance(value, str) and value.startswith("after "):
        return Again.AFTER, duration(value.removeprefix("after ").strip())
    if isinstance(value, str) and value in {Again.NEVER.value, Again.EVERY_KEY.value}:
        return Again(value), None
    raise ValueError(f"{value!r} is not one of never, every key, after <duration>")


def buttons(value: Any) -> tuple[tuple[tuple[str, str], ...], ...]:
    """Rows of {text, action}."""
    if not isinstance(value, list) or not all(isinstance(row, list) for row in value):
        raise ValueError("expected rows, each a list of {text: …, action: …}")
    return tuple(tuple(_button(item) for item in row) for row in value)


def _button(value: Any) -> tuple[str, str]:
    if not isinstance(value, Mapping) or set(value) != {"text", "action"}:
        raise ValueError("a button has exactly `text` and `action`")
    action = value["action"]
    if not isinstance(action, str) or not _ACTION.match(action):
        raise ValueError(f"{action!r} is no action such as pledge_next, and no https:// address")
    return words(value["text"]), action


def arms(value: Any) -> dict[str, int]:
    """The arms of a split with their weights."""
    if not isinstance(value, Mapping) or not value:
        raise ValueError("expected step keys with their weights")
    return {slug(key): number(1, 1_000_000)(weight) for key, weight in value.items()}


def condition(value: Any) -> Condition:
    """A condition: a name, or {not: …}, {all: […]}, {any: […]}."""
    if isinstance(value, str):
        return _leaf(value)
    if not isinstance(value, Mapping) or len(value) != 1:
        raise ValueError("expected a condition, or one of {not: …}, {all: […]}, {any: […]}")
    op, inner = next(iter(value.items()))
    if op == "not":
        return Condition(op="not", parts=(condition(inner),))
    if op in {"all", "any"} and isinstance(inner, list) and inner:
        return Condition(op=op, parts=tuple(condition(part) for part in inner))
    raise ValueError(f"{op!r} is not one of not, all, any (with a list)")


def _leaf(value: str) -> Condition:
    name, colon, rest = value.partition(":")
    if colon and name in conditions.VALUED and rest.strip():
        return Condition(op="is", name=name, value=rest.strip())
    if value in conditions.NAMES:
        return Condition(op="is", name=value)
    known = (*conditions.NAMES, *(f"{name}:<value>" for name in conditions.VALUED))
    raise ValueError(f"unknown condition {value!r}; known are {', '.join(known)}")
