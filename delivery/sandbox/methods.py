"""The methods of the Bot API that the sandbox knows: parameters in, result out.

https://core.telegram.org/bots/api#available-methods
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from delivery.sandbox import rules
from delivery.sandbox.rules import ApiError, bad_request
from delivery.sandbox.state import CALLBACK_SECONDS, Json, Person, World

Params = Mapping[str, Any]
Method = Callable[[World, Params], Any]
LongPoll = Callable[[World, Params], Awaitable[list[Json]]]

BLOCKED = "Forbidden: bot was blocked by the user"
NOT_STARTED = "Forbidden: bot can't initiate conversation with a user"
DEACTIVATED = "Forbidden: user is deactivated"
STALE_QUERY = "query is too old and response timeout expired or query ID is invalid"
# https://core.telegram.org/bots/api#setwebhook
_SECRET = re.compile(r"[A-Za-z0-9_-]{0,256}")


def number(params: Params, name: str, default: int = 0) -> int:
    """An integer parameter; 0 or `default` where it is absent or none, as the server reads it."""
    try:
        return int(params.get(name, default) or 0)
    except (TypeError, ValueError):
        return default


def flag(params: Params, name: str) -> bool:
    """A boolean parameter in any of the ways clients write it."""
    return str(params.get(name, "")).lower() in {"true", "1", "yes", "on"}


def parsed(params: Params, name: str, what: type[Any]) -> Any:
    """A JSON-serialised parameter, or the value itself where the request was JSON."""
    raw = params.get(name)
    if raw in (None, ""):
        return what()
    if isinstance(raw, str):
        try:
            raw = json.loads(raw)
        except ValueError:
            raise bad_request(f"can't parse {name} JSON object") from None
    if not isinstance(raw, what):
        raise bad_request(f"can't parse {name} JSON object")
    return raw


def _chat(world: World, params: Params) -> Person:
    raw = str(params.get("chat_id", "")).strip()
    if not raw:
        raise bad_request("chat_id is empty")
    try:
        chat_id = int(raw)
    except ValueError:
        raise bad_request("chat not found") from None
    person = world.people.get(chat_id)
    if person is None and world.open and chat_id > 0:
        world.add_people([Person(chat_id, f"Learner {chat_id}", started=True)])
        person = world.people[chat_id]
    if person is None:
        raise bad_request("chat not found")
    return person


def _writable(person: Person) -> Person:
    if person.deactivated:
        raise ApiError(403, DEACTIVATED)
    if person.blocked:
        raise ApiError(403, BLOCKED)
    if not person.started:
        raise ApiError(403, NOT_STARTED)
    return person


def _text(params: Params) -> tuple[str, list[Json]]:
    return rules.formatted(
        str(params.get("text", "")),
        str(params.get("parse_mode", "")),
        parsed(params, "entities", list),
    )


def get_me(world: World, _params: Params) -> Json:
    """https://core.telegram.org/bots/api#getme"""
    return world.bot_user() | {
        "can_join_groups": True,
        "can_read_all_group_messages": False,
        "supports_inline_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": False,
    }


class Sender:
    """Holds the rates; one per server."""

    def __init__(self) -> None:
        self.rates = rules.Rates()

    def send_message(self, world: World, params: Params) -> Json:
        """https://core.telegram.org/bots/api#sendmessage"""
        text, entities = _text(params)
        markup = rules.keyboard(params.get("reply_markup"))
        person = _writable(_chat(world, params))
        if world.limits:
            self.rates.admit(person.id, world.clock())
        preview = parsed(params, "link_preview_options", dict)
        return world.send(
            person,
            text=text,
            entities=entities,
            link_preview_options={"is_disabled": True} if preview.get("is_disabled") else None,
            has_protected_content=flag(params, "protect_content") or None,
            reply_markup=markup,
        )


def _own_message(world: World, params: Params) -> tuple[Person, Json]:
    person = _chat(world, params)
    message = world.find_message(person.id, number(params, "message_id"))
    if message is None:
        raise bad_request("message to edit not found")
    if not message["from"]["is_bot"]:
        raise bad_request("message can't be edited")
    _writable(person)
    return person, message


def _edited(world: World, person: Person, message: Json, **changes: Any) -> Json:
    if all((message.get(key) or None) == (value or None) for key, value in changes.items()):
        raise bad_request(
            "message is not modified: specified new message content and reply markup are exactly "
            "the same as a current content and reply markup of the message"
        )
    return world.edit(person.id, message, **changes)


def edit_message_text(world: World, params: Params) -> Json:
    """https://core.telegram.org/bots/api#editmessagetext"""
    text, entities = _text(params)
    markup = rules.keyboard(params.get("reply_markup"))
    person, message = _own_message(world, params)
    return _edited(world, person, message, text=text, entities=entities, reply_markup=markup)


def edit_message_reply_markup(world: World, params: Params) -> Json:
    """https://core.telegram.org/bots/api#editmessagereplymarkup"""
    markup = rules.keyboard(params.get("reply_markup"))
    person, message = _own_message(world, params)
    return _edited(world, person, message, reply_markup=markup)


def answer_callback_query(world: World, params: Params) -> bool:
    """https://core.telegram.org/bots/api#answercallbackquery"""
    callback = world.callbacks.get(str(params.get("callback_query_id", "")))
    if callback is None or world.clock() - callback.at > CALLBACK_SECONDS:
        raise bad_request(STALE_QUERY)
    text = str(params.get("text", ""))
    if len(text) > rules.MAX_ANSWER:
        raise bad_request("MESSAGE_TOO_LONG")
    answer = {"text": text, "show_alert": flag(params, "show_alert")}
    if callback.answer is None:
        world.record("answer", id=callback.id, chat_id=callback.person_id, answer=answer)
    return True


def set_webhook(world: World, params: Params) -> bool:
    """https://core.telegram.org/bots/api#setwebhook (an http:// address is taken too: loopback)."""
    url = str(params.get("url", "")).strip()
    secret = str(params.get("secret_token", ""))
    if not _SECRET.fullmatch(secret):
        raise bad_request("secret token contains unallowed characters")
    if url and not re.match(r"https?://[^\s/]+", url):
        raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")
    _allow(world, params)
    if flag(params, "drop_pending_updates"):
        world.confirm(below=world.last_update_id + 1)
    connections = number(params, "max_connections", 40) or 40
    world.record(
        "webhook",
        webhook={"url": url, "secret": secret, "max_connections": connections} if url else {},
    )
    return True


def delete_webhook(world: World, params: Params) -> bool:
    """https://core.telegram.org/bots/api#deletewebhook"""
    if flag(params, "drop_pending_updates"):
        world.confirm(below=world.last_update_id + 1)
    if world.webhook:
        world.record("webhook", webhook={})
    return True


def get_webhook_info(world: World, _params: Params) -> Json:
    """https://core.telegram.org/bots/api#getwebhookinfo"""
    hook = world.webhook
    info: Json = {
        "url": hook.get("url", ""),
        "has_custom_certificate": False,
        "pending_update_count": len(world.pending()),
    }
    if hook:
        info["max_connections"] = hook["max_connections"]
    info |= {key: hook[key] for key in ("last_error_date", "last_error_message") if key in hook}
    return info | {"allowed_updates": world.allowed_updates}


def _allow(world: World, params: Params) -> None:
    if params.get("allowed_updates") not in (None, ""):
        wanted = parsed(params, "allowed_updates", list)
        if wanted != world.allowed_updates:
            world.record("allowed", allowed=wanted)


def take_updates(world: World, params: Params) -> list[Json]:
    """What getUpdates answers now, without waiting. https://core.telegram.org/bots/api#getupdates"""
    if world.webhook:
        raise ApiError(
            409,
            "Conflict: can't use getUpdates method while webhook is active; "
            "use deleteWebhook to delete the webhook first",
        )
    _allow(world, params)
    offset = number(params, "offset")
    if offset > 0:
        world.confirm(below=offset)
    pending = world.pending()
    if offset < 0:
        pending = pending[offset:]
        if pending:
            world.confirm(below=pending[0]["update_id"])
    return pending[: max(1, min(number(params, "limit", 100) or 100, 100))]


def _commands_key(params: Params) -> str:
    scope = parsed(params, "scope", dict) or {"type": "default"}
    return json.dumps([scope, str(params.get("language_code", ""))], sort_keys=True)


def set_my_commands(world: World, params: Params) -> bool:
    """https://core.telegram.org/bots/api#setmycommands"""
    commands = parsed(params, "commands", list)
    if len(commands) > 100:
        raise bad_request("BOT_COMMANDS_TOO_MUCH")
    for command in commands:
        name = str(command.get("command", "")) if isinstance(command, dict) else ""
        if not re.fullmatch(r"/?[a-z0-9_]{1,32}", name):
            raise bad_request("BOT_COMMAND_INVALID")
        if not 1 <= len(str(command.get("description", ""))) <= 256:
            raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
    kept = [
        {"command": c["command"].lstrip("/"), "description": c["description"]} for c in commands
    ]
    world.record("commands", key=_commands_key(params), commands=kept)
    return True


def get_my_commands(world: World, params: Params) -> list[Json]:
    """https://core.telegram.org/bots/api#getmycommands"""
    return world.commands.get(_commands_key(params), [])


def delete_my_commands(world: World, params: Params) -> bool:
    """https://core.telegram.org/bots/api#deletemycommands"""
    world.record("commands", key=_commands_key(params), commands=[])
    return True


def get_chat(world: World, params: Params) -> Json:
    """https://core.telegram.org/bots/api#getchat"""
    return _chat(world, params).chat() | {
        "accent_color_id": 0,
        "max_reaction_count": 11,
        "accepted_gift_types": {
            "unlimited_gifts": True,
            "limited_gifts": True,
            "unique_gifts": True,
            "premium_subscription": True,
            "gifts_from_channels": True,
        },
    }


def send_chat_action(world: World, params: Params) -> bool:
    """https://core.telegram.org/bots/api#sendchataction"""
    _writable(_chat(world, params))
    return True


def table() -> dict[str, Method]:
    """Method names in lower case (the server ignores case) and what answers them."""
    return {
        "getme": get_me,
        "sendmessage": Sender().send_message,
        "editmessagetext": edit_message_text,
        "editmessagereplymarkup": edit_message_reply_markup,
        "answercallbackquery": answer_callback_query,
        "setwebhook": set_webhook,
        "deletewebhook": delete_webhook,
        "getwebhookinfo": get_webhook_info,
        "setmycommands": set_my_commands,
        "getmycommands": get_my_commands,
        "deletemycommands": delete_my_commands,
        "getchat": get_chat,
        "sendchataction": send_chat_action,
    }
