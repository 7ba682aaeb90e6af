"""One learner through one version with a moved clock: when, by which answers, in which words."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from attendance.models import ClassSession, Learner
from delivery import services as delivery
from delivery.models import Attempt, Consent, Delivery, InboundUpdate
from nurture.domain.timing import Clocks, Shut
from nurture.models import Contact, Decision, Journey, SequenceVersion
from nurture.services import sequences
from nurture.services.simulation import (
    Answer,
    AnswerKind,
    NextClass,
    NotSimulatedError,
    Persona,
    Walk,
    walk,
)
from tests.factories import nurture as make

pytestmark = pytest.mark.django_db
BERLIN = ZoneInfo("Europe/Berlin")
ANN = Persona(name="Ann Berg", zone="Europe/Berlin")
HOUR = timedelta(hours=1)
#: Monday evening in Berlin.
MONDAY = datetime(2026, 3, 2, 22, 40, tzinfo=BERLIN).astimezone(UTC)
TALE = (
    make.PLAIN
    + """\
  - {key: later, wait: {after: 2d}, text: Come back., buttons: [[{text: Me, action: dispute}]]}
  - {key: fork, kind: branch, when: replied, then: thanks, else: bye}
  - {key: thanks, wait: {after: 1h}, text: Thank you., when: {not: pledged_next}}
  - {key: end, kind: exit, reason: thanked}
  - {key: bye, wait: {at: "10:30", plus_days: 1}, text: Bye.}
"""
)
TALE += make.WINDOW


def draft(source: str = TALE) -> SequenceVersion:
    """A draft; what is not published can be walked through, too."""
    return sequences.import_sequence(source=source, now=make.CLASS_STARTS).version


def messages(found: Walk) -> list[tuple[str, str]]:
    """Each step that was sent, and when on the learner's clock."""
    return [
        (line.step_key, f"{line.sent_at.astimezone(found.zone):%a %d %b %H:%M}")
        for line in found.lines
        if line.sent_at
    ]


def test_ann_in_berlin_hears_on_tuesday_at_nine() -> None:
    """P23: local times, and why the first message waits; nothing is written."""
    version = draft()
    before = [row.objects.count() for row in (Journey, Delivery, Attempt, Decision, Learner)]

    found = walk(version=version, whom=ANN, start=MONDAY)

    assert messages(found) == [
        ("hello", "Tue 03 Mar 09:00"), ("later", "Thu 05 Mar 09:00"), ("bye", "Fri 06 Mar 10:30"),
    ]  # fmt: skip
    hello = next(line for line in found.lines if line.step_key == "hello")
    assert hello.text == "Hi Ann, we missed you in Spanish A1."
    assert hello.timing is not None
    assert (hello.timing.due, hello.timing.shut) == (MONDAY, Shut.WINDOW)
    assert [line.buttons for line in found.lines if line.step_key == "later"] == [[["Me"]]]
    assert found.entered
    after = [row.objects.count() for row in (Journey, Delivery, Attempt, Decision, Learner)]
    assert after == before


def test_an_answer_changes_what_follows_and_the_inputs_say_so() -> None:
    """P23: the branch's inputs at its moment."""
    version, noon = draft(), datetime(2026, 3, 3, 12, tzinfo=BERLIN).astimezone(UTC)

    found = walk(
        version=version, whom=ANN, start=MONDAY,
        answers=[Answer(kind=AnswerKind.REPLIED, at=noon)],
    )  # fmt: skip

    assert messages(found)[2:] == [("thanks", "Thu 05 Mar 10:00")]
    fork = next(line for line in found.lines if line.code == "branch_taken")
    assert fork.inputs == {"to": "thanks", "replied": True}
    thanks = next(line for line in found.lines if line.step_key == "thanks")
    assert thanks.inputs["pledged_next"] is False
    assert found.lines[-1].code == "sequence_exit"


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (AnswerKind.STOPPED, "opted_out"), (AnswerKind.DISPUTED, "disputed"),
        (AnswerKind.BLOCKED, "unreachable"),
    ],
)  # fmt: skip
def test_an_answer_may_end_it(kind: AnswerKind, said: str) -> None:
    noon = datetime(2026, 3, 3, 12, tzinfo=BERLIN).astimezone(UTC)
    found = walk(
        version=draft(), whom=ANN, start=MONDAY, answers=[Answer(kind=kind, at=noon)]
    )  # fmt: skip

    assert [step for step, _ in messages(found)] == ["hello"]
    assert said in {line.code for line in found.lines}


def test_who_comes_to_the_next_class_leaves_by_the_rules_of_the_sequence() -> None:
    """The next class of somebody made up is a week later, at the same local time."""
    source = TALE.replace("steps:", "exit_when: [attended]\nsteps:").replace("2d", "8d")
    found = walk(version=draft(source), whom=ANN, start=MONDAY, next_class=NextClass.ATTENDS)

    assert [step for step, _ in messages(found)] == ["hello"]
    assert found.lines[-1].code == "exit_fact"
    assert found.next_class is not None
    assert f"{found.next_class.astimezone(BERLIN):%a %H:%M}" == "Mon 18:40"


def test_who_misses_the_next_class_too_starts_another_run() -> None:
    each_time = make.PLAIN.replace("{fact: missed}", "{fact: missed, times: any}")
    found = walk(version=draft(each_time), whom=ANN, start=MONDAY, next_class=NextClass.MISSES)

    assert [line.run for line in found.lines if line.code == "entered"] == [1, 2]
    assert messages(found) == [("hello", "Mon 02 Mar 22:40"), ("hello", "Mon 09 Mar 22:40")]


def test_a_message_in_the_gap_of_a_clock_change_goes_after_it() -> None:
    """P23: Sunday 29 March has no 02:30 in Berlin."""
    source = make.PLAIN + '  - {key: early, wait: {at: "02:30", plus_days: 1}, text: Early.}\n'
    saturday = datetime(2026, 3, 28, 12, tzinfo=BERLIN).astimezone(UTC)

    found = walk(version=draft(source), whom=ANN, start=saturday)

    assert messages(found)[1] == ("early", "Sun 29 Mar 03:00")
    early = found.lines[-2]
    assert early.timing is not None
    assert early.timing.clocks is Clocks.GAP


def test_a_streak_is_given_as_long_as_the_trigger_asks() -> None:
    source = make.PLAIN.replace("{fact: missed}", "{fact: missed, times: 3}")
    assert walk(version=draft(source), whom=ANN, start=MONDAY).entered


@pytest.mark.parametrize(
    "fact", ["attended", "late", "left_early", "partial", "missed_pledged", "first_attended",
             "returned"],
)  # fmt: skip
def test_every_fact_can_start_it(fact: str) -> None:
    assert walk(
        version=draft(make.PLAIN.replace("missed}", f"{fact}}}")), whom=ANN, start=MONDAY
    ).entered


def test_quiet_hours_and_language_of_somebody_made_up_count() -> None:
    source = make.PLAIN.replace("steps:", "languages: {es: {hello: Hola.}}\nsteps:")
    eva = Persona(
        name="Eva", zone="America/Lima", language="es", quiet=(time(12), time(18, 30))
    )  # fmt: skip

    found = walk(version=draft(source), whom=eva, start=MONDAY)

    assert messages(found) == [("hello", "Mon 02 Mar 18:30")]
    hello = next(line for line in found.lines if line.step_key == "hello")
    assert hello.text == "Hola."
    assert hello.timing is not None
    assert hello.timing.shut is Shut.QUIET


def test_a_real_learner_is_taken_with_chat_consent_and_calendar() -> None:
    """P23: their own course and next class; what they have walked through before is left out."""
    source = make.PLAIN + (
        "  - {key: remind, wait: {before_next_session: 2h}, text: Soon., when: has_next_session}\n"
    )
    version = draft(source)
    rosa = make.make_contact(time_zone="Europe/Berlin")
    fact = make.make_fact(contact=rosa)
    other = make.make_contact()
    ahead = make.CLASS_STARTS + timedelta(days=3)
    make.make_session(course=fact.session.course, starts_at=ahead)
    ClassSession.objects.filter(starts_at=ahead).update(status="scheduled")

    found = walk(version=version, whom=rosa.learner, start=make.NOW)

    assert messages(found) == [("hello", "Tue 03 Mar 22:00"), ("remind", "Fri 06 Mar 16:00")]
    assert found.next_class == ahead
    assert rosa.chat is not None
    delivery.set_consent(chat=rosa.chat, category="", granted=False, source="stop", now=make.NOW)
    refused = walk(version=version, whom=rosa.learner, start=make.NOW)
    assert not refused.entered
    assert [line.code for line in refused.lines] == ["opted_out"]
    assert Contact.objects.count() == 2
    assert Consent.objects.filter(chat=other.chat, granted=True).exists()
    assert not InboundUpdate.objects.exists()


def test_the_next_class_of_somebody_made_up_is_announced() -> None:
    """It has a link, for a class without one is not."""
    source = make.PLAIN + (
        "  - {key: remind, wait: {before_next_session: 2h}, text: '{{ next_session_url }}'}\n"
    )
    found = walk(version=draft(source), whom=ANN, start=MONDAY)

    assert messages(found)[1] == ("remind", "Mon 09 Mar 16:40")
    assert [line.text for line in found.lines if line.step_key == "remind"] == [
        "https://meet.google.com/abc-defg-hij"
    ]


def test_another_trigger_may_be_what_starts_it() -> None:
    source = make.PLAIN.replace("  - {fact: missed}\n", "  - {fact: missed}\n  - {fact: late}\n")
    version = draft(source)

    for position, fact in enumerate(("missed", "late")):
        found = walk(version=version, whom=ANN, start=MONDAY, trigger=position)
        assert found.lines[0].inputs["fact"] == fact


def test_a_version_that_nothing_starts_is_refused() -> None:
    version = draft()
    version.triggers.all().delete()
    with pytest.raises(NotSimulatedError, match="no trigger"):
        walk(version=version, whom=ANN, start=MONDAY)
