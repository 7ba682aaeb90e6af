"""What staff should know now, worst first. Computed from how things stand; nothing is kept here.

services/telling.py keeps which of them were opened, told and resolved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from attendance.google_errors import Failure
from delivery.models import Process
from delivery.selectors import COUNTED, Alive, Queue
from delivery.services.gates import BOT, BREAKER, FENCE, SWITCH, TOKEN
from nurture.domain import figures
from nurture.domain.alerts import CATALOGUE, Code, Rule
from nurture.services.figures import Standing

#: A process that beats every 15 s and was not seen for so long is missing.
MISSING_SECONDS = 60.0
POLL_SECONDS = 25.0  # Telegram may keep a poller waiting for so long
#: One that was never seen is missing once another has been there for so long: longer than a worker
#: waits for the first migrations.
FIRST_MINUTES = 30
#: Google is read every ten minutes; after so long without a whole reading it is dark.
DARK = timedelta(hours=2)
#: A lease and a tick; what is late by more waits for a reason.
LATE_SECONDS = 90.0
DELAYED_SECONDS = 3600.0
MANY_REVIEWS = 20
#: Of the deliveries of the last hour, and how many it takes to say so.
FAILING, FEWEST = 0.05, 20
#: A 429 slows us down for minutes after the wait is over.
LIMITED = timedelta(minutes=10)
LIMITED_BY = "429"  # the reason of the gate then; it may be closed by hand, too
UNANSWERED = timedelta(minutes=5)
LIES_STILL = timedelta(minutes=10)  # thousands of facts at once take the engine a minute
LAG_SECONDS = 3 * 3600  # nine records in ten are usually there within half an hour

_OF_BOT = {
    SWITCH: Code.SENDING_STOPPED, TOKEN: Code.TOKEN_REFUSED, BREAKER: Code.BREAKER_OPEN,
    FENCE: Code.FENCE_CLOSED,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Alert:
    """That something is wrong now, and where.

    `told` is a sentence for the outside, without free text; `detail` is for staff alone, since what
    Google or Telegram say may name somebody. `about` says which list of the admin it is about.
    """

    code: Code
    told: str
    about: str
    subject: str = ""  # which one, of several of the same code
    detail: str = ""

    @property
    def rule(self) -> Rule:
        """Its line of the catalogue."""
        return CATALOGUE[self.code]

    @property
    def words(self) -> str:
        """One sentence on what is."""
        return f"{self.told.rstrip('.')}: {self.detail}." if self.detail else self.told

    @property
    def do(self) -> str:
        """One sentence on what to do."""
        return self.rule.do

    @property
    def tone(self) -> str:
        """Bad: act now; warn: look today."""
        return self.rule.tone


def alerts(standing: Standing) -> list[Alert]:
    """All that is open now, what needs an act before what needs a look."""
    found = [
        *_processes(standing), *_gates(standing), *_late(standing), *_failing(standing),
        *_doubtful(standing), *_google(standing), *_people(standing), *_night(standing),
    ]  # fmt: skip
    return sorted(found, key=lambda alert: alert.tone != "bad")


def _processes(standing: Standing) -> Iterator[Alert]:
    codes = {Process.CLOCK: Code.CLOCK_MISSING, Process.WORKER: Code.WORKER_MISSING}
    processes = standing.delivery.processes
    for process, code in codes.items():
        if is_missing(process, processes):
            alive = processes.get(process.value)
            span = f"not seen for {int(alive.seconds_ago // 60)} min" if alive else "never seen"
            yield Alert(code, f"The {process.value} was {span}.", about=process.value)
    also = {
        Process.WEB: (Code.WEB_MISSING, MISSING_SECONDS),
        Process.POLLER: (Code.POLLER_MISSING, MISSING_SECONDS + POLL_SECONDS),
    }
    for process, (code, seconds) in also.items():
        alive = processes.get(process.value)
        if process in standing.expects and alive and alive.seconds_ago > seconds:
            words = f"The {process.value} was not seen for {int(alive.seconds_ago // 60)} min."
            yield Alert(code, words, about=process.value)


def is_missing(process: Process, processes: Mapping[str, Alive]) -> bool:
    """Not seen for a minute; or never, though another kind was first seen half an hour ago."""
    alive = processes.get(process.value)
    if alive is None:
        return any(other.of >= FIRST_MINUTES for other in processes.values())
    return alive.seconds_ago > MISSING_SECONDS


def _gates(standing: Standing) -> Iterator[Alert]:
    for gate in standing.queues:
        if gate.key == BOT and gate.reason == LIMITED_BY:
            if gate.closed or _was_limited(gate, standing):
                yield Alert(Code.RATE_LIMITED, "Telegram asked us to wait.", about="gate")
        elif gate.closed:
            code = _OF_BOT.get(gate.key, Code.SENDING_STOPPED)
            if gate.scope != "bot":
                code = Code.STREAM_HELD
            why = gate.reason or "closed by staff"
            subject = "telegram" if code is Code.BREAKER_OPEN else gate.key
            yield Alert(code, f"The gate {gate.key} is closed.", "gate", subject, detail=why)


def _was_limited(gate: Queue, standing: Standing) -> bool:
    """A wait may be over before anybody looks; the lowered rate stays a while."""
    return bool(gate.updated_at and standing.now - gate.updated_at < LIMITED)


def _late(standing: Standing) -> Iterator[Alert]:
    late, minutes = standing.late_seconds, int(standing.late_seconds // 60)
    words = f"The oldest delivery is {minutes} min late though its gates are open."
    if late > DELAYED_SECONDS:
        yield Alert(Code.DELIVERIES_DELAYED, words, about="late")
    elif late > LATE_SECONDS:
        yield Alert(Code.DELIVERIES_LATE, words, about="late")
    waits = standing.delivery.waiting_since
    if waits and standing.now - waits > UNANSWERED:
        minutes = int((standing.now - waits).total_seconds() // 60)
        words = f"What a learner said was not handled for {minutes} min."
        yield Alert(Code.UPDATES_WAITING, words, about="update")
    yield from _still(standing)


def _still(standing: Standing) -> Iterator[Alert]:
    """What the engine would have taken within seconds, if its passes came to their end."""
    journeys = standing.nurture.journey_since if standing.switches.percent > 0 else None
    for what, since in {"fact": standing.nurture.fact_since, "journey": journeys}.items():
        if since and standing.now - since > LIES_STILL:
            minutes = int((standing.now - since).total_seconds() // 60)
            words = f"A {what} has waited for {minutes} min, and no pass of the engine took it."
            yield Alert(Code.ENGINE_STUCK, words, about=what, subject=what)


def _failing(standing: Standing) -> Iterator[Alert]:
    share = figures.errors(standing.hour)
    if share.of >= FEWEST and share.hits > FAILING * share.of:
        words = f"{share.hits:,} of {share.of:,} deliveries of the last hour went wrong."
        yield Alert(Code.DELIVERIES_FAILING, words, about="failed")


def _doubtful(standing: Standing) -> Iterator[Alert]:
    if standing.delivery.unknown:
        words = f"{deliveries(standing.delivery.unknown)} cannot be known."
        yield Alert(Code.UNKNOWN_DELIVERIES, words, about="unknown")
    if standing.delivery.dead:
        words = f"Given up: {deliveries(standing.delivery.dead)}."
        yield Alert(Code.DEAD_DELIVERIES, words, about="dead")
    if standing.delivery.poison:
        words = f"Set aside as they kill what handles them: {counted(standing.delivery.poison)}."
        yield Alert(Code.POISON, words, about="poison")


def _google(standing: Standing) -> Iterator[Alert]:
    if not standing.switches.attendance:
        return
    for reading in standing.attendance.readings:
        if reading.state is None:
            continue
        dark = reading.complete_at is None or standing.now - reading.complete_at > DARK
        failed = reading.state in {"failed", "config_error"}
        if failed:
            yield Alert(
                Code.GOOGLE_DARK if dark else Code.GOOGLE_FAILING,
                f"Reading Google's {reading.name} failed.", "google", reading.source,
                detail=(reading.error or "no reason given")[:160],
            )  # fmt: skip
        elif dark:
            words = f"Google's {reading.name} was not read as a whole for 2 hours."
            yield Alert(Code.GOOGLE_DARK, words, "google", reading.source)
        if failed and reading.failure == Failure.CIRCUIT_OPEN:
            words = f"Google is left in peace: its {reading.name} failed again and again."
            yield Alert(Code.BREAKER_OPEN, words, "google", f"google {reading.source}")
        if (reading.lag_seconds or 0) > LAG_SECONDS:
            words = f"One in twenty records of Google's {reading.name} comes over 3 hours late."
            yield Alert(Code.GOOGLE_LAG, words, "google", reading.source)


def _people(standing: Standing) -> Iterator[Alert]:
    if standing.nurture.open_tasks:
        yield Alert(Code.TASKS_OPEN, f"Open tasks: {standing.nurture.open_tasks}.", about="task")
    if standing.attendance.open_reviews >= MANY_REVIEWS:
        words = f"{standing.attendance.open_reviews} questions about attendance wait."
        yield Alert(Code.REVIEWS_WAITING, words, about="review")


def _night(standing: Standing) -> Iterator[Alert]:
    for job in standing.troubles:
        words = f"The job {job.name} " + ("failed." if job.kind == "failed" else "did not run.")
        yield Alert(Code.JOB_FAILING, words, about="job", subject=job.name)
    if standing.nurture.findings:
        words = f"The audit found {counted(standing.nurture.findings)} rows that are not right."
        yield Alert(Code.AUDIT_FINDINGS, words, about="finding")


def counted(number: int) -> str:
    """A number that was counted up to a bound."""
    return f"{number:,}" if number <= COUNTED else f"More than {COUNTED:,}"


def deliveries(number: int) -> str:
    """So many deliveries, counted up to a bound."""
    return f"{counted(number)} {'delivery' if number == 1 else 'deliveries'}"
