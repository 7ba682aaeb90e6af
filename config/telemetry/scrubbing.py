"""What may be written down about the work: chosen first, then cleaned of what slipped through.

A log line, a span and an error report hold constant words, numbers and the fields that are listed
here. What an exception or another library says is kept where it is about code or servers. What is
kept at all goes through patterns, as a second net. Standard library only.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

HIDDEN = "[…]"

#: Every field that a line or a report may have besides its time, level, logger and event.
#: docs/operations/observability.md explains them; a test holds that the code uses no others.
FIELDS: Mapping[str, str] = {
    "request_id": "one call of the web process, and all that it rang for",
    "task": "the actor at work",
    "task_id": "one run of an actor",
    "trace_id": "the way of one message over processes (W3C trace context)",
    "span_id": "the part of the trace that was at work",
    "journey_id": "a learner's walk through a sequence",
    "delivery_id": "one text to one chat",
    "event_id": "a fact of attendance",
    "update_id": "what somebody did in Telegram",
    "stream": "which sequence's messages a gate holds",
    "actor": "the actor that was rung",
    "alert": "which rule of the watch",
    "backtests": "how many were run",
    "bytes": "of an answer",
    "cause": "class of the transport's error",
    "channel": "whom the watch tells",
    "check": "one of the doctor's questions",
    "deliveries": "how many were planned",
    "error": "class of an error",
    "facts": "how many were acted on",
    "file": "name of a backup",
    "http_status": "of an answer of Telegram",
    "intents": "how many sends were begun",
    "job": "an entry of the timetable",
    "kind": "what sort of word or row",
    "language": "code of a language",
    "method": "of a request",
    "milliseconds": "how long it took",
    "month": "of rows kept by month",
    "outcome": "how a try ended",
    "pause_seconds": "until the next try",
    "port": "a TCP port",
    "results": "how many ends of sends were recorded",
    "route": "pattern of the URL, without its values",
    "rows": "how many",
    "seconds": "a span of time",
    "source": "which of Google's readings",
    "state": "how a reading ended",
    "status": "of an HTTP answer",
}

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # A bot token is part of every Bot API URL: https://core.telegram.org/bots/api#making-requests
    (re.compile(r"\b\d{5,}:[A-Za-z0-9_-]{20,}|/bot[^/\s]+"), "[token]"),
    (re.compile(r"\b(\w[\w+.-]*://)[^/\s@]+@"), r"\1[login]@"),
    (re.compile(r"\w[\w.+%'-]*@[\w-]+(?:\.[\w-]+)+"), "[address]"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}"), r"\1 [token]"),
    (re.compile(r"(?<=[\w/])\?[^\s\"'<>)]+"), "?[query]"),
    (re.compile(r"-----BEGIN [^-]+-----.*?(?:-----END [^-]+-----|$)", re.DOTALL), "[key]"),
    (re.compile(r"(?<![\w-])-?\d{7,}(?![\w-])"), "[number]"),  # a chat's id; no part of a UUID
)
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")

#: Python's own errors about code: their words name attributes and types, never values.
_ABOUT_CODE = frozenset({
    "AttributeError", "TypeError", "NameError", "UnboundLocalError", "ImportError",
    "ModuleNotFoundError", "NotImplementedError", "IndexError", "RecursionError",
    "ZeroDivisionError", "MemoryError", "RuntimeWarning", "AppRegistryNotReady",
})  # fmt: skip
#: Errors of servers. The first line says what failed; the rest quotes rows.
_OF_SERVERS = ("psycopg", "django.db", "redis", "dramatiq", "aiohttp", "urllib3")
_OF_THE_SYSTEM = frozenset({
    "OSError", "ConnectionError", "ConnectionRefusedError", "ConnectionResetError",
    "BrokenPipeError", "TimeoutError", "FileNotFoundError", "PermissionError", "gaierror",
})  # fmt: skip
_OWN = ("attendance", "config", "delivery", "nurture")


def clean(text: str) -> str:
    """`text` without tokens, logins, addresses, query strings and long numbers."""
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


def fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the `given` values that may be written down."""
    return {
        key: clean(value) if isinstance(value, str) else value
        for key, value in given.items()
        if key in FIELDS and isinstance(value, str | int | float | bool | None)
    }


def event(*, logger: str, said: object, values: object = ()) -> str:
    """What a record says.

    Ours are constant words (ruff holds it). Of other libraries' records the first line is kept,
    with their numbers and without their other values.
    """
    if not isinstance(said, str):
        return type(said).__name__  # an exception given as the message, for example
    if logger.partition(".")[0] in _OWN:
        return clean(said)
    if isinstance(values, Mapping):
        shown: Any = {key: _number(value) for key, value in values.items()}
    else:
        shown = tuple(map(_number, values)) if isinstance(values, Iterable) else (HIDDEN,)
    with suppress(TypeError, ValueError, KeyError):  # the placeholders themselves say nothing
        said = said % shown if shown else said
    return clean(said.partition("\n")[0])


def _number(value: object) -> object:
    return value if isinstance(value, int | float) else HIDDEN


def told(*, module: str, name: str, said: str) -> str:
    """The words of an exception of class `name`, as far as they cannot quote anybody's data."""
    if name in _ABOUT_CODE and module in {"builtins", ""}:
        return clean(said)
    first = said.partition("\n")[0]
    if module.partition(".")[0] == "psycopg" or module.startswith("django.db"):
        head, colon, rest = first.partition(": ")  # a constraint is named before it, a value after
        return clean(head + colon + _QUOTED.sub(HIDDEN, rest))
    if name in _OF_THE_SYSTEM or module.startswith(_OF_SERVERS):
        return clean(_QUOTED.sub(HIDDEN, first))
    return HIDDEN if said else ""


def words(error: BaseException) -> str:
    """The class of an error and what it says, without the rows that a database quotes in it."""
    kind, said = type(error), str(error)
    if kind.__module__.startswith(("psycopg", "django.db")):
        said = told(module=kind.__module__, name=kind.__name__, said=said)
    return f"{kind.__name__}: {said}".rstrip(": ")


def exception(error: BaseException) -> str:
    """A traceback with its causes: where, and of which class; words only as `told` lets through."""
    parts: list[str] = []
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        kind = type(link)
        words = told(module=kind.__module__, name=kind.__name__, said=str(link))
        lines = "".join(traceback.format_tb(link.__traceback__))
        parts.append(f"{lines}{kind.__qualname__}: {words}".rstrip(": "))
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return "\n--- after ---\n".join(reversed(parts))
