"""A version over recorded attendance: who would have heard what, as it was known then."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from attendance.models import AttendanceEvent, Learner, Outcome
from delivery.models import Attempt, Delivery
from nurture.models import Contact, Decision, Journey, Sequence
from nurture.services import sequences
from nurture.services.simulation import NotSimulatedError, backtest, compare
from nurture.services.simulation.shadow import LiveRowsTouchedError, shadowed
from tests.factories import nurture as make

pytestmark = pytest.mark.django_db

SINCE, UNTIL = make.CLASS_STARTS - timedelta(days=1), make.CLASS_STARTS + timedelta(days=7)
TWO = make.PLAIN + "  - {key: later, wait: {after: 2d}, text: Come back.}\n"


def messages(found: Any) -> list[tuple[str, str, str]]:
    """Who got which step, and when on their clock."""
    return [
        (line["email"], message["step"], message["local"])
        for line in found.learners
        for message in line["messages"]
        if message["status"] == "sent"
    ]


def counts() -> tuple[int, ...]:
    """How many rows there are of what the engine writes."""
    return tuple(model.objects.count() for model in (Journey, Delivery, Attempt, Decision))


def test_each_step_is_said_at_its_time_and_nothing_is_written() -> None:
    """N01: the facts that were recorded lead to journeys, steps and texts, in copies only."""
    make.make_sequence(TWO)
    rosa = make.make_contact(time_zone="Europe/Berlin")
    fact = make.make_fact(contact=rosa)
    before = counts()

    found = backtest(slug="missed-class", since=SINCE, until=UNTIL)

    assert messages(found) == [
        (rosa.learner.email, "hello", "Tue 03 Mar 2026 22:00 CET"),
        (rosa.learner.email, "later", "Thu 05 Mar 2026 22:00 CET"),
    ]
    assert found.totals["messages"] == {"sent": 2}
    assert (found.totals["facts"], found.totals["journeys"]) == (1, 1)
    assert counts() == before
    fact.refresh_from_db()
    assert fact.processed_at is None


def test_two_runs_say_the_same() -> None:
    """N01: the digest speaks of decisions, not of row numbers or clocks."""
    make.make_sequence(TWO)
    for _ in range(5):
        make.make_fact()
    first, second = (backtest(slug="missed-class", since=SINCE, until=UNTIL) for _ in range(2))
    assert first.digest == second.digest
    assert first.learners == second.learners


def test_what_was_recorded_late_is_not_known_before() -> None:
    """N02: a fact that came three hours later is invisible until then, and counts afterwards."""
    waits = make.PLAIN.replace("steps:", "exit_when: [attended]\nsteps:") + (
        "  - {key: later, wait: {after: 1h}, text: Come back.}\n"
    )
    make.make_sequence(waits)
    rosa = make.make_contact()
    missed = make.make_fact(contact=rosa)
    tomorrow = make.make_session(
        course=missed.session.course, starts_at=missed.session.starts_at + timedelta(hours=2)
    )
    late = missed.recorded_at + timedelta(hours=3)
    make.make_fact("attended", contact=rosa, session=tomorrow, recorded_at=late)

    found = backtest(slug="missed-class", since=SINCE, until=UNTIL)
    assert [step for _, step, _ in messages(found)] == ["hello", "later"]

    AttendanceEvent.objects.filter(kind="attended").update(
        recorded_at=missed.recorded_at + timedelta(minutes=30)
    )
    found = backtest(slug="missed-class", since=SINCE, until=UNTIL)
    assert [step for _, step, _ in messages(found)] == ["hello"]


def test_a_streak_counts_what_was_known_then() -> None:
    """N02: the second absence in a row is one only where the first was known by then."""
    make.make_sequence(make.PLAIN.replace("{fact: missed}", "{fact: missed, times: 2}"))
    rosa, course = make.make_contact(), make.make_course()
    first = make.make_session(course=course)
    second = make.make_session(course=course, starts_at=make.CLASS_STARTS + timedelta(days=1))
    make.make_fact(contact=rosa, session=first)
    make.make_fact(contact=rosa, session=second)
    known = Outcome.objects.filter(session=first)

    assert len(messages(backtest(slug="missed-class", since=SINCE, until=UNTIL))) == 1
    known.update(decided_at=second.ends_at + timedelta(hours=30))
    assert messages(backtest(slug="missed-class", since=SINCE, until=UNTIL)) == []


def test_classes_that_were_read_long_afterwards_are_replayed_as_if_in_time() -> None:
    """An imported history made no facts; a backtest over it would say nothing otherwise."""
    make.make_sequence()
    fact = make.make_fact()
    late = fact.session.ends_at + timedelta(days=60)
    Outcome.objects.update(decided_at=late, effective_at=late)
    fact.delete()

    found = backtest(slug="missed-class", since=SINCE, until=UNTIL)

    assert found.totals["reconstructed"] == 1
    assert [line for _, _, line in messages(found)] == ["Tue 03 Mar 2026 21:00 UTC"]


def test_what_was_pending_when_it_was_read_long_afterwards_had_no_effect() -> None:
    """A first reading that broke off leaves a pending revision; the one that stands counts."""
    make.make_sequence()
    fact = make.make_fact()
    late = fact.session.ends_at + timedelta(days=60)
    fact.delete()
    known = Outcome.objects.get()
    Outcome.objects.update(revision=2, decided_at=late, effective_at=late)
    known.pk, known.outcome, known.reason = None, "pending", "sync_incomplete"
    known.effective, known.effective_at, known.is_current = False, None, False
    known.decided_at = late - timedelta(minutes=1)
    known.save(force_insert=True)

    found = backtest(slug="missed-class", since=SINCE, until=UNTIL)

    assert found.totals["reconstructed"] == 1
    assert [line for _, _, line in messages(found)] == ["Tue 03 Mar 2026 21:00 UTC"]


def test_two_versions_are_compared() -> None:
    """N01: whom the draft gains, loses, and treats otherwise."""
    sequence = make.make_sequence()
    one, two = make.make_contact(), make.make_contact()
    make.make_fact(contact=one)
    make.make_fact("late", contact=two)
    draft = make.PLAIN.replace("{fact: missed}", "{fact: late}")
    sequences.import_sequence(source=draft, now=make.CLASS_STARTS)

    before = backtest(slug=sequence.slug, since=SINCE, until=UNTIL, version=1)
    after = backtest(slug=sequence.slug, since=SINCE, until=UNTIL, version=2)

    assert compare(before, after) == {
        "gained": [two.learner.email],
        "lost": [one.learner.email],
        "moved": [],
    }


def test_the_command_tells_people_and_programs() -> None:
    """`simulate SEQUENCE --since --until --version --against`."""
    make.make_sequence(TWO)
    rosa = make.make_contact()
    make.make_fact(contact=rosa)
    out = StringIO()

    call_command(
        "simulate", "missed-class", "--since", SINCE.isoformat(), "--until", UNTIL.isoformat(),
        "--version", "1", "--against", "1", "--json", stdout=out,
    )  # fmt: skip

    *lines, last = out.getvalue().splitlines()
    report = json.loads(last)
    assert lines[0].startswith(f"{rosa.learner.email}: Tue 03 Mar 2026 21:00 UTC  hello")
    assert report["difference"] == {"gained": [], "lost": [], "moved": []}
    assert len(report["digest"]) == 64


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "there is no sequence 'nothing'"),
        (["missed-class", "--version", "7"], "missed-class has no version 7"),
        (["missed-class", "--until", "2020-01-01T00:00Z"], "the period ends before it begins"),
        (["missed-class", "--until", "2026-01-01"], "say the zone too"),
        (["missed-class", "--until", "soon"], "is no ISO date"),
    ],
)
def test_what_cannot_be_simulated_is_said(arguments: list[str], said: str) -> None:
    """Clear words, and nothing done."""
    make.make_sequence()
    given = [*arguments, "--since", SINCE.isoformat()]
    if "--until" not in arguments:
        given += ["--until", UNTIL.isoformat()]
    with pytest.raises(CommandError, match=said):
        call_command("simulate", *given)


def test_a_simulation_that_wrote_a_live_table_is_undone_and_refused() -> None:
    """The guard is real: a statement that names the live table is found."""
    make.make_sequence()

    def rename() -> None:
        with shadowed() as shadow, connection.cursor() as cursor:
            cursor.execute(f"UPDATE {shadow.of_live(Sequence)} SET name = 'changed'")

    with pytest.raises(LiveRowsTouchedError):
        rename()
    assert Sequence.objects.get().name == "We missed you"


@pytest.mark.django_db(transaction=True)
def test_a_simulation_waits_for_no_live_row_and_makes_none_wait() -> None:
    """N01: somebody else holds every live row that the engine locks, and it runs all the same."""
    make.make_sequence(TWO)
    make.make_fact()
    known = connection.get_connection_params()
    names = ("dbname", "user", "password", "host", "port")
    with psycopg.connect(**{name: known[name] for name in names if name in known}) as other:
        for model in (Contact, Sequence, AttendanceEvent, Learner):
            other.execute(f"SELECT FROM {model._meta.db_table} FOR UPDATE")
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'")
        try:
            found = backtest(slug="missed-class", since=SINCE, until=UNTIL)
        finally:
            with connection.cursor() as cursor:
                cursor.execute("RESET lock_timeout")
    assert found.totals["messages"] == {"sent": 2}


def test_an_impossible_period_is_refused() -> None:
    """The service says so, too."""
    with pytest.raises(NotSimulatedError):
        backtest(slug="missed-class", since=UNTIL, until=SINCE)
