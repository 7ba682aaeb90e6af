"""What `switch`, `pause` and `resume` do."""

from __future__ import annotations

from django.core.management.base import CommandError
from django.db import transaction

from nurture import flags
from nurture.management.base import JsonCommand

BY = "command line"


class SwitchCommand(JsonCommand):
    """Sets one switch and says how it stood and stands."""

    def turn(self, name: str, to: str, *, as_json: bool) -> None:
        """Set a switch to on, off, pause, resume or a percentage, in one transaction."""
        try:
            with transaction.atomic():
                before = flags.state(name)
                _set(name, to)
                after = flags.state(name)
        except (LookupError, ValueError) as error:
            raise CommandError(f"{error}. Nothing was changed.") from None
        report = {"name": name, "before": before, "after": after}
        self.say(f"{name}: {before} → {after}.", report, as_json=as_json)


def _set(name: str, to: str) -> None:
    if name == flags.NURTURE:
        _set_nurture(to)
        return
    if to not in {"on", "off", "pause", "resume"}:
        raise ValueError(f"{name} is on or off; a percentage is for nurture only")
    on = to in {"on", "resume"}
    if name == flags.ATTENDANCE:
        flags.set_attendance(on=on)
    elif name == flags.DELIVER:
        flags.set_deliver(on=on, by=BY)
    else:
        flags.set_stream(slug=name.removeprefix(flags.STREAM_PREFIX), on=on, by=BY)


def _set_nurture(to: str) -> None:
    if to == "pause":
        flags.pause_nurture()
    elif to == "resume":
        flags.resume_nurture()
    else:
        flags.set_nurture(percent=_percent(to))


def _percent(text: str) -> float:
    if text in {"on", "off"}:
        return flags.EVERYBODY if text == "on" else 0.0
    try:
        return float(text.removesuffix("%"))
    except ValueError:
        raise ValueError(f"{text!r} is neither on, off nor a percentage") from None
