"""How a line is made of a record (S13)."""

from __future__ import annotations

import json
import logging
import logging.config
import sys
import threading
import uuid
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from django.http import HttpRequest, HttpResponse
from structlog.contextvars import get_contextvars
from structlog.testing import CapturingLogger

from config import logs, serving, telemetry
from config.telemetry import web

TOKEN = "1234567890:AAFakeFakeFakeFakeFakeFakeFakeFakeFak"


def formatter(name: str = "json") -> logging.Formatter:
    given = dict(logs.config(json=True)["formatters"][name])
    made: logging.Formatter = given.pop("()")(**given)
    return made


def line(said: object, *args: object, logger: str = "delivery.x", **more: Any) -> dict[str, Any]:
    record = logging.makeLogRecord(
        {"msg": said, "args": args, "name": logger, "levelname": "INFO", **more}
    )
    found: dict[str, Any] = json.loads(formatter().format(record))
    return found


@pytest.fixture
def bound() -> Iterator[None]:
    with telemetry.bound(request_id="r", task_id="t", journey_id=3):
        yield


def test_a_line_has_the_event_its_fields_and_the_ids_of_the_work(bound: None) -> None:
    said = line("delivery.sent", delivery_id=7, name="delivery.tasks")

    assert list(said)[:4] == ["at", "level", "logger", "event"]
    assert said["event"] == "delivery.sent"
    assert (said["delivery_id"], said["journey_id"]) == (7, 3)
    assert (said["request_id"], said["task_id"], said["level"]) == ("r", "t", "info")
    assert "span_id" not in said


def test_what_is_not_listed_is_not_written() -> None:
    said = line("x", chat_id=5000000123, learner="Rosa", args=("Rosa",))

    assert set(said) == {"at", "level", "logger", "event"}


def test_a_token_never_reaches_a_handler() -> None:
    said = line("calling %s", f"http://127.0.0.1:81/bot{TOKEN}/getMe", logger="httpx")

    assert said["event"] == "calling […]"
    assert "AAFake" not in json.dumps(line(f"POST /bot{TOKEN}/x", logger="httpx"))


def test_a_traceback_has_the_place_and_not_the_words() -> None:
    try:
        raise RuntimeError(f"/bot{TOKEN}/sendMessage to Rosa")
    except RuntimeError:
        said = line("failed", exc_info=sys.exc_info())

    assert "test_logs.py" in said["exception"]
    assert said["exception"].endswith("RuntimeError: […]")


def test_the_text_of_a_laptop_is_chosen_alike() -> None:
    record = logging.makeLogRecord(
        {"msg": "nurture.tick", "name": "nurture.tasks", "levelname": "INFO", "facts": 2}
        | {"learner": "Rosa"}
    )

    said = formatter("text").format(record)

    assert "nurture.tick" in said
    assert "facts=2" in said
    assert "Rosa" not in said


def test_django_says_some_things_after_our_middleware() -> None:
    request = SimpleNamespace(META={web.IDS: {"request_id": "r"}})

    said = line("%s: %s", "Not Found", "/rosa", logger="django.request",
                request=request, status_code=404)  # fmt: skip

    assert (said["request_id"], said["status"], said["event"]) == ("r", 404, "http.refused")


def test_structlogs_own_loggers_write_the_same_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = CapturingLogger()
    logs.set_up(json=False)
    record = logging.makeLogRecord(
        {"msg": {"event": "x.happened", "facts": 2, "learner": "Rosa"}, "name": "nurture.x"}
        | {"levelname": "INFO", "_logger": heard, "_name": "info"}
    )

    said = json.loads(formatter().format(record))

    assert (said["event"], said["facts"]) == ("x.happened", 2)
    assert "learner" not in said
    assert structlog.is_configured()


def test_what_kills_a_process_or_a_thread_is_a_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("sys.excepthook", "threading.excepthook"):
        monkeypatch.setattr(name, None)
    logs.log_crashes()
    error = RuntimeError("Rosa")

    sys.excepthook(RuntimeError, error, None)
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    threading.excepthook(threading.ExceptHookArgs((RuntimeError, error, None, None)))
    threading.excepthook(threading.ExceptHookArgs((SystemExit, SystemExit(), None, None)))

    assert [record.msg for record in caplog.records] == ["process.died", "thread.died"]


# --- the ids of a request ------------------------------------------------------------------------


def answer(given: str = "") -> tuple[HttpRequest, HttpResponse, dict[str, Any]]:
    """A request with that header, its answer, and what was bound meanwhile."""
    request, seen = HttpRequest(), {}
    request.META["HTTP_X_REQUEST_ID"] = given

    def view(_: HttpRequest) -> HttpResponse:
        seen.update(get_contextvars())
        return HttpResponse("ok")

    return request, web.RequestId(view)(request), seen


def test_a_request_gets_an_id_which_its_answer_says() -> None:
    request, response, seen = answer()

    assert uuid.UUID(seen["request_id"])
    assert response[web.HEADER] == seen["request_id"] == request.META[web.IDS]["request_id"]
    assert "request_id" not in get_contextvars()


@pytest.mark.parametrize("given", ["4BF92F35-77b3-4da6-a3ce-929d0e0e4736", "4" * 32])
def test_the_id_of_a_caller_is_taken_over(given: str) -> None:
    assert answer(given)[1][web.HEADER] == given.lower()


@pytest.mark.parametrize(
    "given", ["rosa@school.example", "5000000123", "a\nb", "4" * 33, "x" * 200, "٤" * 32]
)
def test_what_is_no_uuid_is_not(given: str) -> None:
    assert uuid.UUID(answer(given)[1][web.HEADER])
    assert answer(given)[1][web.HEADER] != given


# --- the access log ------------------------------------------------------------------------------


def served(caplog: pytest.LogCaptureFixture, *, path: str, status: int) -> list[Any]:
    from datetime import timedelta

    log = serving.Log.__new__(serving.Log)
    log.access_log = logging.getLogger("gunicorn.access")
    environ = {
        "REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": "q=Rosa",
        "RAW_URI": f"{path}?q=Rosa", web.IDS: {"request_id": "r"},
        web.ROUTE: "admin/<path:object_id>/",
    }  # fmt: skip
    with caplog.at_level(logging.INFO):
        log.access(
            SimpleNamespace(status_code=status, sent=12), None, environ, timedelta(milliseconds=34)
        )
    return caplog.records


def test_an_answer_is_a_line_with_route_and_duration(caplog: pytest.LogCaptureFixture) -> None:
    (record,) = served(caplog, path="/admin/Rosa/", status=200)

    said = json.loads(formatter().format(record))
    assert said["event"] == "http.request"
    assert (said["route"], said["status"], said["milliseconds"], said["request_id"]) == (
        "admin/<path:object_id>/", 200, 34, "r",
    )  # fmt: skip
    assert "Rosa" not in json.dumps(said)


@pytest.mark.parametrize(("status", "lines"), [(200, 0), (503, 1)])
def test_health_is_told_where_it_is_bad(
    caplog: pytest.LogCaptureFixture, status: int, lines: int
) -> None:
    assert len(served(caplog, path="/readyz", status=status)) == lines
