"""Turn a switch, wherever somebody does it: one way for commands and pages."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from datetime import datetime

from django.db import connection, transaction

from nurture import flags
from nurture.domain.catching_up import Policy
from nurture.domain.rollout import bucket
from nurture.models import Contact, Journey
from nurture.services.holding import release_stream

STATES = ("on", "off", "pause", "resume")


class ChangedMeanwhileError(ValueError):
    """The switch no longer stands where it stood when somebody decided to turn it."""


@transaction.atomic
def turn(
    *, name: str, to: str, by: str, now: datetime, policy: Policy | None = None,
    expected: str | None = None,
) -> tuple[str, str]:  # fmt: skip
    """Set a switch to on, off, pause, resume or, for nurture, a percentage; before and after.

    `policy`: what the journeys of a stream that goes on do with what came due meanwhile.
    `expected`: how it stood when this was decided; raises ChangedMeanwhileError if it does not any
    more. Raises UnknownSwitchError (a LookupError) and ValueError; then nothing was changed. Safe
    to run twice.
    """
    with connection.cursor() as cursor:  # two at once: the second sees what the first has done
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('switch:' || %s))", [name])
    before = flags.state(name)
    if expected is not None and before != expected:
        raise ChangedMeanwhileError(f"{name} is {before} by now, not {expected}")
    _set(name, to, by, policy, now)
    return before, flags.state(name)


def reached(percents: Iterable[float]) -> tuple[int, dict[float, int]]:
    """How many learners can be written to, and how many of them each percentage lets in.

    By the draw that admission uses, so it is exact for the learners of now.
    """
    ids = Contact.objects.filter(chat__isnull=False).values_list("learner_id", flat=True)
    places = sorted(bucket(flags.rollout_key(learner)) for learner in ids)
    return len(places), {percent: bisect_left(places, percent) for percent in percents}


def percent_of(text: str) -> float:
    """The percentage that `on`, `off`, `25` or `25%` mean. Raises ValueError for anything else."""
    if text in {"on", "off"}:
        return flags.EVERYBODY if text == "on" else 0.0
    try:
        return float(text.removesuffix("%"))
    except ValueError:
        raise ValueError(f"{text!r} is neither on, off nor a percentage") from None


def _set(name: str, to: str, by: str, policy: Policy | None, now: datetime) -> None:
    if policy is not None and not name.startswith(flags.STREAM_PREFIX):
        raise ValueError("a policy is for stream:<slug> and learner:<email>")
    if name == flags.NURTURE:
        _set_nurture(to)
        return
    if to not in STATES:
        raise ValueError(f"{name} is on or off; a percentage is for nurture only")
    on = to in {"on", "resume"}
    if name == flags.ATTENDANCE:
        flags.set_attendance(on=on)
    elif name == flags.DELIVER:
        flags.set_deliver(on=on, by=by)
    else:
        _set_stream(name.removeprefix(flags.STREAM_PREFIX), on, by, policy, now)


def _set_stream(slug: str, on: bool, by: str, policy: Policy | None, now: datetime) -> None:
    if on:
        release_stream(
            journeys=Journey.objects.filter(sequence__slug=slug),
            policy=policy or Policy.LATEST,
            now=now,
        )
    flags.set_stream(slug=slug, on=on, by=by)


def _set_nurture(to: str) -> None:
    if to == "pause":
        flags.pause_nurture()
    elif to == "resume":
        flags.resume_nurture()
    else:
        flags.set_nurture(percent=percent_of(to))
