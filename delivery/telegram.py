"""The one door to Telegram: sends, asks, and reads updates, through python-telegram-bot.

Nothing here decides what an answer means; `Call` carries what the wire saw.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.urls import reverse
from telegram import (
    Bot,
    BotCommand,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    LinkPreviewOptions,
    Message,
    Update,
    User,
)

from config import telemetry
from delivery.gateways import Call
from delivery.inbound import (
    Inbound,
    InboundButton,
    InboundMembership,
    InboundMessage,
    base36,
    read_callback,
    split_command,
)
from delivery.sandbox import client as sandbox
from delivery.telegram_request import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    WIRE,
    AiohttpRequest,
    Wire,
)

# What telbot reads; Telegram keeps the choice. https://core.telegram.org/bots/api#getupdates
ALLOWED_UPDATES = ("message", "callback_query", "my_chat_member")
ANSWER_LENGTH = 200  # https://core.telegram.org/bots/api#answercallbackquery
NAME_LENGTH = 64
# In JSON already: the library would take LinkPreviewOptions apart anew for each message, which is a
# twentieth of the sender's CPU.
_NO_PREVIEW = {"link_preview_options": LinkPreviewOptions(is_disabled=True).to_json()}

# python-telegram-bot logs each answer that is no JSON with a traceback, httpx each URL with the
# token in it. Both are said better by our own records.
logging.getLogger("telegram").setLevel(logging.CRITICAL)
logging.getLogger("httpx").setLevel(logging.WARNING)


class UnreadableUpdateError(ValueError):
    """The update is not of the shape Telegram documents."""


class TelegramGateway:
    """A way to one Bot API server. One instance per event loop; see `gateways.Gateway`.

    No method raises for trouble on the wire or for anything the client library makes of it;
    cancellation passes through. Sending never calls getMe.
    """

    def __init__(
        self,
        *,
        token: str,
        api_url: str,
        connect_seconds: float = CONNECT_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._requests = tuple(
            AiohttpRequest(connect_seconds=connect_seconds, answer_seconds=answer_seconds)
            for _ in range(2)
        )
        self._bot = Bot(
            token,
            base_url=f"{api_url}/bot",
            request=self._requests[0],
            get_updates_request=self._requests[1],  # a waiting poll must not hold up a send
        )

    async def open(self) -> None:
        """Make ready to send, in the loop that will send. Safe to call twice. Calls nobody."""
        for request in self._requests:
            await request.initialize()

    async def close(self) -> None:
        """Close every connection. Safe to call twice."""
        for request in self._requests:
            await request.shutdown()

    async def send(
        self,
        *,
        chat_id: int,
        text: str,
        buttons: Sequence[Sequence[tuple[str, str]]] = (),
        delivery_id: int,
    ) -> Call:
        """Send one text in Telegram's HTML, with rows of (text, action) below it.

        An action that begins with https:// opens that address; any other comes back to us
        together with the delivery's id, which proves that the message arrived.
        """
        return await _recorded(
            "sendMessage",
            lambda: self._bot.send_message(
                chat_id,
                text,
                parse_mode="HTML",
                reply_markup=_keyboard(buttons, delivery_id),
                api_kwargs=_NO_PREVIEW,
            ),
            reads_body=True,
        )

    async def get_me(self) -> Call:
        """Ask who the bot is: harmless, so it is what probes use."""
        return await _recorded("getMe", self._bot.get_me)

    async def get_updates(self, *, offset: int, wait_seconds: int) -> Call:
        """Long polling; `offset` confirms every update below it. The list is `body["result"]`."""
        return await _recorded(
            "getUpdates",
            lambda: self._bot.get_updates(
                offset=offset,
                timeout=timedelta(seconds=wait_seconds),
                allowed_updates=ALLOWED_UPDATES,
            ),
        )

    async def answer_callback(self, *, callback_id: str, text: str = "") -> Call:
        """End the waiting sign on a pressed button; Telegram knows the id for 150 s only."""
        return await _recorded(
            "answerCallbackQuery",
            lambda: self._bot.answer_callback_query(callback_id, text[:ANSWER_LENGTH] or None),
        )

    async def remove_buttons(self, *, chat_id: int, message_id: int) -> Call:
        """Take the buttons off a message. A 400 "not modified" means they are gone already."""
        return await _recorded(
            "editMessageReplyMarkup",
            lambda: self._bot.edit_message_reply_markup(chat_id, message_id),
        )

    async def set_webhook(self, *, url: str, secret: str) -> Call:
        """Let Telegram push updates to `url`, with `secret` in a header of each call."""
        return await _recorded(
            "setWebhook",
            lambda: self._bot.set_webhook(
                url, secret_token=secret, allowed_updates=ALLOWED_UPDATES
            ),
        )

    async def get_webhook_info(self) -> Call:
        """Ask where Telegram pushes updates, and how that goes; the answer is `body["result"]`."""
        return await _recorded("getWebhookInfo", self._bot.get_webhook_info)

    async def delete_webhook(self) -> Call:
        """Go back to long polling; updates that wait are kept."""
        return await _recorded("deleteWebhook", self._bot.delete_webhook)

    async def set_my_commands(
        self, *, commands: Sequence[tuple[str, str]], language_code: str = ""
    ) -> Call:
        """Fill the menu of commands: (name, description) in one language, "" for all others."""
        listed = [BotCommand(name, description) for name, description in commands]
        return await _recorded(
            "setMyCommands",
            lambda: self._bot.set_my_commands(listed, language_code=language_code or None),
        )


def gateway() -> TelegramGateway:
    """The way to Telegram; without a BOT_TOKEN the way into the sandbox, started if need be."""
    if settings.BOT_TOKEN:
        return TelegramGateway(token=settings.BOT_TOKEN, api_url=settings.TELEGRAM_API_URL)
    return sandbox_gateway()


def sandbox_gateway() -> TelegramGateway:
    """The way into the sandbox, whatever BOT_TOKEN says; started if it does not run."""
    return TelegramGateway(token=sandbox.TOKEN, api_url=sandbox.ensure())


def webhook_url() -> str:
    """Where Telegram is to push updates to."""
    return f"{settings.PUBLIC_URL}{reverse('telegram_webhook')}"


def username() -> str:
    """Ask Telegram for the bot's name, without @; empty where it does not answer."""

    async def ask() -> Call:
        door = gateway()
        await door.open()
        try:
            return await door.get_me()
        finally:
            await door.close()

    call = asyncio.run(ask())
    result = call.body.get("result") if call.body and call.status == HTTPStatus.OK else None
    return str(result.get("username") or "") if isinstance(result, dict) else ""


async def _recorded(
    method: str, call: Callable[[], Awaitable[object]], *, reads_body: bool = False
) -> Call:
    """Make a call and return what the wire saw, whatever the client library made of it.

    The library raises TelegramError and its many children, a bare KeyError for an `ok: false`
    under status 200, and more; none of them says whether a byte went out.
    """
    wire = Wire(reads_body=reads_body)
    token = WIRE.set(wire)
    cause: BaseException | None = None
    with telemetry.span(f"telegram {method}", kind="client") as span:
        try:
            await call()
        except Exception as error:
            cause = error
        finally:
            WIRE.reset(token)
        if wire.status is not None:
            cause = None  # there was an answer; what it says is in the body
            span.set(http_status=wire.status)
        cause = wire.cause or cause
        if cause is not None:
            span.fail(type(cause).__name__)
    return Call(
        started=wire.started,
        status=wire.status,
        body=wire.body if isinstance(wire.body, dict) else None,
        retry_after=wire.retry_after,
        cause=type(cause).__name__ if cause is not None else "",
    )


def _keyboard(
    rows: Sequence[Sequence[tuple[str, str]]], delivery_id: int
) -> InlineKeyboardMarkup | None:
    if not rows:
        return None
    prefix = f"v1:{base36(delivery_id)}:"
    return InlineKeyboardMarkup(
        [
            [
                InlineKeyboardButton(text, url=action)
                if action.startswith("https://")
                # Data over 64 bytes are refused by Telegram, which ends the delivery as failed.
                else InlineKeyboardButton(text, callback_data=prefix + action)
                for text, action in row
            ]
            for row in rows
        ]
    )


# --- inbound -------------------------------------------------------------------------------------


def parse_update(payload: Mapping[str, Any]) -> Inbound | None:
    """What a person did, or None for an update that telbot has no use for (groups, edits, …).

    Raises UnreadableUpdateError where the payload is not of Telegram's making.
    """
    try:
        known = {key: payload[key] for key in ("update_id", *ALLOWED_UPDATES) if key in payload}
        update = Update.de_json(known, None)
        if update.callback_query is not None:
            return _button(update)
        if update.my_chat_member is not None:
            return _membership(update)
        if update.message is not None:
            return _message(update.update_id, update.message)
    except Exception as error:  # the library raises whatever it stumbles over
        raise UnreadableUpdateError(f"cannot read this update: {type(error).__name__}") from error
    return None


def _message(update_id: int, message: Message) -> InboundMessage | None:
    text = message.text or message.caption or ""
    if message.chat.type != "private" or message.from_user is None:
        return None
    # Of an album, whose pictures come one by one, only what has words is a message to us.
    if not text and (message.effective_attachment is None or message.media_group_id):
        return None
    command, argument = split_command(text)
    return InboundMessage(
        update_id=update_id,
        chat_id=message.chat.id,
        user_id=message.from_user.id,
        first_name=_name(message.from_user),
        language_code=message.from_user.language_code or "",
        text=text,
        command=command,
        argument=argument,
    )


def _button(update: Update) -> InboundButton | None:
    query = update.callback_query
    if query is None or not query.data:
        return None
    if query.message is not None and query.message.chat.type != "private":
        return None
    delivery_id, action = read_callback(query.data)
    return InboundButton(
        update_id=update.update_id,
        chat_id=query.message.chat.id if query.message is not None else query.from_user.id,
        user_id=query.from_user.id,
        first_name=_name(query.from_user),
        language_code=query.from_user.language_code or "",
        action=action,
        delivery_id=delivery_id,
        callback_id=query.id,
        message_id=query.message.message_id if query.message is not None else None,
    )


def _membership(update: Update) -> InboundMembership | None:
    change = update.my_chat_member
    if change is None or change.chat.type != "private":
        return None
    return InboundMembership(
        update_id=update.update_id,
        chat_id=change.chat.id,
        status=str(change.new_chat_member.status),
    )


def _name(user: User) -> str:
    """A first name without control characters and line breaks; Telegram allows odd ones."""
    kept = "".join(c if c.isprintable() else " " for c in user.first_name or "")
    return " ".join(kept.split())[:NAME_LENGTH]
