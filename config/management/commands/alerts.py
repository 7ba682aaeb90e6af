"""Alerts on the command line: what stands, silence, and whether the receivers hear."""

from __future__ import annotations

import json
import re
from argparse import ArgumentParser
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from config.pagers import Word, channels
from config.watch import Watch, tell
from delivery import clock
from nurture.domain.alerts import Code, Tell
from nurture.models import AlertEpisode
from nurture.services import telling

BY = "command line"
_LENGTH = re.compile(r"(\d{1,4})([mhd])\Z")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
LONGEST = timedelta(days=7)  # one that is forgotten ends by itself
Report = tuple[str, dict[str, Any]]


class Command(BaseCommand):
    """`alerts`, `alerts check`, `alerts test`, `alerts silence 2h --reason …`, `alerts speak`."""

    help = "What is wrong now; look and tell once; test the receivers; silence and its end."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What to do."""
        parser.add_argument("deed", nargs="?", default="list", choices=list(_DEEDS))
        parser.add_argument("length", nargs="?", help="of a silence: 30m, 2h, 7d at most")
        parser.add_argument("--reason", default="", help="of a silence")
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, and say how it went."""
        sentence, report = _DEEDS[options["deed"]](options)
        self.stdout.write(sentence)
        if options["json"]:
            self.stdout.write(json.dumps(report, default=str))
        if report.get("ok") is False:
            raise CommandError("not every receiver took it; see above")


def _list(options: dict[str, Any]) -> Report:
    rows = AlertEpisode.objects.filter(opened_at__isnull=False, resolved_at__isnull=True)
    found = [
        {"code": row.code, "severity": row.severity, "words": row.words, "since": row.opened_at}
        for row in rows.order_by("severity", "opened_at")
    ]
    lines = [f"{row['severity']:<9} {row['code']:<22} {row['words']}" for row in found]
    silenced = telling.is_silenced(now=clock.now())
    lines += ["No alert is open."] * (not found) + ["Silenced: nobody is told."] * silenced
    return "\n".join(lines), {"alerts": found, "silenced": silenced}


def _check(options: dict[str, Any]) -> Report:
    Watch(channels=channels(), redis_url=settings.REDIS_URL).look()
    return _list(options)


def _test(options: dict[str, Any]) -> Report:
    """One trigger and its resolve to each receiver, under a key of their own."""
    key = f"telbot-{settings.ENVIRONMENT}-test-{uuid4().hex[:12]}"
    came, lines = {}, []
    for channel in channels():
        for kind in (Tell.TRIGGER, Tell.RESOLVE):
            word = Word(
                code=Code.TEST, kind=kind, key=key, link=settings.PUBLIC_URL,
                words="This is a test of telbot's alerts; nothing is wrong.",
            )  # fmt: skip
            problem = tell(channel, word)
            came[f"{channel.name} {kind}"] = problem or "taken"
            lines.append(f"{channel.name:<10} {kind:<8} {problem or 'taken'}")
    if not came:
        return (
            "No receiver is set. Set SLACK_WEBHOOK_URL or PAGERDUTY_ROUTING_KEY.",
            {"ok": False, "receivers": {}},
        )
    ok = all(said == "taken" for said in came.values())
    return "\n".join(lines), {"ok": ok, "receivers": came}


def _silence(options: dict[str, Any]) -> Report:
    length, present = _length(options["length"]), clock.now()
    row = telling.silence(length=length, reason=options["reason"], by=BY, now=present)
    said = f"Nobody is told until {row.until:%Y-%m-%d %H:%M} UTC. What stands then is told then."
    return said, {"until": row.until}


def _speak(options: dict[str, Any]) -> Report:
    ended = telling.end_silence(now=clock.now())
    return f"Alerts are told again; {ended} silences were ended.", {"ended": ended}


def _length(text: str | None) -> timedelta:
    match = _LENGTH.match(text or "")
    length = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else timedelta()
    if not timedelta() < length <= LONGEST:
        raise CommandError("say for how long: 30m, 2h or 1d, 7d at most. Nothing was changed.")
    return length


_DEEDS: dict[str, Callable[[dict[str, Any]], Report]] = {
    "list": _list, "check": _check, "test": _test, "silence": _silence, "speak": _speak,
}  # fmt: skip
