"""Updates as Telegram sends them, and handlers that remember what they were given."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from delivery.inbound import Inbound, InboundButton, InboundMessage, Reply

PERSON: dict[str, Any] = {
    "id": 7,
    "is_bot": False,
    "first_name": "Rosa\n<b>",
    "language_code": "es",
}
CHAT: dict[str, Any] = {"id": 7, "type": "private", "first_name": "Rosa"}
BOT = {"id": 1, "is_bot": True, "first_name": "telbot", "username": "telbot_bot"}


def message(update_id: int, text: str, *, chat: dict[str, Any] | None = None) -> dict[str, Any]:
    """A text of a person."""
    chat = chat or CHAT
    sender = PERSON | {"id": abs(int(chat["id"]))}
    body = {"message_id": update_id, "date": 1, "chat": chat, "from": sender, "text": text}
    return {"update_id": update_id, "message": body}


def press(update_id: int, data: str, *, person: int = 7) -> dict[str, Any]:
    """A pressed button."""
    below = {"message_id": 3, "date": 1, "chat": CHAT | {"id": person}, "from": BOT, "text": "x"}
    query = {
        "id": str(update_id), "from": PERSON | {"id": person}, "chat_instance": "1",
        "data": data, "message": below,
    }  # fmt: skip
    return {"update_id": update_id, "callback_query": query}


def membership(update_id: int, status: str) -> dict[str, Any]:
    """The bot was blocked ("kicked") or let in again ("member")."""
    state: dict[str, Any] = {"user": BOT, "status": status}
    if status == "kicked":
        state["until_date"] = 0
    change = {
        "chat": CHAT, "from": PERSON, "date": 1,
        "old_chat_member": {"user": BOT, "status": "member"}, "new_chat_member": state,
    }  # fmt: skip
    return {"update_id": update_id, "my_chat_member": change}


heard: list[Inbound] = []


def echo(inbound: Inbound, *, now: datetime) -> Sequence[Reply]:
    """A handler that answers everything and remembers it; "fail" makes it fail."""
    if isinstance(inbound, InboundMessage) and inbound.text.startswith("fail"):
        raise RuntimeError("a handler with a fault")
    heard.append(inbound)
    if isinstance(inbound, InboundMessage):
        return [Reply(text=f"you said {inbound.text}", buttons=[[("Yes", "yes")]])]
    if isinstance(inbound, InboundButton):
        return [Reply(text="pressed")]
    return []
