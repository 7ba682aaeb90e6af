"""What `switch`, `pause` and `resume` do."""

from __future__ import annotations

from django.core.management.base import CommandError
from django.db import transaction

from delivery import clock
from nurture import flags, services
from nurture.domain.catching_up import Policy
from nurture.management.base import JsonCommand
from nurture.models import Journey

BY = "command line"


class SwitchCommand(JsonCommand):
    """Sets one switch and says how it stood and stands."""

    def turn(self, name: str, to: str, *, as_json: bool, policy: Policy | None = None) -> None:
        """Set a switch to on, off, pause, resume or a percentage, in one transaction.

        `policy`: what a stream that goes on does with what came due meanwhile.
        """
        try:
            with transaction.atomic():
                before = flags.state(name)
                _set(name, to, policy)
                after = flags.state(name)
        except (LookupError, ValueError) as error:
            raise CommandError(f"{error}. Nothing was changed.") from None
        report = {"name": name, "before": before, "after": after}
        self.say(f"{name}: {before} → {after}.", report, as_json=as_json)


def _set(name: str, to: str, policy: Policy | None) -> None:
    if policy is not None and not name.startswith(flags.STREAM_PREFIX):
        raise ValueError("a policy is for stream:<slug>")
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
        _set_stream(name.removeprefix(flags.STREAM_PREFIX), on, policy)


def _set_stream(slug: str, on: bool, policy: Policy | None) -> None:
    if on:
        services.release_stream(
            journeys=Journey.objects.filter(sequence__slug=slug),
            policy=policy or Policy.LATEST,
            now=clock.now(),
        )
    flags.set_stream(slug=slug, on=on, by=BY)


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
