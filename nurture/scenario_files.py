"""The scenarios of a sequence as a section of its file: read with every problem, written (N10)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, time
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from ruamel.yaml.comments import CommentedMap

from delivery.domain import reasons as delivery_reasons
from nurture import sequence_values as values
from nurture.domain import reasons
from nurture.domain.scenario import (
    FIRST_DAY,
    LEARNER,
    MOST_DAYS,
    ZONE,
    Expected,
    Given,
    Happening,
    Scenario,
)
from nurture.file_reader import Reader
from nurture.sequence_writer import dump, line

_CODES = (
    *(code.value for code in delivery_reasons.Reason),
    *(code.value for code in reasons.Reason),
)
_MIDNIGHT = time(0)


def read(reader: Reader, root: CommentedMap) -> tuple[Scenario, ...]:
    """The scenarios of a file, which are told apart by their names; none where it has none.

    What makes no sense when it is played is not refused: authors may keep what is half done.
    """
    found: list[Scenario] = []
    for parent, index, node in reader.items(root, "scenarios"):
        scenario = _scenario(reader, node)
        if any(scenario.name == other.name for other in found):
            reader.wrong(parent, index, f"a second scenario with the name {scenario.name!r}")
        found.append(scenario)
    return tuple(found)


def _scenario(reader: Reader, node: CommentedMap) -> Scenario:
    reader.known(
        node, "name", "learner", "time_zone", "language", "quiet", "first_day", "nothing_else",
        "given", "expect",
    )  # fmt: skip
    given = [_given(reader, item) for _, _, item in reader.items(node, "given")]
    return Scenario(
        name=reader.need(node, "name", values.short(120), ""),
        learner=reader.get(node, "learner", values.short(120), LEARNER),
        zone=reader.get(node, "time_zone", _zone, ZoneInfo(ZONE)),
        language=reader.get(node, "language", values.short(16), ""),
        quiet=_quiet(reader, node),
        first_day=reader.get(node, "first_day", _date, FIRST_DAY),
        given=sorted(given, key=lambda one: (one.day, one.at)),
        expected=[_expected(reader, item) for _, _, item in reader.items(node, "expect")],
        nothing_else=reader.get(node, "nothing_else", values.boolean, True),
    )


def _quiet(reader: Reader, node: CommentedMap) -> tuple[time, time] | None:
    if node.get("quiet") is None:
        return None
    hours = reader.mapping(node, "quiet")
    reader.known(hours, "opens", "closes")
    return (
        reader.need(hours, "opens", values.local_time, _MIDNIGHT),
        reader.need(hours, "closes", values.local_time, _MIDNIGHT),
    )


def _given(reader: Reader, node: CommentedMap) -> Given:
    reader.known(node, "day", "at", "what", "detail")
    return Given(
        day=reader.need(node, "day", values.number(1, MOST_DAYS), 1),
        at=reader.need(node, "at", values.local_time, _MIDNIGHT),
        what=reader.need(node, "what", values.one_of(Happening), Happening.CLASS),
        detail=reader.get(node, "detail", values.short(120), ""),
    )


def _expected(reader: Reader, node: CommentedMap) -> Expected:
    """What is sent is sent at a time; what is not may have a reason."""
    sent = reader.get(node, "sent", values.boolean, True)
    reader.known(node, "step", "sent", "day", "at", *(() if sent else ("reason",)))
    take = reader.need if sent else reader.get
    return Expected(
        step=reader.need(node, "step", values.slug, ""),
        sent=sent,
        day=take(node, "day", values.number(1, MOST_DAYS), Expected.day),
        at=take(node, "at", values.local_time, Expected.at),
        reason="" if sent else reader.get(node, "reason", values.choice(*_CODES), ""),
    )


def _zone(value: Any) -> ZoneInfo:
    if value not in available_timezones():
        raise ValueError(f"{value!r} is no time zone such as Europe/Madrid")
    return ZoneInfo(value)


def _date(value: Any) -> date:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError(f"{value!r} is no day such as 2026-03-02") from None


# --- and out ------------------------------------------------------------------------------------


def write(scenarios: Iterable[Scenario]) -> str:
    """The section of a file, empty for none; what has its default is left out."""
    found = [_node(scenario) for scenario in scenarios]
    return dump({"scenarios": found}) if found else ""


def _node(scenario: Scenario) -> dict[str, Any]:
    node: dict[str, Any] = {"name": line(scenario.name)}
    node |= {"learner": line(scenario.learner)} if scenario.learner != LEARNER else {}
    node |= {"time_zone": scenario.zone.key} if scenario.zone.key != ZONE else {}
    node |= {"language": line(scenario.language)} if scenario.language else {}
    if scenario.quiet is not None:
        opens, closes = scenario.quiet
        node["quiet"] = {"opens": f"{opens:%H:%M}", "closes": f"{closes:%H:%M}"}
    if scenario.first_day != FIRST_DAY:
        node["first_day"] = scenario.first_day.isoformat()
    node |= {} if scenario.nothing_else else {"nothing_else": False}
    node["given"] = [_given_node(one) for one in scenario.given]
    node["expect"] = [_expected_node(one) for one in scenario.expected]
    return node


def _given_node(given: Given) -> dict[str, Any]:
    detail = {"detail": line(given.detail)} if given.detail else {}
    return {"day": given.day, "at": f"{given.at:%H:%M}", "what": given.what.value, **detail}


def _expected_node(expected: Expected) -> dict[str, Any]:
    node: dict[str, Any] = {"step": expected.step}
    node |= {} if expected.sent else {"sent": False}
    if expected.sent or (expected.day, expected.at) != (Expected.day, Expected.at):
        node |= {"day": expected.day, "at": f"{expected.at:%H:%M}"}
    return node | ({"reason": expected.reason} if expected.reason else {})
