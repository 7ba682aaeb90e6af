"""What Telegram refuses: lengths, keyboards, rates. Texts are those of the official server.

Sources: https://core.telegram.org/bots/api, https://core.telegram.org/bots/faq#broadcasting-to-users,
and github.com/tdlib/telegram-bot-api.
"""

from __future__ import annotations

import json
import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from delivery.sandbox import markup

MAX_TEXT = 4096  # code points, after the entities are parsed
MAX_RAW_BYTES = 32_768
MAX_CALLBACK_BYTES = 64
MAX_BUTTONS = 100
MAX_ROW = 8
MAX_ANSWER = 200
SENDS_PER_SECOND = 30  # over all chats, in any sliding second
CHAT_BURST = 3  # messages at once to one chat before one a second is demanded
FLOOD_SECONDS = 3  # how long Telegram stays shut after the bot went over the limit


class ApiError(Exception):
    """A refusal as the Bot API words it."""

    def __init__(self, code: int, description: str, **parameters: Any) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters

    def as_json(self) -> dict[str, Any]:
        """The body of the answer."""
        body: dict[str, Any] = {
            "ok": False,
            "error_code": self.code,
            "description": self.description,
        }
        return body | ({"parameters": self.parameters} if self.parameters else {})


def bad_request(what: str) -> ApiError:
    """400, worded as Telegram does."""
    return ApiError(400, f"Bad Request: {what}")


def flood(seconds: int) -> ApiError:
    """429 with the time to wait, in seconds."""
    return ApiError(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)


def formatted(
    text: str, parse_mode: str, entities: list[dict[str, Any]]
) -> tuple[str, list[dict[str, Any]]]:
    """The text as it is stored, with its entities; ApiError where Telegram refuses it."""
    if not text:
        raise bad_request("message text is empty")
    if len(text.encode("utf-8", "replace")) > MAX_RAW_BYTES:
        raise bad_request("text is too long")
    if parse_mode and parse_mode.lower() != "html":
        raise bad_request("unsupported parse_mode")
    try:
        found = markup.parse_html(text) if parse_mode else (text, _given(entities))
    except markup.MarkupError as error:
        raise bad_request(f"can't parse entities: {error}") from None
    plain, tidied = markup.tidy(*found)
    if not plain:
        raise bad_request("message text is empty" if not text.strip() else "text must be non-empty")
    if len(plain) > MAX_TEXT:
        raise bad_request("message is too long")
    return plain, [entity.as_json() for entity in tidied]


def _given(entities: list[dict[str, Any]]) -> list[markup.Entity]:
    try:
        return [
            markup.Entity(e["type"], int(e["offset"]), int(e["length"]), e.get("url", ""))
            for e in entities
        ]
    except (KeyError, TypeError, ValueError):
        raise bad_request("can't parse MessageEntity") from None


def keyboard(raw: Any) -> dict[str, Any] | None:
    """The inline keyboard of a request, checked; None where there is none."""
    if raw in (None, ""):
        return None
    if isinstance(raw, str):
        try:
            raw = json.loads(raw)
        except ValueError:
            raise bad_request("can't parse reply keyboard markup JSON object") from None
    if not isinstance(raw, dict):
        raise bad_request("object expected as reply markup")
    rows = raw.get("inline_keyboard")
    if rows is None:
        return None  # reply keyboards exist, but a learner's chat shows no use for them
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise bad_request(
            'field "inline_keyboard" of the InlineKeyboardMarkup must be an Array of Arrays'
        )
    if sum(map(len, rows)) > MAX_BUTTONS or any(len(row) > MAX_ROW for row in rows):
        raise bad_request("reply markup is too long")
    checked = [[_button(button) for button in row] for row in rows if row]
    return {"inline_keyboard": checked} if checked else None


def _button(raw: Any) -> dict[str, str]:
    problem = "can't parse inline keyboard button: "
    if not isinstance(raw, dict):
        raise bad_request(problem + "InlineKeyboardButton must be an Object")
    text = raw.get("text")
    if not isinstance(text, str) or not text.strip():
        raise bad_request(problem + 'Can\'t find field "text"')
    if "url" in raw:
        url = markup.checked_url(str(raw["url"]))
        if not url:
            raise bad_request(
                f"inline keyboard button URL '{raw['url']}' is invalid: Wrong HTTP URL"
            )
        return {"text": text, "url": url}
    if "callback_data" in raw:
        data = str(raw["callback_data"])
        if not 1 <= len(data.encode()) <= MAX_CALLBACK_BYTES:
            raise bad_request("BUTTON_DATA_INVALID")
        return {"text": text, "callback_data": data}
    raise bad_request(problem + "Text buttons are unallowed in the inline keyboard")


@dataclass
class Rates:
    """Counts sends; times are seconds of any one clock. A refused send is not counted."""

    recent: deque[float] = field(default_factory=deque)
    shut_until: float = 0.0
    chats: dict[int, float] = field(default_factory=dict)  # theoretical arrival time per chat

    def admit(self, chat_id: int, now: float) -> None:
        """Take note of a send at `now`; raise 429 where Telegram would."""
        if now < self.shut_until:
            raise flood(math.ceil(self.shut_until - now))
        while self.recent and self.recent[0] <= now - 1:
            self.recent.popleft()
        if len(self.recent) >= SENDS_PER_SECOND:
            self.shut_until = now + FLOOD_SECONDS
            raise flood(FLOOD_SECONDS)
        arrival = max(self.chats.get(chat_id, 0.0), now)
        if arrival - now > CHAT_BURST - 1:
            raise flood(math.ceil(arrival - now - (CHAT_BURST - 1)))
        self.chats[chat_id] = arrival + 1
        self.recent.append(now)
