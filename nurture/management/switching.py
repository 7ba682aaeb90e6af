"""What `switch`, `pause` and `resume` do."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandError
from django.db import transaction

from delivery import clock
from nurture import flags, services
from nurture.domain.catching_up import Policy
from nurture.management.base import ForeseeingCommand, learner_of
from nurture.models import Journey

BY = "command line"


LEARNER = "learner:"


class SwitchCommand(ForeseeingCommand):
    """Sets one switch and says how it stood and stands."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What is switched."""
        super().add_arguments(parser)
        parser.add_argument("name", help="nurture, attendance, deliver, or stream:<slug>")

    def turn(
        self,
        name: str,
        to: str,
        *,
        as_json: bool,
        policy: Policy | None = None,
        dry_run: bool = False,
    ) -> None:
        """Set a switch to on, off, pause, resume or a percentage, in one transaction.

        `policy`: what journeys that go on do with what came due meanwhile. `dry_run`: only say
        which planned messages would appear, vanish or move. `learner:<email>` stands for all
        journeys of one learner.
        """
        try:
            if dry_run:
                self._foresee(name, to, policy, as_json=as_json)
            elif name.startswith(LEARNER):
                self._hold(name, to, policy, as_json=as_json)
            else:
                self._set(name, to, policy, as_json=as_json)
        except (LookupError, ValueError) as error:
            raise CommandError(f"{error}. Nothing was changed.") from None

    def _set(self, name: str, to: str, policy: Policy | None, *, as_json: bool) -> None:
        with transaction.atomic():
            before = flags.state(name)
            _set(name, to, policy)
            after = flags.state(name)
        report = {"name": name, "before": before, "after": after}
        self.say(f"{name}: {before} → {after}.", report, as_json=as_json)

    def _hold(self, name: str, to: str, policy: Policy | None, *, as_json: bool) -> None:
        done = hold(name.removeprefix(LEARNER), to, policy)()
        what = "held" if to == "pause" else "go on"
        report = {"name": name, "journeys": done}
        self.say(f"{name}: {done} journeys {what}.", report, as_json=as_json)

    def _foresee(self, name: str, to: str, policy: Policy | None, *, as_json: bool) -> None:
        def action() -> Any:
            if name.startswith(LEARNER):
                return hold(name.removeprefix(LEARNER), to, policy)()
            return _set(name, to, policy)

        self.foresee(action, as_json=as_json)


def hold(email: str, to: str, policy: Policy | None) -> Callable[[], int]:
    """What holds every journey of a learner, or lets them go on. Raises LookupError."""
    learner = learner_of(email)
    if learner is None:
        raise LookupError(f"there is no learner with the address {email!r}")
    journeys = Journey.objects.filter(learner=learner)
    if to == "pause":
        return lambda: services.pause_all(journeys=journeys, now=clock.now())
    chosen = policy or Policy.LATEST
    return lambda: services.resume_all(journeys=journeys, policy=chosen, now=clock.now())


def _set(name: str, to: str, policy: Policy | None) -> None:
    if policy is not None and not name.startswith(flags.STREAM_PREFIX):
        raise ValueError("a policy is for stream:<slug> and learner:<email>")
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
