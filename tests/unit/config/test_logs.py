"""What must never be in a log line."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from config import logs

TOKEN = "1234567890:AAFakeFakeFakeFakeFakeFakeFakeFakeFak"


def record(message: str, *args: object) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": message, "args": args, "name": "x", "levelname": "INFO"})


@pytest.mark.parametrize(
    ("message", "args"),
    [
        (f"POST https://api.telegram.org/bot{TOKEN}/sendMessage", ()),
        ("calling %s", (f"http://127.0.0.1:81/bot{TOKEN}/getMe",)),
        ("token %s", (TOKEN,)),
    ],
)
def test_a_token_never_reaches_a_handler(message: str, args: tuple[object, ...]) -> None:
    """S13."""
    line = record(message, *args)

    assert logs.Scrub().filter(line)
    assert "AAFake" not in line.getMessage()


def test_an_ordinary_line_is_left_alone() -> None:
    line = record("sent %d of %d", 3, 5)

    assert logs.Scrub().filter(line)
    assert (line.msg, line.args) == ("sent %d of %d", (3, 5))


def test_a_json_line_has_the_event_and_its_fields() -> None:
    line = record("delivery.sent")
    line.delivery_id = 7

    said = json.loads(logs.JsonFormatter().format(line))

    assert (said["event"], said["delivery_id"], said["level"]) == ("delivery.sent", 7, "info")


def test_a_traceback_is_scrubbed_too() -> None:
    line = record("failed")
    try:
        raise RuntimeError(f"/bot{TOKEN}/sendMessage")
    except RuntimeError:
        line.exc_info = sys.exc_info()

    assert "AAFake" not in logs.JsonFormatter().format(line)
