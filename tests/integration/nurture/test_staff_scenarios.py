"""Staff say what one learner must hear; the production engine plays it (N10)."""

from __future__ import annotations

from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from attendance.models import AttendanceEvent, Learner
from nurture import flags
from nurture.models import Contact, Journey, Scenario
from nurture.services import sequences
from nurture.services.scenarios import Played, play_scenario, play_scenarios
from tests.factories import nurture as make
from tests.factories.scenarios import given, make_scenario, sent, unsent

pytestmark = pytest.mark.django_db

SOURCE = """\
sequence: missed-class
name: We missed you
window: {opens: "09:00", closes: "20:00"}
triggers:
  - {fact: missed}
exit_when: [attended]
steps:
  - key: hello
    text: "Hi {{ first_name }}, we missed you."
    buttons: [[{text: I was there, action: dispute}], [{text: See you, action: pledge_next}]]
  - key: reminder
    wait: {before_next_session: 2h, if_past: skip}
    when: {not: pledged_next}
    text: "{{ next_session_title }} at {{ next_session_time }}."
  - {key: last, wait: {after: 3d}, text: Still there?}
"""
CLASSES = [
    given(1, "18:00", "class", "Lesson 4"),
    given(8, "18:00", "class", "Lesson 5"),
    given(1, "22:00", "missed"),
]
EVERYTHING = [sent("hello", 2, "09:00"), sent("reminder", 8, "16:00"), sent("last", 11, "16:00")]


def play(happens: list[dict[str, Any]], expects: list[dict[str, Any]], **overrides: Any) -> Played:
    """Play one scenario against what is published."""
    sequence = make.make_sequence(SOURCE)
    version = sequence.published_version
    assert version is not None
    return play_scenario(
        scenario=make_scenario(sequence, happens, expects, **overrides), version=version
    )


@pytest.mark.parametrize(
    ("more", "expects"),
    [
        pytest.param([], EVERYTHING, id="nothing more happens"),
        pytest.param(
            [given(3, "10:00", "presses", "pledge_next")],
            [
                sent("hello", 2, "09:00"),
                unsent("reminder", "condition_false"),
                sent("last", 5, "09:00"),
            ],
            id="she presses: see you",
        ),
        pytest.param(
            [given(2, "10:00", "presses", "dispute")],
            [sent("hello", 2, "09:00"), unsent("reminder"), unsent("last")],
            id="she presses: I was there",
        ),
        pytest.param(
            [given(3, "10:00", "comes")],
            [sent("hello", 2, "09:00"), unsent("reminder"), sent("last", 5, "09:00")],
            id="she says that she comes",
        ),
        pytest.param(
            [given(3, "10:00", "declines"), given(3, "10:01", "writes")],
            EVERYTHING,
            id="she says that she does not come",
        ),
        pytest.param(
            [given(2, "12:00", "stops")],
            [sent("hello", 2, "09:00"), unsent("reminder", "opted_out"), unsent("last")],
            id="she says stop",
        ),
        pytest.param(
            [given(8, "22:00", "attended")],
            [*EVERYTHING[:2], unsent("last", "exit_fact")],
            id="she comes to the next class",
        ),
    ],
)
def test_what_is_expected_comes(more: list[dict[str, Any]], expects: list[dict[str, Any]]) -> None:
    played = play([*CLASSES, *more], expects)
    assert [check.said for check in played.checks if not check.passed] == []
    assert len(played.checks) == len(expects)


def test_what_comes_otherwise_is_said_line_by_line() -> None:
    """The wrong hour, a message too many, and one that is called off for another reason."""
    played = play(
        CLASSES, [sent("hello", 1, "22:00"), unsent("reminder", "opted_out")],
    )  # fmt: skip
    assert not played.passed
    assert [check.said for check in played.checks] == [
        "hello was sent, day 2 (Tue 03 Mar) at 09:00; expected day 1 (Mon 02 Mar) at 22:00",
        "reminder was sent, day 8 (Mon 09 Mar) at 16:00, and should not be",
        "last was sent, day 11 (Thu 12 Mar) at 16:00; nobody expects it",
    ]
    assert played.said[0] == ("day 2 (Tue 03 Mar) at 09:00: hello", "Hi Rosa, we missed you.")


def test_a_scenario_leaves_nothing_behind_and_always_comes_out_alike() -> None:
    """Real learners, switches and holdouts change nothing, and nothing of it stays."""
    contact = make.make_contact()
    flags.set_nurture(percent=0)
    before = play(CLASSES, EVERYTHING)
    assert before.passed
    assert list(Contact.objects.all()) == [contact]
    assert Learner.objects.count() == 1
    assert not Journey.objects.exists()
    assert not AttendanceEvent.objects.exists()


def test_a_learner_elsewhere_with_quiet_hours() -> None:
    """Their own clock counts; a class that nobody planned is made up; the clock change is real."""
    played = play(
        [given(1, "23:00", "missed")],
        [sent("hello", 2, "10:30"), unsent("reminder", "no_next_session")],
        time_zone="America/New_York",
        quiet_opens="20:00",
        quiet_closes="10:30",
        first_day=date(2026, 3, 7),
        nothing_else=False,
    )
    assert [check.said for check in played.checks if not check.passed] == []


def test_a_scenario_without_sense_or_of_a_step_that_is_gone_fails() -> None:
    sequence = make.make_sequence(SOURCE)
    version = sequence.published_version
    assert version is not None
    empty = make_scenario(sequence, [], [])
    said = [check.said for check in play_scenario(scenario=empty, version=version).checks]
    assert len(said) == 2
    gone = make_scenario(sequence, CLASSES, [sent("old", 1, "10:00")], name="old")
    [check] = play_scenario(scenario=gone, version=version).checks
    assert check.said == "There is no step 'old' any more."


def test_scenarios_go_out_and_come_in_with_their_sequence() -> None:
    """Whoever moves a sequence to another installation takes along what it must do."""
    kept = make_scenario(make.make_sequence(SOURCE), CLASSES, EVERYTHING)
    said = kept.value
    exported = sequences.export(slug="missed-class")
    same = sequences.import_sequence(source=exported, now=make.NOW)
    elsewhere = exported.replace("sequence: missed-class", "sequence: elsewhere")

    made = sequences.import_sequence(source=elsewhere, now=make.NOW)

    assert (same.changed, same.scenarios) == (False, 0)
    assert (made.changed, made.scenarios) == (True, 1)
    (one,) = play_scenarios(version=made.version)
    assert one.scenario.value == said
    assert one.passed
    assert sequences.export(slug="elsewhere") == elsewhere
    assert sequences.import_sequence(source=SOURCE, now=make.NOW).scenarios == 0
    assert Scenario.objects.count() == 2  # a file without them leaves them alone


def test_a_file_changes_the_scenario_of_its_name_and_no_other(tmp_path: Path) -> None:
    sequence = make.make_sequence(SOURCE)
    make_scenario(sequence, CLASSES, EVERYTHING, name="Rosa")
    make_scenario(sequence, CLASSES, EVERYTHING, name="Ana")
    file = tmp_path / "s.yaml"
    file.write_text(sequences.export(slug="missed-class").replace("day: 11", "day: 12", 1))

    call_command("import_sequence", str(file), "--dry-run", stdout=StringIO())
    before = Scenario.objects.get(name="Ana").expected[2]["day"]
    with pytest.raises(CommandError, match="Ana: last was sent, day 11"):
        call_command("import_sequence", str(file), "--publish", stdout=StringIO())
    refused = Scenario.objects.get(name="Ana").expected[2]["day"]
    call_command("import_sequence", str(file), stdout=(out := StringIO()))

    assert (before, refused) == (11, 11)
    assert Scenario.objects.get(name="Ana").expected[2]["day"] == 12
    assert Scenario.objects.get(name="Rosa").expected[2]["day"] == 11
    assert "1 scenarios were written." in out.getvalue()
