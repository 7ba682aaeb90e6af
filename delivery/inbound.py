"""What learners do, in our own words: the values that `settings.DELIVERY_INBOUND_HANDLER` gets.

The handler is called `handler(inbound, *, now) -> Sequence[Reply]` inside a transaction; its
replies go out at once (lane 0), each at most once per update.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

# https://core.telegram.org/bots/api#inlinekeyboardbutton: callback_data is 1-64 bytes
CALLBACK_BYTES = 64
_CALLBACK = re.compile(r"v1:([0-9a-z]{1,13}):(.+)", re.DOTALL)
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, kw_only=True)
class InboundMessage:
    """What a person wrote. `command` is in lower case without slash and bot name, or empty.

    `text` is empty where they sent something else: a picture, a voice.
    """

    update_id: int
    chat_id: int
    user_id: int
    first_name: str
    language_code: str
    text: str
    command: str = ""
    argument: str = ""


@dataclass(frozen=True, kw_only=True)
class InboundButton:
    """A pressed button. `delivery_id` is None where the data are not of our making."""

    update_id: int
    chat_id: int
    user_id: int
    first_name: str
    language_code: str
    action: str
    delivery_id: int | None
    callback_id: str
    message_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class InboundMembership:
    """A person blocked the bot (`status` "kicked") or let it in again ("member")."""

    update_id: int
    chat_id: int
    status: str


Inbound = InboundMessage | InboundButton | InboundMembership


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer to what a person just did: HTML, and rows of (label, action).

    `category` is a name under which its text is found again; replies need no consent.
    """

    text: str
    category: str = ""
    buttons: Sequence[Sequence[tuple[str, str]]] = ()


class InboundHandler(Protocol):
    """What the setting names."""

    def __call__(self, inbound: Inbound, *, now: datetime) -> Sequence[Reply]:
        """Carry out what the person asked for, and say what to answer."""
        ...


def callback_data(*, delivery_id: int, action: str) -> str:
    """Data of a button; raises ValueError where it would not fit Telegram's 64 bytes."""
    data = f"v1:{base36(delivery_id)}:{action}"
    if not action or len(data.encode()) > CALLBACK_BYTES:
        raise ValueError(f"the action of a button is empty or too long: {action[:80]!r}")
    return data


def read_callback(data: str) -> tuple[int | None, str]:
    """(delivery id, action); (None, data) where it is not ours. Clients may send anything."""
    found = _CALLBACK.fullmatch(data)
    if not found or (number := int(found.group(1), 36)) >= 2**63:
        return None, data
    return number, found.group(2)


def base36(number: int) -> str:
    """A number from 0 up in digits and small letters."""
    text = ""
    while number or not text:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text


def split_command(text: str) -> tuple[str, str]:
    """("start", "token") from "/Start@bot token"; ("", "") where the text is no command."""
    found = re.match(r"/([A-Za-z0-9_]{1,32})(?:@[A-Za-z0-9_]+)?(?:\s+(.*))?$", text, re.DOTALL)
    return (found.group(1).lower(), (found.group(2) or "").strip()) if found else ("", "")
