"""Receive updates by long polling."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from argparse import ArgumentParser
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError, close_old_connections
from django.utils.module_loading import import_string

from delivery import clock
from delivery.gateways import Call
from delivery.inbound_tasks import work_off
from delivery.models import Process
from delivery.services.heartbeats import beat
from delivery.services.installation import remember_bot
from delivery.services.updates import store_updates
from delivery.telegram import TelegramGateway, gateway, username, webhook_url

log = logging.getLogger(__name__)

WAIT_SECONDS = 25  # how long Telegram holds a poll open
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0  # seconds between tries while Telegram cannot be reached
CONFLICT_SECONDS = 60.0  # another poller this long: give way, so that one of the two remains

T = TypeVar("T")


@dataclass(kw_only=True)
class Report:
    """What came in and what was done with it."""

    received: int = 0
    new: int = 0
    handled: int = 0
    failed: int = 0
    replies: int = 0


class Command(BaseCommand):
    """One process. Updates are stored before Telegram is told that they arrived."""

    help = "Receive what learners write and press, by long polling, until SIGTERM."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How long to run and how to report."""
        parser.add_argument("--once", action="store_true", help="one pass, without waiting")
        parser.add_argument(
            "--webhook",
            action="store_true",
            help="instead of polling, let Telegram push to PUBLIC_URL, and end",
        )
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, once: bool, webhook: bool, json: bool, **options: Any) -> None:
        """Poll; raise CommandError where polling makes no sense (token refused, other poller)."""
        if webhook:
            self._set_webhook(as_json=json)
            return
        if not once:
            _remember_name()
        report = Report()
        with asyncio.Runner() as runner:
            poller = Poller(runner, gateway, report)
            try:
                poller.open(signals=not once)
                if once:
                    poller.once()
                else:
                    self.stdout.write("The bot listens.")
                    poller.forever()
            finally:
                poller.close()
        self._say(report, as_json=json)

    def _set_webhook(self, *, as_json: bool) -> None:
        url = webhook_url()
        if not settings.TELEGRAM_WEBHOOK_SECRET:
            raise CommandError("TELEGRAM_WEBHOOK_SECRET is empty, so the webhook would refuse all.")
        _remember_name()
        call = asyncio.run(_receive_at(url, _menus()))
        if call.status != 200:
            raise CommandError(f"Telegram did not take the webhook. {_why(call)}")
        self.stdout.write(json.dumps({"webhook": url}) if as_json else f"Telegram pushes to {url}.")

    def _say(self, report: Report, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(asdict(report)))
        else:
            self.stdout.write(
                f"{report.received} updates received, {report.handled} handled, "
                f"{report.failed} failed, {report.replies} replies queued."
            )


class Poller:
    """The loop: poll, store, confirm by the next poll, handle. Sync but for the calls."""

    def __init__(
        self, runner: asyncio.Runner, make: Callable[[], TelegramGateway], report: Report
    ) -> None:
        self.runner = runner
        self.make = make
        self.door = make()
        self.report = report
        self.offset = 0
        self.stopping = False
        self.waiting: asyncio.Task[Any] | None = None

    def open(self, *, signals: bool) -> None:
        """Make the connection pools and, for a long run, listen for SIGTERM."""
        self.runner.run(self.door.open())
        if signals:
            loop = self.runner.get_loop()
            for name in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(name, self.stop)

    def close(self) -> None:
        """Close every connection."""
        self.runner.run(self.door.close())

    def stop(self) -> None:
        """Leave the loop; a poll that waits is given up, what is being stored is finished."""
        self.stopping = True
        if self.waiting is not None:
            self.waiting.cancel()

    def once(self) -> None:
        """One pass; what was stored is confirmed, so that Telegram does not send it again."""
        self._wait(self.door.delete_webhook())  # where that fails, the poll says why
        call = self._poll(0)
        if call is None or call.status != 200:
            raise CommandError(_why(call))
        self._wait(self.door.get_updates(offset=self.offset, wait_seconds=0))

    def forever(self) -> None:
        """Poll until told to stop; survive every trouble that may pass."""
        pause, conflict, listening = FIRST_PAUSE, 0.0, False
        while not self.stopping:
            try:
                close_old_connections()
                call = self._poll(WAIT_SECONDS) if listening else self._without_webhook()
            except (OperationalError, InterfaceError):
                log.warning("runbot.database_lost", extra={"pause_seconds": pause})
            else:
                if call is None:
                    continue
                if call.status == 200:
                    pause, conflict, listening = FIRST_PAUSE, 0.0, True
                    continue
                conflict += pause if call.status == 409 else 0.0
                if call.status in {401, 404} or conflict > CONFLICT_SECONDS:
                    raise CommandError(_why(call))
                log.warning("runbot.poll_failed", extra={**_wire(call), "pause_seconds": pause})
                if call.status is None:
                    self._reopen()
            self._wait(asyncio.sleep(pause))
            pause = min(pause * 2, LONGEST_PAUSE)

    def _without_webhook(self) -> Call | None:
        """Webhook and long polling exclude each other, so the webhook goes first; then the menu."""
        call = self._wait(self.door.delete_webhook())
        if call is not None and call.status == 200:
            self._wait(_fill_menu(self.door, _menus()))
        return call

    def _reopen(self) -> None:
        """Look for the server again: the sandbox may be back at another port."""
        self._wait(self.door.close())
        self.door = self.make()
        self._wait(self.door.open())

    def _poll(self, seconds: int) -> Call | None:
        call = self._wait(self.door.get_updates(offset=self.offset, wait_seconds=seconds))
        if call is None or call.status != 200 or call.body is None:
            return call
        beat(Process.POLLER)
        updates = call.body.get("result") or []
        if updates:
            self.report.received += len(updates)
            self.report.new += store_updates(payloads=updates, now=clock.now())
            self.offset = max(int(update["update_id"]) for update in updates) + 1
        done = work_off()  # also what a webhook or a killed process left behind
        self.report.handled += done.handled
        self.report.failed += done.failed
        self.report.replies += done.replies
        return call

    def _wait(self, call: Coroutine[Any, Any, T]) -> T | None:
        """Await one call; None where a signal ended the waiting."""

        async def waited() -> T | None:
            if self.stopping:
                call.close()
                return None
            self.waiting = asyncio.current_task()
            try:
                return await call
            finally:
                self.waiting = None

        try:
            return self.runner.run(waited())
        except asyncio.CancelledError:
            return None


def _remember_name() -> None:
    """Texts may name the bot; where Telegram does not answer, what it said before stands."""
    if name := username():
        remember_bot(username=name)


Menus = Mapping[str, Sequence[tuple[str, str]]]


def _menus() -> Menus:
    """The commands in each language; they may come from the database."""
    menus: Menus = import_string(settings.DELIVERY_BOT_COMMANDS)()
    return menus


async def _fill_menu(door: TelegramGateway, menus: Menus) -> None:
    """Tell Telegram which commands there are, in each language; safe to do at each start.

    A menu that could not be set stops nobody: what is written is answered all the same.
    """
    for language, commands in menus.items():
        call = await door.set_my_commands(commands=commands, language_code=language)
        if call.status != 200:
            log.warning("runbot.menu_not_set", extra={"language": language, **_wire(call)})


async def _receive_at(url: str, menus: Menus) -> Call:
    door = gateway()
    await door.open()
    try:
        await _fill_menu(door, menus)
        return await door.set_webhook(url=url, secret=settings.TELEGRAM_WEBHOOK_SECRET)
    finally:
        await door.close()


def _wire(call: Call) -> dict[str, str | int | None]:
    return {"http_status": call.status, "cause": call.cause}


def _why(call: Call | None) -> str:
    if call is None:
        return "interrupted"
    if call.status in {401, 404}:
        return "Telegram refuses the token; nothing was received. Check BOT_TOKEN."
    if call.status == 409:
        return "another process polls with this token; updates go to that one. End one of the two."
    return f"Telegram gave no updates (status {call.status}, {call.cause or 'no error'})"
