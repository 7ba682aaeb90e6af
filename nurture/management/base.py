"""What the commands of nurture have in common."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from attendance.domain.identity import email_key
from attendance.models import Learner
from delivery import clock
from nurture.services.simulation import blast_radius

MOST_BYTES = 16 * 1024**2  # of a file, which is read whole


class JsonCommand(BaseCommand):
    """A command that says one sentence, and with --json one object on the last line."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options that every command has."""
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def say(self, sentence: str, report: Mapping[str, Any], *, as_json: bool) -> None:
        """Tell people, and programs if they asked."""
        self.stdout.write(sentence)
        if as_json:
            self.stdout.write(json.dumps(report, ensure_ascii=False, default=str))


class ForeseeingCommand(JsonCommand):
    """A command that can say beforehand which planned messages it touches."""

    def foresee(self, action: Callable[[], Any], *, as_json: bool) -> None:
        """Do it on copies, and tell what would appear, vanish or move."""
        found = blast_radius(action, now=clock.now())
        report = {"appear": found.appear, "vanish": found.vanish, "move": found.move}
        lines = [
            f"{kind}: {email}, {sequence}, {step}"
            for kind, rows in report.items()
            for email, sequence, step in rows
        ]
        counts = ", ".join(f"{len(rows)} {kind}" for kind, rows in report.items())
        self.say(
            "\n".join([*lines, f"Planned messages: {counts}. Nothing was changed."]),
            report,
            as_json=as_json,
        )


def read_text(name: str) -> str:
    """The text of a file given on the command line, which has a limit."""
    try:
        if Path(name).stat().st_size > MOST_BYTES:
            raise CommandError(
                f"{name} is larger than {MOST_BYTES:,} bytes. Nothing changed; split it."
            )
        return Path(name).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise CommandError(f"{name} cannot be read: {error.strerror}. Nothing changed.") from None
    except UnicodeDecodeError:
        raise CommandError(f"{name} is not UTF-8 text. Nothing changed.") from None


def moment(text: str) -> datetime:
    """The value of --at: a moment with its zone, for a world whose clock may be simulated."""
    if settings.ENVIRONMENT != "local" or settings.BOT_TOKEN:
        raise CommandError("--at needs ENVIRONMENT=local and no BOT_TOKEN: the clock is simulated")
    return instant("--at", text)


def instant(name: str, text: str) -> datetime:
    """The value of an option: a moment with its zone."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"{name}: {text!r} is no ISO date and time") from None
    if at.tzinfo is None:
        raise CommandError(f"{name}: say the zone too, for example 2026-11-24T09:00:00Z")
    return at


def learner_of(email: str) -> Learner | None:
    """The learner with this address, in any of its spellings."""
    return Learner.objects.filter(email_key=email_key(email)).first()
