"""Faults that were put into good sequences are found, and the good ones are left alone (N19)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nurture import sequence_files
from nurture.domain.lint import Severity, lint

BUNDLED = sorted((Path(__file__).parents[3] / "nurture" / "sequences").glob("*.yaml"))
TRIGGER = "triggers: [{fact: late}]\n"
ONE = "  - {key: a, text: Hi.}\n"


def found(steps: str = ONE, head: str = TRIGGER) -> list[tuple[str, str, str]]:
    """What lint says of a file: code, step, severity."""
    text = f"sequence: s\n{head}steps:\n{steps}"
    return [(row.code, row.step, row.severity.value) for row in lint(sequence_files.read(text))]


WEEK = "".join(f"  - {{key: m{n}, wait: {{after: 12h}}, text: Hi {n}.}}\n" for n in range(9))
ABSENCE = "triggers: [{fact: missed}]\n"
DISPUTE = "buttons: [[{text: I was there, action: dispute}]]"


@pytest.mark.parametrize(
    ("head", "steps", "expected"),
    [
        ("", ONE, ("no_trigger", "", "warning")),
        ("triggers: [{fact: returned, times: 2}]\n", ONE, ("no_streak", "", "error")),
        (
            "triggers: [{fact: late}, {fact: late, course: c@x}]\n",
            ONE,
            ("trigger_shadowed", "", "error"),
        ),
        ("triggers: [{fact: attended}]\n", ONE, ("first_of_a_row", "", "warning")),
        (
            "triggers: [{fact: late, times: any}, {fact: late, times: 3}]\n",
            ONE,
            ("trigger_shadowed", "", "error"),
        ),
        (TRIGGER + "holdout: 100\n", ONE, ("all_held_out", "", "error")),
        (TRIGGER, "  - {key: a, enabled: false, text: Hi.}\n", ("says_nothing", "", "warning")),
        (
            TRIGGER,
            ONE + "  - {key: e, kind: exit}\n  - {key: b, text: Bye.}\n",
            ("unreachable", "b", "error"),
        ),
        (
            TRIGGER,
            "  - {key: q, kind: branch, when: replied, then: b, else: c}\n" + ONE
            + "  - {key: b, text: B.}\n  - {key: c, text: C.}\n",
            ("unreachable", "a", "error"),
        ),
        (
            TRIGGER,
            "  - {key: q, kind: branch, when: replied, then: a, else: a}\n" + ONE,
            ("no_choice", "q", "warning"),
        ),
        (
            TRIGGER,
            "  - {key: q, kind: split, arms: {a: 1}}\n" + ONE,
            ("no_choice", "q", "warning"),
        ),
        (
            TRIGGER,
            ONE + "  - {key: w, kind: wait, wait: {after: 1d}}\n",
            ("idle_end", "w", "warning"),
        ),
        (
            TRIGGER,
            "  - {key: a, when: {all: [replied, {not: replied}]}, text: Hi.}\n",
            ("never_holds", "a", "error"),
        ),
        (
            TRIGGER,
            "  - {key: a, when: {all: ['language:es', 'language:en']}, text: Hi.}\n",
            ("never_holds", "a", "error"),
        ),
        (TRIGGER, "  - {key: a, when: opted_out, text: Hi.}\n", ("never_holds", "a", "error")),
        (
            TRIGGER,
            "  - {key: a, when: {any: [replied, {not: replied}]}, text: Hi.}\n",
            ("always_holds", "a", "warning"),
        ),
        (
            TRIGGER,
            "  - {key: a, when: 'tag:vip', text: Hi.}\n",
            ("tag_from_elsewhere", "a", "warning"),
        ),
        (
            TRIGGER + "exit_when: [attended]\n",
            "  - {key: a, wait: {until_event: attended, or_after: 2d}, text: Hi.}\n",
            ("waits_for_its_end", "a", "error"),
        ),
        (TRIGGER, "  - {key: a, expires: 5m, text: Hi.}\n", ("expires_at_once", "a", "warning")),
        (
            TRIGGER,
            "  - {key: a, wait: {before_next_session: 0m}, text: Hi.}\n",
            ("never_before_class", "a", "error"),
        ),
        (
            TRIGGER + 'window: {opens: "09:00", closes: "20:00"}\noutside_hours: skip\n',
            "  - {key: a, wait: {at: '21:00', plus_days: 1}, text: Hi.}\n",
            ("window_never_opens", "a", "error"),
        ),
        (
            TRIGGER + 'window: {opens: "20:00", closes: "06:00"}\n',
            "  - {key: a, wait: {at: '09:00', plus_days: 1}, text: Hi.}\n",
            ("outside_window", "a", "warning"),
        ),
        (
            TRIGGER + "cap: {per_day: 1}\n",
            ONE + "  - {key: b, wait: {after: 2h}, text: Bye.}\n",
            ("capped_away", "b", "error"),
        ),
        (
            TRIGGER + "cap: {per_day: 1, then: defer}\n",
            ONE + "  - {key: b, wait: {at: '09:00', plus_days: 1}, expires: 2h, text: Bye.}\n",
            ("capped_away", "b", "error"),
        ),
        (TRIGGER, WEEK, ("too_many_a_week", "m7", "warning")),
        (
            ABSENCE,
            f"  - {{key: a, {DISPUTE}, text: 'You had {{{{ minutes_present }}}} minutes.'}}\n",
            ("minutes_of_absence", "a", "error"),
        ),
        (
            TRIGGER,
            "  - {key: a, wait: {after: 3d}, text: 'At {{ next_session_time }}.'}\n",
            ("announces_far_class", "a", "warning"),
        ),
        (
            TRIGGER,
            "  - {key: a, text: 'At {{ next_session_time }}.'}\n",
            ("needs_next_class", "a", "warning"),
        ),
        (TRIGGER, ONE + "  - {key: b, wait: {after: 1d}, text: Hi.}\n",
         ("said_twice", "b", "warning")),
        (
            TRIGGER,
            ONE + "  - {key: b, text: Bye.}\nlanguages: {es: {a: Hola.}}\n",
            ("half_translated", "b", "warning"),
        ),
        (ABSENCE, ONE, ("no_dispute", "a", "warning")),
        (
            TRIGGER,
            "  - {key: a, text: Hi., buttons: [[{text: Yes, action: pledgenext}]]}\n",
            ("button_does_nothing", "a", "error"),
        ),
    ],
)  # fmt: skip
def test_a_seeded_fault_is_found(head: str, steps: str, expected: tuple[str, str, str]) -> None:
    """Each alone, with its step, and nothing else is said."""
    assert found(steps, head) == [expected]


@pytest.mark.parametrize(
    ("head", "steps"),
    [
        (TRIGGER, ONE),
        (
            "triggers: [{fact: late, course: c@x}, {fact: late, times: 2},"
            " {fact: late, times: any}]\n",
            ONE,
        ),
        (TRIGGER, "  - {key: a, text: \"At {{ next_session_time | default: 'noon' }}.\"}\n"),
        (TRIGGER, "  - {key: a, when: has_next_session, text: 'At {{ next_session_time }}.'}\n"),
        (
            TRIGGER,
            "  - {key: a, wait: {before_next_session: 2h}, text: 'At {{ next_session_time }}.'}\n",
        ),
        (TRIGGER, "  - {key: s, kind: split, when: replied, arms: {a: 1, b: 1}}\n" + ONE
         + "  - {key: b, text: B.}\n"),
        (TRIGGER, ONE + "  - {key: e, kind: exit, when: replied}\n  - {key: b, text: B.}\n"),
        (TRIGGER, ONE + "  - {key: e, kind: exit, enabled: false}\n  - {key: b, text: B.}\n"),
        (TRIGGER + 'window: {opens: "09:00", closes: "09:00"}\n',
         "  - {key: a, wait: {at: '09:00', plus_days: 1}, text: Hi.}\n"),
        (TRIGGER + 'window: {opens: "09:00", closes: "20:00"}\n',
         "  - {key: a, wait: {at: '09:00', plus_days: 1}, text: Hi.}\n"),
        (TRIGGER + "cap: {per_day: 1, then: defer}\n",
         ONE + "  - {key: b, wait: {after: 2h}, text: Bye.}\n"),
        (TRIGGER, "  - {key: t, kind: tag, add: x}\n  - {key: a, when: 'tag:x', text: Hi.}\n"),
        (TRIGGER, "  - {key: a, when: {any: ["
         + ", ".join(f"'tag:t{n}'" for n in range(0)) + "replied]}, text: Hi.}\n"),
        (ABSENCE, f"  - {{key: a, {DISPUTE}, text: Hi.}}\n"),
    ],
)  # fmt: skip
def test_what_is_well_meant_is_left_alone(head: str, steps: str) -> None:
    """No finding where there is a good reason for it."""
    assert found(steps, head) == []


def test_a_condition_of_many_questions_is_not_judged() -> None:
    """Eleven questions have two thousand answers."""
    tags = ", ".join(f"'tag:t{number}'" for number in range(11))
    steps = f"  - {{key: a, when: {{all: [{tags}, {{not: 'tag:t0'}}]}}, text: Hi.}}\n"
    assert {code for code, _, _ in found(steps)} == {"tag_from_elsewhere"}


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.stem)
def test_the_bundled_sequences_are_clean(path: Path) -> None:
    """Neither error nor warning, in all of their languages."""
    assert lint(sequence_files.read(path.read_text(encoding="utf-8"))) == []


def test_every_finding_says_what_to_do_in_a_sentence() -> None:
    """For people."""
    spec = sequence_files.read(f"sequence: s\n{TRIGGER}holdout: 100\nsteps:\n{ONE}")
    (finding,) = lint(spec)
    assert finding.severity is Severity.ERROR
    assert finding.message.endswith(".")


def test_every_code_is_in_the_manual() -> None:
    """docs/sequences.md says what each finding means."""
    source = (BUNDLED[0].parents[1] / "domain" / "lint.py").read_text(encoding="utf-8")
    manual = (BUNDLED[0].parents[2] / "docs" / "sequences.md").read_text(encoding="utf-8")
    codes = set(re.findall(r'_(?:error|warning)\(\s*"(\w+)"', source))
    assert len(codes) >= 20
    assert {code for code in codes if f"`{code}`" not in manual} == set()


def test_the_ways_of_a_branch_are_not_counted_together() -> None:
    """N19: each learner hears one of them, so that a cap of one a day drops neither."""
    ways = (
        "  - {key: q, kind: branch, when: replied, then: yes-way, else: no-way}\n"
        "  - {key: yes-way, text: Good.}\n"
        "  - {key: over, kind: exit, reason: answered}\n"
        "  - {key: no-way, text: Well.}\n"
    )
    assert found(ways, TRIGGER + "cap: {per_day: 1}\n") == []
