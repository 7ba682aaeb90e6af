"""What may be written down: chosen first, then cleaned (S13)."""

from __future__ import annotations

import re
from typing import Any

import pytest

from config.telemetry import scrubbing

TOKEN = "1234567890:AAFakeFakeFakeFakeFakeFakeFakeFakeFak"
#: What a field may not be called, whoever adds one.
PRIVATE = re.compile(
    r"name|mail|chat|text|title|token|secret|password|cookie|authoriz|dsn|url|user|learner$"
    r"|address|phone|body|payload|description|params|args|query|telegram|said"
)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (f"POST https://api.telegram.org/bot{TOKEN}/sendMessage", "POST https://api.telegram.org"),
        (f"token {TOKEN}", "token [token]"),
        ("to rosa.p+x@mail.school.example now", "to [address] now"),
        ("postgresql://telbot:s3cret@db:5432/telbot", "postgresql://[login]@db:5432/telbot"),
        ("https://0abc1@o1.ingest.sentry.io/2", "https://[login]@o1.ingest.sentry.io/2"),
        ("GET /admin/learner/?q=Rosa&p=2 HTTP", "GET /admin/learner/?[query] HTTP"),
        ("Authorization: Bearer abc.DEF-123456", "Authorization: Bearer [token]"),
        ("chat 5000000123 and -1001234567890", "chat [number] and [number]"),
        ("chat_id=5000000123", "chat_id=[number]"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----", "[key]"),
    ],
)
def test_patterns_take_out_what_slipped_through(said: str, kept: str) -> None:
    cleaned = scrubbing.clean(said)

    assert cleaned.startswith(kept)
    assert "AAFake" not in cleaned


@pytest.mark.parametrize(
    "said",
    [
        "sent 3 of 5", "4bf92f35-77b3-4da6-a3ce-929d0e0e4736",
        "12345678-1234-1234-1234-123456789012",
        "nurture.tick", "2026-11-25T16:31:21.123456+00:00", "stream:we-missed-you",
    ],
)  # fmt: skip
def test_ordinary_words_are_left_alone(said: str) -> None:
    assert scrubbing.clean(said) == said


def test_only_listed_fields_are_written() -> None:
    given: dict[str, Any] = {
        "delivery_id": 12345678, "learner": "Rosa", "chat_id": 5000000123, "cause": "TimeoutError",
        "error": ["Rosa"], "status": None, "route": "admin/rosa@school.example/",
    }  # fmt: skip

    assert scrubbing.fields(given) == {
        "delivery_id": 12345678, "cause": "TimeoutError", "status": None,
        "route": "admin/[address]/",
    }  # fmt: skip


def test_no_field_is_called_what_somebody_could_be_recognised_by() -> None:
    assert [name for name in scrubbing.FIELDS if PRIVATE.search(name)] == []


@pytest.mark.parametrize(
    ("said", "values", "kept"),
    [
        ("Not Found: %s", ("/learner/Rosa",), "Not Found: […]"),
        ("%s %s, pid %d", ("a", "b", 12), "[…] […], pid 12"),
        ("%d of %s", ("Rosa", 3), "%d of %s"),  # what does not fit stays a template
        ("%(who)s did %(n)d", {"who": "Rosa", "n": 3}, "[…] did 3"),
        ("100 % sure", (), "100 % sure"),
        ("first line\nRosa", (), "first line"),
        ("%s", 7, "[…]"),
        (ValueError("Rosa"), (), "ValueError"),
    ],
)
def test_of_other_libraries_the_template_is_kept(said: object, values: object, kept: str) -> None:
    assert scrubbing.event(logger="django.request", said=said, values=values) == kept


def test_our_own_events_are_constant_words() -> None:
    assert scrubbing.event(logger="nurture.tasks", said="nurture.tick") == "nurture.tick"


@pytest.mark.parametrize(
    ("module", "name", "said", "kept"),
    [
        ("builtins", "AttributeError", "'Chat' has no 'x'", "'Chat' has no 'x'"),
        ("builtins", "ValueError", "invalid literal for int(): 'Rosa'", "[…]"),
        ("builtins", "KeyError", "", ""),
        ("nurture.texts", "AttributeError", "no Rosa", "[…]"),
        (
            "psycopg.errors", "UniqueViolation",
            'duplicate key value of constraint "once"\nDETAIL:  Key (name)=(Rosa).',
            'duplicate key value of constraint "once"',
        ),
        ("psycopg.errors", "InvalidTextRepresentation", 'invalid input for type bigint: "Rosa"',
         "invalid input for type bigint: […]"),
        ("django.db.utils", "DataError", 'invalid input: "Rosa"\nLINE 1', "invalid input: […]"),
        ("builtins", "FileNotFoundError", "[Errno 2] No such file or directory: '/home/rosa.csv'",
         "[Errno 2] No such file or directory: […]"),
        ("redis.exceptions", "ConnectionError", "Error 111 connecting.", "Error 111 connecting."),
    ],
)  # fmt: skip
def test_words_of_an_error_are_kept_where_they_quote_nobody(
    module: str, name: str, said: str, kept: str
) -> None:
    assert scrubbing.told(module=module, name=name, said=said) == kept


def test_a_traceback_says_where_and_of_which_class() -> None:
    name = "Rosa"
    try:
        try:
            int(name)
        except ValueError as error:
            raise RuntimeError(f"cannot greet {name}") from error
    except RuntimeError as error:
        said = scrubbing.exception(error)

    assert "ValueError: […]" in said
    assert "RuntimeError: […]" in said
    assert "test_scrubbing.py" in said
    assert said.index("ValueError") < said.index("--- after ---") < said.index("RuntimeError")
    assert "Rosa" not in said.replace('name = "Rosa"', "")


def test_a_traceback_stops_where_an_error_is_its_own_cause() -> None:
    error = RuntimeError()
    error.__cause__ = RuntimeError()
    error.__cause__.__cause__ = error

    assert scrubbing.exception(error).count("RuntimeError") == 2


def test_a_silenced_context_is_not_told() -> None:
    error = RuntimeError()
    error.__context__ = ValueError()
    error.__suppress_context__ = True

    assert scrubbing.exception(error) == "RuntimeError"
