"""A scenario: what happens to one made-up learner, and what they must then hear (N10).

Staff write it beside the sequence; the production engine plays it under a simulated clock
(services/simulation/story.py); here its parts are judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from nurture.domain.schedule import resolve

#: How long after the last line of a scenario it is still listened: whoever expects silence.
LISTENS_ON = timedelta(days=14)
MOST_DAYS = 120
#: Whose story it is, and from when on, where nobody says otherwise: a Monday.
LEARNER, ZONE, FIRST_DAY = "Rosa Maro", "Europe/Berlin", date(2026, 3, 2)


class Happening(StrEnum):
    """What may happen to the learner of a scenario."""

    CLASS = "class"  # a class of the course is planned for then
    ATTENDED = "attended"
    LATE = "late"
    LEFT_EARLY = "left_early"
    PARTIAL = "partial"
    MISSED = "missed"
    COMES = "comes"
    DECLINES = "declines"
    PRESSES = "presses"
    WRITES = "writes"
    STOPS = "stops"


#: What attendance finds out about a class that was held.
OUTCOMES = frozenset(
    {Happening.ATTENDED, Happening.LATE, Happening.LEFT_EARLY, Happening.PARTIAL, Happening.MISSED}
)


@dataclass(frozen=True, kw_only=True)
class Given:
    """Something that happens on the learner's clock; day 1 is the first day.

    `detail`: the title of a class, or the action of a button.
    """

    day: int
    at: time
    what: Happening
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What must become of one step: sent then, or not at all, for this reason ("" = any)."""

    step: str
    sent: bool = True
    day: int = 1
    at: time = time(0)
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One story of one learner in one course."""

    name: str
    first_day: date
    zone: ZoneInfo
    learner: str = LEARNER
    language: str = ""
    quiet: tuple[time, time] | None = None
    given: Sequence[Given] = ()
    expected: Sequence[Expected] = ()
    nothing_else: bool = True  # any further message is a failure

    def moment(self, day: int, at: time) -> datetime:
        """The instant (UTC) of a local time on a day that is counted from 1."""
        return resolve(self.first_day + timedelta(days=day - 1), at, self.zone)

    @property
    def until(self) -> datetime:
        """Until when the learner is listened to."""
        return self.moment(max(self.days, default=1), time(0)) + LISTENS_ON

    @property
    def days(self) -> list[int]:
        """Every day that is named."""
        return [*(line.day for line in self.given), *(line.day for line in self.expected)]


@dataclass(frozen=True, kw_only=True)
class Heard:
    """A message that went out."""

    step: str
    at: datetime
    text: str


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the engine made of a scenario; `because` has the reason codes of each step, and under
    "" those that concern the whole journey."""

    heard: Sequence[Heard] = ()
    because: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of the verdict."""

    passed: bool
    said: str


def judge(scenario: Scenario, told: Told) -> list[Check]:
    """Compare what was expected with what came, line by line; then whatever came besides."""
    left = list(told.heard)
    checks = [_check(scenario, line, told, left) for line in scenario.expected]
    if scenario.nothing_else:
        checks += [
            Check(
                passed=False,
                said=f"{message.step} was sent, {clock(message.at, scenario)}; nobody expects it",
            )
            for message in left
        ]
    return checks


def _check(scenario: Scenario, line: Expected, told: Told, left: list[Heard]) -> Check:
    of_step = [message for message in told.heard if message.step == line.step]
    if line.sent:
        return _check_sent(scenario, line, of_step, _reasons(line.step, told), left)
    left[:] = [message for message in left if message.step != line.step]
    if of_step:
        when = clock(of_step[0].at, scenario)
        return Check(passed=False, said=f"{line.step} was sent, {when}, and should not be")
    reasons = _reasons(line.step, told)
    if line.reason and line.reason not in reasons:
        why = _plain(reasons) or "no reason was noted"
        return Check(
            passed=False,
            said=f"{line.step} was not sent, but because of {why}, not {_plain({line.reason})}",
        )
    because = _plain({line.reason} if line.reason else reasons) or "nothing led to it"
    return Check(passed=True, said=f"{line.step} was not sent: {because}")


def _check_sent(
    scenario: Scenario,
    line: Expected,
    of_step: Sequence[Heard],
    reasons: frozenset[str],
    left: list[Heard],
) -> Check:
    wanted = scenario.moment(line.day, line.at)
    when = clock(wanted, scenario)
    for message in of_step:
        if message in left and message.at.replace(second=0, microsecond=0) == wanted:
            left.remove(message)
            return Check(passed=True, said=f"{line.step} was sent, {when}")
    if not of_step:
        why = _plain(reasons) or "nothing led to it"
        return Check(passed=False, said=f"{line.step} was not sent ({why}); expected {when}")
    left[:] = [message for message in left if message is not of_step[0]]
    real = clock(of_step[0].at, scenario)
    return Check(passed=False, said=f"{line.step} was sent, {real}; expected {when}")


def _plain(codes: Iterable[str]) -> str:
    """Codes as one reads them."""
    return ", ".join(sorted(codes)).replace("_", " ")


def _reasons(step: str, told: Told) -> frozenset[str]:
    return told.because.get(step, frozenset()) | told.because.get("", frozenset())


def clock(at: datetime, scenario: Scenario) -> str:
    """A moment as the learner's clock shows it, with its day of the scenario."""
    local = at.astimezone(scenario.zone)
    return f"day {(local.date() - scenario.first_day).days + 1} ({local:%a %d %b}) at {local:%H:%M}"


def problems(scenario: Scenario) -> Iterator[str]:
    """What makes a scenario no scenario, in words."""
    if not scenario.given:
        yield "Nothing happens in it: add a line to “Given”."
    if not scenario.expected:
        yield "It expects nothing: add a line to “Expect”."
    if any(not 1 <= day <= MOST_DAYS for day in scenario.days):
        yield f"Days count from 1 to {MOST_DAYS}."
    if any(line.what is Happening.PRESSES and not line.detail for line in scenario.given):
        yield "Say which button is pressed: its action, such as dispute or pledge_next."


def strangers(scenario: Scenario, keys: Iterable[str]) -> list[str]:
    """The steps that a scenario names and the sequence does not have."""
    known = set(keys)
    return sorted({line.step for line in scenario.expected} - known)


# --- as it is kept ------------------------------------------------------------------------------


def given_to_json(lines: Iterable[Given]) -> list[dict[str, Any]]:
    """What happens, as the table keeps it."""
    return [
        {"day": line.day, "at": f"{line.at:%H:%M}", "what": line.what.value, "detail": line.detail}
        for line in lines
    ]


def given_from_json(kept: Iterable[Mapping[str, Any]]) -> list[Given]:
    """And back, in order of time."""
    lines = [
        Given(
            day=row["day"], at=time.fromisoformat(row["at"]), what=Happening(row["what"]),
            detail=row["detail"],
        )
        for row in kept
    ]  # fmt: skip
    return sorted(lines, key=lambda line: (line.day, line.at))


def expected_to_json(lines: Iterable[Expected]) -> list[dict[str, Any]]:
    """What is expected, as the table keeps it."""
    return [
        {
            "step": line.step, "sent": line.sent, "day": line.day, "at": f"{line.at:%H:%M}",
            "reason": line.reason,
        }
        for line in lines
    ]  # fmt: skip


def expected_from_json(kept: Iterable[Mapping[str, Any]]) -> list[Expected]:
    """And back."""
    return [
        Expected(
            step=row["step"], sent=row["sent"], day=row["day"], at=time.fromisoformat(row["at"]),
            reason=row["reason"],
        )
        for row in kept
    ]  # fmt: skip
