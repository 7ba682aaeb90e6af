"""What `switch`, `pause` and `resume` do."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandError

from delivery import clock
from nurture import services
from nurture.domain.catching_up import Policy
from nurture.management.base import ForeseeingCommand, learner_of
from nurture.models import Journey
from nurture.services.switches import turn

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
        before, after = turn(name=name, to=to, by=BY, now=clock.now(), policy=policy)
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
            return turn(name=name, to=to, by=BY, now=clock.now(), policy=policy)

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
