"""What an answer of Telegram, or the lack of one, means.

Two questions, in this order. Was it accepted? (`judge`: from what the wire saw, never from the
class of an exception alone, since one class covers both "never sent" and "may have arrived".) And
what follows? (the fields of the Verdict.) Error texts are those of the official Bot API server:
https://github.com/tdlib/telegram-bot-api
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from delivery.domain.reasons import Reason


class Kind(StrEnum):
    """Whether Telegram executed the request."""

    SENT = "sent"
    NOT_SENT = "not_sent"  # certainly never written: try again
    REJECTED = "rejected"  # answered with a refusal: certainly not executed
    UNKNOWN = "unknown"  # may have been executed


class Consequence(StrEnum):
    """What a rejection asks for."""

    RETRY = "retry"  # later, by back-off
    FAIL = "fail"  # never again
    HOLD_BOT = "hold_bot"  # 429: everybody waits
    STOP_BOT = "stop_bot"  # the token is wrong: a person must look
    MIGRATE = "migrate"  # the group has a new id


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What one attempt came to."""

    kind: Kind
    consequence: Consequence | None = None
    reason: Reason | None = None
    #: The chat's new reachability, where the answer tells it.
    reachability: str = ""
    retry_after: timedelta | None = None
    migrate_to: int | None = None
    message_id: int | None = None
    error_code: int | None = None
    description: str = ""

    @property
    def is_silence(self) -> bool:
        """Nobody spoke for Telegram: no answer, its servers' error, garbage, a proxy's page."""
        return self.kind is Kind.UNKNOWN or self.consequence is Consequence.RETRY


# (part of the description, lower case) → reason, reachability of the chat
_FORBIDDEN: tuple[tuple[str, Reason, str], ...] = (
    ("bot was blocked", Reason.CHAT_BLOCKED, "blocked"),
    ("user is deactivated", Reason.CHAT_DEACTIVATED, "deactivated"),
    ("can't initiate conversation", Reason.CHAT_NEVER_STARTED, "never_started"),
)
_CHAT_NOT_FOUND = ("chat not found", "peer_id_invalid", "user not found")
_CONTENT = (
    "can't parse entities",
    "is too long",
    "text is empty",
    "text must be non-empty",
    "button_",
    "inline keyboard",
    "reply markup",
    "entity",
    "wrong http url",
)
DEFAULT_HOLD = timedelta(seconds=30)  # a 429 without parameters, as a proxy gives it
_LONGEST_HOLD = 30 * 86_400  # seconds; more is no word of Telegram
_MAX_INT, _MAX_BIGINT = 2**31, 2**63  # what the database takes


def judge(
    *,
    started: bool,
    status: int | None,
    body: Mapping[str, Any] | None,
    asked: float | None = None,
) -> Verdict:
    """Say what came of a send, from what the wire saw.

    `started`: a first byte may have been written; `status`, `body`: the answer, None where none
    came (or none that is a JSON object); `asked`: seconds that a header told to wait.
    """
    if status is None:
        if started:
            return Verdict(kind=Kind.UNKNOWN, reason=Reason.NO_ANSWER)
        return Verdict(kind=Kind.NOT_SENT, consequence=Consequence.RETRY)
    if status >= 500:
        # Nothing published says that a 5xx was not executed, and the server answers so for sends
        # in flight when it restarts.
        return Verdict(kind=Kind.UNKNOWN, reason=Reason.SERVER_ERROR, **_said(body, status))
    if status < 300:
        return _accepted(status, body)
    return _refused(status, body, asked)


def _accepted(status: int, body: Mapping[str, Any] | None) -> Verdict:
    result = body.get("result") if status == 200 and body and body.get("ok") is True else None
    number = result.get("message_id") if isinstance(result, Mapping) else None
    if isinstance(number, int) and abs(number) < _MAX_BIGINT:
        return Verdict(kind=Kind.SENT, message_id=number)
    # Garbage, or `{"ok": false}` under 200: somebody executed something, we cannot know what.
    return Verdict(kind=Kind.UNKNOWN, reason=Reason.NO_ANSWER, **_said(body, status))


def _refused(status: int, body: Mapping[str, Any] | None, asked: float | None) -> Verdict:
    said = _said(body, status)
    text = said["description"].lower()
    parameters = body.get("parameters") if body else None
    parameters = parameters if isinstance(parameters, Mapping) else {}
    if status == 429:
        return _too_many(parameters.get("retry_after", asked), said)
    if status in {401, 404}:
        return Verdict(kind=Kind.REJECTED, consequence=Consequence.STOP_BOT, **said)
    if isinstance(new_id := parameters.get("migrate_to_chat_id"), int):
        return Verdict(
            kind=Kind.REJECTED, consequence=Consequence.MIGRATE, migrate_to=new_id, **said
        )
    wordless = status < 400 or not (body and body.get("description"))
    if status in {408, 421} or wordless:
        # Telegram refuses in JSON and says why; a proxy's page, or its "look elsewhere", is no word
        # of Telegram about a chat.
        return Verdict(kind=Kind.REJECTED, consequence=Consequence.RETRY, **said)
    if status == 403:
        return _forbidden(text, said)
    return _bad_request(text, said)


def _too_many(seconds: Any, said: dict[str, Any]) -> Verdict:
    wait = DEFAULT_HOLD
    if isinstance(seconds, int | float) and not isinstance(seconds, bool):
        wait = timedelta(seconds=seconds) if 0 <= seconds <= _LONGEST_HOLD else DEFAULT_HOLD
    return Verdict(kind=Kind.REJECTED, consequence=Consequence.HOLD_BOT, retry_after=wait, **said)


def _forbidden(text: str, said: dict[str, Any]) -> Verdict:
    for part, reason, reachability in _FORBIDDEN:
        if part in text:
            return _failed(reason, said, reachability)
    # Kicked from a group, not a member, the group is gone, the recipient is a bot.
    return _failed(Reason.CHAT_GONE, said, "gone")


def _bad_request(text: str, said: dict[str, Any]) -> Verdict:
    if any(part in text for part in _CHAT_NOT_FOUND):
        return _failed(Reason.CHAT_GONE, said, "gone")
    if any(part in text for part in _CONTENT):
        return _failed(Reason.CONTENT_REFUSED, said)
    return _failed(Reason.REQUEST_REFUSED, said)


def _failed(reason: Reason, said: dict[str, Any], reachability: str = "") -> Verdict:
    return Verdict(
        kind=Kind.REJECTED,
        consequence=Consequence.FAIL,
        reason=reason,
        reachability=reachability,
        **said,
    )


def _said(body: Mapping[str, Any] | None, status: int) -> dict[str, Any]:
    """Error code and description as Telegram gave them; the status where it gave none.

    Without what PostgreSQL refuses: one such answer would cost all that is recorded with it.
    """
    code = body.get("error_code") if body else None
    said = str(body.get("description") or "") if body else ""
    said = said.replace("\0", "").encode("utf-8", "replace").decode()
    return {
        "error_code": code if isinstance(code, int) and abs(code) < _MAX_INT else status,
        "description": said[:300] or f"HTTP {status}",
    }
