"""What an answer means, and what follows: every row of the two tables (P13, P15, P16)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from delivery.domain.outcome import Consequence, Kind, Verdict, judge
from delivery.domain.reasons import EXPLAIN, Reason
from delivery.domain.results import MISSED, Result, result_of
from delivery.domain.retry import MAX_ATTEMPTS, backoff, is_exhausted
from delivery.domain.states import ENDS, TRANSITIONS, Status, may_become


def refusal(code: int, text: str, **parameters: Any) -> dict[str, Any]:
    """An answer as the Bot API gives it."""
    body: dict[str, Any] = {"ok": False, "error_code": code, "description": text}
    return body | ({"parameters": parameters} if parameters else {})


@pytest.mark.parametrize(
    ("started", "status", "body", "kind"),
    [
        pytest.param(False, None, None, Kind.NOT_SENT, id="refused, DNS, TLS, pool"),
        pytest.param(True, None, None, Kind.UNKNOWN, id="silence, reset, half an answer"),
        pytest.param(True, 502, None, Kind.UNKNOWN, id="502 in HTML"),
        pytest.param(True, 500, {"ok": False}, Kind.UNKNOWN, id="500 in JSON"),
        pytest.param(True, 200, None, Kind.UNKNOWN, id="200 with garbage"),
        pytest.param(True, 200, {"ok": False}, Kind.UNKNOWN, id="200 that says no"),
        pytest.param(True, 200, {"ok": True, "result": True}, Kind.UNKNOWN, id="200, no message"),
        pytest.param(
            True, 200, {"ok": True, "result": {"message_id": 2**70}}, Kind.UNKNOWN, id="200, odd id"
        ),
        pytest.param(True, 202, None, Kind.UNKNOWN, id="202 of a proxy"),
        pytest.param(True, 200, {"ok": True, "result": {"message_id": 5}}, Kind.SENT, id="sent"),
        pytest.param(True, 403, None, Kind.REJECTED, id="403 without words"),
    ],
)
def test_was_it_accepted(
    started: bool, status: int | None, body: dict[str, Any] | None, kind: Kind
) -> None:
    verdict = judge(started=started, status=status, body=body)
    assert verdict.kind is kind
    assert verdict.is_silence == (kind is not Kind.SENT)  # of these, only Telegram's yes is a word


@pytest.mark.parametrize(
    ("code", "text", "reason", "reachability"),
    [
        (403, "Forbidden: bot was blocked by the user", Reason.CHAT_BLOCKED, "blocked"),
        (403, "Forbidden: user is deactivated", Reason.CHAT_DEACTIVATED, "deactivated"),
        (
            403,
            "Forbidden: bot can't initiate conversation with a user",
            Reason.CHAT_NEVER_STARTED,
            "never_started",
        ),
        (403, "Forbidden: bot was kicked from the supergroup chat", Reason.CHAT_GONE, "gone"),
        (400, "Bad Request: chat not found", Reason.CHAT_GONE, "gone"),
        (400, "Bad Request: can't parse entities: x", Reason.CONTENT_REFUSED, ""),
        (400, "Bad Request: message is too long", Reason.CONTENT_REFUSED, ""),
        (400, "Bad Request: BUTTON_DATA_INVALID", Reason.CONTENT_REFUSED, ""),
        (400, "Bad Request: something new", Reason.REQUEST_REFUSED, ""),
        (413, "Request Entity Too Large", Reason.CONTENT_REFUSED, ""),
    ],
)
def test_a_refusal_for_good(code: int, text: str, reason: Reason, reachability: str) -> None:
    verdict = judge(started=True, status=code, body=refusal(code, text))

    assert (verdict.consequence, verdict.reason) == (Consequence.FAIL, reason)
    assert verdict.reachability == reachability
    assert (verdict.error_code, verdict.description) == (code, text)
    assert result_of(verdict, attempts=1, fraction=0) == Result(
        status=Status.FAILED, reason=reason.value
    )


@pytest.mark.parametrize(
    ("parameters", "seconds"),
    [
        ({"retry_after": 7}, 7),
        ({"retry_after": 90_000}, 90_000),
        ({}, 30),
        *(({"retry_after": odd}, 30) for odd in ("x", -1, 1e300, 10**12, float("inf"), True)),
    ],
)
def test_too_many_requests_holds_everybody(parameters: dict[str, Any], seconds: int) -> None:
    verdict = judge(started=True, status=429, body=refusal(429, "Too Many Requests", **parameters))

    assert verdict.consequence is Consequence.HOLD_BOT
    assert verdict.retry_after == timedelta(seconds=seconds)
    result = result_of(verdict, attempts=MAX_ATTEMPTS, fraction=0)
    assert (result.status, result.counted) == (Status.PENDING, False)


@pytest.mark.parametrize(("asked", "seconds"), [(None, 30), (600.0, 600), (1e12, 30)])
def test_a_proxy_that_is_asked_too_often_says_in_a_header_how_long(
    asked: float | None, seconds: int
) -> None:
    verdict = judge(started=True, status=429, body=None, asked=asked)

    assert verdict.retry_after == timedelta(seconds=seconds)


@pytest.mark.parametrize("code", [401, 404])
def test_a_wrong_token_stops_the_bot_and_costs_no_try(code: int) -> None:
    verdict = judge(started=True, status=code, body=refusal(code, "Unauthorized"))

    assert verdict.consequence is Consequence.STOP_BOT
    assert not result_of(verdict, attempts=1, fraction=0).counted


def test_a_migrated_group_is_followed() -> None:
    body = refusal(400, "Bad Request: group chat was upgraded", migrate_to_chat_id=-100123)

    verdict = judge(started=True, status=400, body=body)

    assert (verdict.consequence, verdict.migrate_to) == (Consequence.MIGRATE, -100123)
    assert result_of(verdict, attempts=1, fraction=0) == Result(status=Status.PENDING)


def test_parameters_of_a_strange_shape_are_no_parameters() -> None:
    body = {**refusal(400, "Bad Request: x"), "parameters": [1]}

    assert judge(started=True, status=400, body=body).reason is Reason.REQUEST_REFUSED


def test_a_group_that_moves_on_and_on_is_given_up() -> None:
    body = {"ok": False, "description": "x", "parameters": {"migrate_to_chat_id": -100}}
    verdict = judge(started=True, status=400, body=body)

    assert result_of(verdict, attempts=1, fraction=0).status is Status.PENDING
    assert result_of(verdict, attempts=8, fraction=0).status is Status.DEAD


@pytest.mark.parametrize("status", [301, 302, 307, 400, 403, 407, 413])
@pytest.mark.parametrize("body", [None, {}, {"ok": False}])
def test_a_page_of_a_proxy_says_nothing_of_the_chat(status: int, body: Any) -> None:
    verdict = judge(started=True, status=status, body=body)

    assert (verdict.kind, verdict.consequence) == (Kind.REJECTED, Consequence.RETRY)
    assert verdict.reachability == ""


def test_what_no_database_takes_is_not_written_down() -> None:
    body = {"error_code": 10**12, "description": "Bad\0 Request: \ud83d x"}

    verdict = judge(started=True, status=400, body=body)

    assert (verdict.error_code, verdict.description) == (400, "Bad Request: ? x")


def test_misdirected_is_tried_again() -> None:
    verdict = judge(started=True, status=421, body=None)

    assert verdict.consequence is Consequence.RETRY
    assert verdict.description == "HTTP 421"


def test_unknown_is_never_tried_again() -> None:
    verdict = judge(started=True, status=None, body=None)

    assert result_of(verdict, attempts=1, fraction=0).status is Status.UNKNOWN


def test_what_was_not_sent_is_tried_again_until_it_is_given_up() -> None:
    verdict = Verdict(kind=Kind.NOT_SENT, consequence=Consequence.RETRY)

    again = result_of(verdict, attempts=1, fraction=1)
    last = result_of(verdict, attempts=MAX_ATTEMPTS, fraction=0)

    assert (again.status, again.wait) == (Status.PENDING, timedelta(seconds=2))
    assert (last.status, last.reason) == (Status.DEAD, Reason.TOO_MANY_TRIES)


def test_sent_is_sent() -> None:
    assert result_of(Verdict(kind=Kind.SENT), attempts=1, fraction=0).status is Status.SENT


def test_a_missed_slot_costs_nothing() -> None:
    assert (MISSED.status, MISSED.counted, MISSED.wait) == (Status.PENDING, False, timedelta(0))


@pytest.mark.parametrize(
    ("attempts", "fraction", "seconds"), [(1, 0, 1), (1, 1, 2), (5, 0, 16), (6, 1, 60), (99, 1, 60)]
)
def test_backoff(attempts: int, fraction: float, seconds: float) -> None:
    assert backoff(attempts=attempts, fraction=fraction) == timedelta(seconds=seconds)


def test_eight_tries_are_enough() -> None:
    assert [is_exhausted(n) for n in (MAX_ATTEMPTS - 1, MAX_ATTEMPTS)] == [False, True]


def test_every_reason_is_explained() -> None:
    assert set(EXPLAIN) == set(Reason)


def test_only_people_and_late_answers_bring_something_back_from_its_end() -> None:
    back = {pair for pair in TRANSITIONS if pair[0] in ENDS}

    assert {before for before, _ in back} == {Status.UNKNOWN, Status.DEAD, Status.CANCELLED}
    assert may_become(Status.SENT, Status.SENT)
    assert not may_become(Status.SENT, Status.PENDING)
    assert not may_become(Status.PENDING, Status.SENDING)  # never without a lease
