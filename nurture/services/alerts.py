"""What staff should know now, worst first. Computed from how things stand; nothing is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from delivery.models import Process
from delivery.selectors import COUNTED
from delivery.services.gates import BOT
from nurture.services.figures import Standing

#: A process that beats every 15 s and was not seen for so long is missing.
MISSING_SECONDS = 60.0
#: Google is read every ten minutes; after so long without a whole reading it is dark.
DARK = timedelta(hours=2)
#: A lease and a tick; what is late by more waits for a reason.
LATE_SECONDS = 90.0
MANY_REVIEWS = 20


@dataclass(frozen=True, slots=True)
class Alert:
    """One sentence on what is, one on what to do; `about` names what it is about."""

    tone: str  # bad: act now; warn: look today
    about: str
    words: str
    do: str


def alerts(standing: Standing) -> list[Alert]:
    """All that is open now, what needs an act before what needs a look."""
    found = [
        *_processes(standing), *_gates(standing), *_late(standing), *_doubtful(standing),
        *_google(standing), *_people(standing),
    ]  # fmt: skip
    return sorted(found, key=lambda alert: alert.tone != "bad")


def _processes(standing: Standing) -> Iterator[Alert]:
    for process in (Process.CLOCK, Process.WORKER):
        alive = standing.delivery.processes.get(process.value)
        if alive is not None and alive.seconds_ago > MISSING_SECONDS:
            minutes = int(alive.seconds_ago // 60)
            yield Alert(
                "bad", process.value, f"The {process.value} was not seen for {minutes} min.",
                f"Start the {process.label}; nothing is lost, it waits.",
            )  # fmt: skip


def _gates(standing: Standing) -> Iterator[Alert]:
    for gate in standing.gates:
        if gate.key == BOT:  # a 429: it opens by itself
            yield Alert("warn", "gate", "Telegram asked us to wait.", "It goes on by itself.")
            continue
        why = gate.reason or "closed by staff"
        what = f"{gate.key} is closed: {why}."
        tone = "bad" if gate.scope == "bot" else "warn"
        yield Alert(tone, "gate", what, "What is behind it waits until it opens.")


def _late(standing: Standing) -> Iterator[Alert]:
    if standing.late_seconds > LATE_SECONDS:
        minutes = int(standing.late_seconds // 60)
        yield Alert(
            "bad", "late",
            f"The oldest delivery is {minutes} min late though its gates are open.",
            "See whether the worker runs and whether it has room.",
        )  # fmt: skip


def _doubtful(standing: Standing) -> Iterator[Alert]:
    if standing.delivery.unknown:
        yield Alert(
            "warn", "unknown", f"{deliveries(standing.delivery.unknown)} cannot be known.",
            "Say whether each arrived, or send it again.",
        )  # fmt: skip
    if standing.delivery.dead:
        yield Alert(
            "warn", "dead", f"Given up: {deliveries(standing.delivery.dead)}.",
            "Look at the last error, mend it, and send again.",
        )  # fmt: skip


def _google(standing: Standing) -> Iterator[Alert]:
    for reading in standing.attendance.readings:
        if reading.state is None or not standing.switches.attendance:
            continue
        dark = reading.complete_at is None or standing.now - reading.complete_at > DARK
        if reading.state in {"failed", "config_error"}:
            why = (reading.error or "no reason given")[:160]
            yield Alert(
                "bad" if dark else "warn", "google", f"Reading Google's {reading.name} failed: "
                f"{why}", "manage.py doctor says what to do. No absence is concluded meanwhile.",
            )  # fmt: skip
        elif dark:
            yield Alert(
                "warn", "google", f"Google's {reading.name} was not read as a whole for "
                "2 hours.", "No absence is concluded meanwhile.",
            )  # fmt: skip


def _people(standing: Standing) -> Iterator[Alert]:
    if standing.nurture.open_tasks:
        tasks = standing.nurture.open_tasks
        yield Alert("warn", "task", f"Open tasks: {tasks}.", "Only a person can do them.")
    if standing.attendance.open_reviews >= MANY_REVIEWS:
        reviews = standing.attendance.open_reviews
        yield Alert(
            "warn", "review", f"{reviews} questions about attendance wait.",
            "Their classes cannot be settled before they are answered.",
        )  # fmt: skip


def counted(number: int) -> str:
    """A number that was counted up to a bound."""
    return f"{number:,}" if number <= COUNTED else f"More than {COUNTED:,}"


def deliveries(number: int) -> str:
    """So many deliveries, counted up to a bound."""
    return f"{counted(number)} {'delivery' if number == 1 else 'deliveries'}"
