"""The texts of messages: Liquid over a plain dictionary, with nothing in reach but its values.

Never a Django or Jinja template: both let an editor call methods and burn memory without bound.
Here a text can only name the variables below; tags and filters are a closed list, loops do not
exist, the output has a limit, and values are escaped for Telegram's HTML.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache, lru_cache, wraps
from typing import Any

from liquid import BoundTemplate, Environment, FalsyStrictUndefined
from liquid.exceptions import LiquidError, LiquidSyntaxError, UndefinedError

from nurture import markup

#: Everything a text may name, and what it is.
VARIABLES: Mapping[str, str] = {
    "first_name": "the learner's first name",
    "last_name": "the learner's other names",
    "course_title": "the name of the course",
    "session_title": "the class that caused the journey",
    "session_date": "its day, in the learner's zone and language",
    "session_time": "its time, in the learner's zone",
    "minutes_present": "how many minutes the learner was seen in it",
    "streak": "how many classes in a row the fact has held",
    "next_session_title": "the next class of the course",
    "next_session_date": "its day, in the learner's zone and language",
    "next_session_time": "its time, in the learner's zone",
    "next_session_url": "its Meet link",
    "bot_username": "the bot's name, without @",
}
# Not written by people, so they hold nothing hostile.
_OURS = frozenset({"minutes_present", "streak", "next_session_url", "bot_username"})
_NAMES = frozenset({"first_name", "last_name"})

_TAGS = ("if", "unless", "case", "assign", "content", "output", "illegal", "comment", "#")
_FILTERS = (
    "default", "upcase", "downcase", "capitalize", "strip", "truncate", "append", "prepend",
    "replace", "plus", "minus", "times", "divided_by", "round", "escape",
)  # fmt: skip
# Liquid reads this tag before it looks at the list of tags.
_RAW = re.compile(r"\{%-?\s*raw\s*-?%\}")
_NAME_LENGTH = 64
_MOST = 20_000  # characters of anything that a text makes
_MOST_NUMBER = 10**15
#: What previews and checks say where there is no learner.
SAMPLE: Mapping[str, object] = {
    "first_name": "Rosa",
    "last_name": "Maro",
    "course_title": "Spanish A2",
    "session_title": "Spanish A2",
    "session_date": "Tuesday 24 November",
    "session_time": "19:00",
    "minutes_present": 42,
    "streak": 2,
    "next_session_title": "Spanish A2",
    "next_session_date": "Tuesday 1 December",
    "next_session_time": "19:00",
    "next_session_url": "https://meet.google.com/abc-defg-hij",
    "bot_username": "telbot",
}
# What names may hold; a text must survive each of them.
_HOSTILE = ("<b>&\"'", "</a>&lt;i>", "\u202eabc\u200b", "{{ 7 | times: 7 }}", "x" * 200, "Ω" * 64)


class TextError(ValueError):
    """A text cannot be rendered; the message says why."""


class MissingVariable(TextError):  # noqa: N818 - reads as what it says
    """A variable has no value and no `default`; the message is its name."""


class _Environment(Environment):
    """Liquid cut down to what a message needs."""

    loop_iteration_limit = 100
    output_stream_limit = _MOST
    local_namespace_limit = 8 * _MOST  # bytes
    context_depth_limit = 10


@cache
def _environment() -> _Environment:
    environment = _Environment(undefined=FalsyStrictUndefined, autoescape=True)
    environment.tags = {name: environment.tags[name] for name in _TAGS}
    environment.filters = {name: _bounded(name, environment.filters[name]) for name in _FILTERS}
    return environment


def _bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter with a limit to its result: a few in a row could fill the memory otherwise."""

    @wraps(function)
    def bounded(*args: Any, **options: Any) -> Any:
        if name == "replace" and len(args) > 2:  # text, what, by what
            text, old, new = map(str, args[:3])
            _limit(text.count(old) * len(new))
        try:
            result = function(*args, **options)
        except (ArithmeticError, ValueError) as error:
            raise LiquidError(f"{name}: {error}", token=None) from error
        _limit(len(result) if isinstance(result, str) else 0)
        if isinstance(result, int | float) and abs(result) > _MOST_NUMBER:
            raise LiquidError(f"{name}: the number is too large", token=None)
        return result

    return bounded


def _limit(characters: int) -> None:
    if characters > _MOST:
        raise LiquidError(f"the text makes more than {_MOST} characters", token=None)


@lru_cache(maxsize=500)
def _parse(text: str) -> BoundTemplate:
    if _RAW.search(text):
        raise LiquidSyntaxError("unexpected tag 'raw'", token=None)
    return _environment().from_string(text)


def check(text: str) -> list[str]:
    """What is wrong with a text, before anybody gets it; empty if nothing is.

    Names unknown variables, tags and filters, markup that Telegram would refuse, and lengths,
    with hostile names as well as with ordinary ones.
    """
    try:
        template = _parse(text)
        named = template.analyze()
    except LiquidError as error:
        return [_first_line(error)]
    unknown = [name for name in named.globals if name not in VARIABLES]
    if unknown:
        return [f"unknown variable {name!r}; known are {', '.join(VARIABLES)}" for name in unknown]
    unfiltered = [name for name in named.filters if name not in _FILTERS]
    if unfiltered:
        return [f"unknown filter {name!r}" for name in unfiltered]
    found: dict[str, None] = {}
    for sample in _samples():
        try:
            found |= dict.fromkeys(markup.problems(_render(template, sample)))
        except TextError as error:
            found[str(error)] = None
    return list(found)


def _samples() -> list[dict[str, object]]:
    hostile = [
        {name: value if name in _OURS else text for name, value in SAMPLE.items()}
        for text in _HOSTILE
    ]
    return [dict(SAMPLE), *hostile]


@lru_cache(maxsize=500)
def named(text: str) -> frozenset[str]:
    """The variables that a text names, with a `default` or without."""
    try:
        return frozenset(_parse(text).analyze().globals)
    except LiquidError:
        return frozenset()  # `render` says what is wrong


def render(text: str, variables: Mapping[str, object]) -> str:
    """The text for one learner.

    Raises MissingVariable where a variable without `default` has no value (None and "" are none),
    TextError where the result is nothing Telegram would take: nobody gets "Hi ,".
    """
    try:
        template = _parse(text)
    except LiquidError as error:
        raise TextError(_first_line(error)) from error
    rendered = _render(template, variables)
    if refused := markup.problems(rendered):
        raise TextError(refused[0])
    return rendered


def _render(template: BoundTemplate, variables: Mapping[str, object]) -> str:
    known = {name: _clean(name, value) for name, value in variables.items() if name in VARIABLES}
    present = {name: value for name, value in known.items() if value not in (None, "")}
    try:
        return template.render(present)
    except UndefinedError as error:
        raise MissingVariable(_name_in(error)) from error
    except LiquidError as error:
        raise TextError(_first_line(error)) from error


def _clean(name: str, value: object) -> object:
    """No line breaks, no control or direction characters, no endless names."""
    if not isinstance(value, str):
        return value
    kept = "".join(" " if unicodedata.category(c) in {"Cc", "Zl", "Zp"} else c for c in value)
    kept = "".join(c for c in kept if unicodedata.category(c) not in {"Cf", "Cs"} or c == "\u200d")
    kept = " ".join(kept.split())
    return kept[:_NAME_LENGTH] if name in _NAMES else kept


def _name_in(error: UndefinedError) -> str:
    found = re.match(r"'([^']+)'", str(error))
    return found.group(1) if found else "a variable"


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


_DAYS: Mapping[str, tuple[str, ...]] = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "es": ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"),
}
_MONTHS: Mapping[str, tuple[str, ...]] = {
    "en": (
        "January", "February", "March", "April", "May", "June", "July", "August", "September",
        "October", "November", "December",
    ),
    "es": (
        "enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre",
        "octubre", "noviembre", "diciembre",
    ),
}  # fmt: skip


def date_words(at: datetime, language: str) -> str:
    """The day of a local moment in words; other languages than en and es fall back to en."""
    code = language[:2].lower()
    days, months = _DAYS.get(code, _DAYS["en"]), _MONTHS.get(code, _MONTHS["en"])
    joined = " de " if code == "es" else " "
    return f"{days[at.weekday()]} {at.day}{joined}{months[at.month - 1]}"


def moment_words(at: datetime, language: str) -> str:
    """Day and time of a local moment: Tuesday 24 November, 19:00."""
    return f"{date_words(at, language)}, {time_words(at, language)}"


def time_words(at: datetime, language: str) -> str:
    """The time of a local moment: 19:00, the same in every language we have."""
    return f"{at:%H:%M}"
