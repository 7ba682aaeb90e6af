"""A sequence that only pretends: real facts, real decisions, no call (P24)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection

from attendance.models import AttendanceEvent, ClassSession, Course, Outcome
from delivery import queries
from delivery import services as delivery
from delivery.models import Attempt, Delivery, Gate
from nurture import flags, services
from nurture.domain.sequence import InFlight, Mode
from nurture.models import ContactTag, Decision, DryRunVerdict, Journey, Sequence, StaffTask
from nurture.services import dry_runs
from nurture.services.conversation import status
from nurture.services.simulation.forecasting import copy_present
from nurture.services.simulation.run import play
from nurture.services.simulation.shadow import shadowed
from tests.factories import nurture as make

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
#: Something of everything: hours, a cap that bites, tags, a branch, an exit rule, a hand-over.
EVERYTHING = """\
sequence: missed-class
name: We missed you
entry: {key: session, again: after 3d, open: 1}
window: {opens: "09:00", closes: "20:00"}
cap: {per_day: 1, then: defer}
triggers:
  - {fact: missed}
exit_when: [attended]
steps:
  - {key: hello, text: "Hi {{ first_name }}."}
  - {key: mark, kind: tag, add: told}
  - {key: soon, wait: {after: 1h}, text: Soon., expires: 3d}
  - {key: gap, text: "{{ next_session_url }}"}
  - {key: ask, kind: branch, when: "tag:told", then: yes-told, else: not-told}
  - {key: not-told, text: Never.}
  - {key: yes-told, wait: {at: "10:00", plus_days: 2}, when: "tag:told", text: Told.}
  - {key: person, kind: handover, to: tutor, note: Call.}
  - {key: next, wait: {before_next_session: 2h, if_past: skip}, text: Soon a class.}
"""
PRETENDS = make.PLAIN.replace("entry:", "mode: dry_run\nentry:")
TWO = PRETENDS + "  - {key: later, wait: {after: 2d}, text: Still there?}\n"


@pytest.fixture(autouse=True)
def _on() -> None:
    flags.set_nurture(percent=100)


def pretended() -> Delivery:
    """One message that a dry run would have sent."""
    make.make_sequence(PRETENDS)
    make.make_fact()
    services.tick(now=make.NOW)
    [row] = Delivery.objects.all()
    assert (row.status, row.reason) == ("skipped", "dry_run")
    return row


def log() -> list[tuple[Any, ...]]:
    """Every decision: of whom, when, what, and from what."""
    rows = Decision.objects.order_by("learner_id", "decided_at", "id")
    return [
        (row.learner_id, row.decided_at, row.step_key, row.code, json.dumps(row.inputs))
        for row in rows
    ]


def said() -> list[tuple[Any, ...]]:
    """Every message: to whom, when it went or would have, its text, its end."""
    rows = Delivery.objects.order_by("chat_id", "settled_at", "id")
    ends = {"dry_run": "sent"}
    return [
        (row.chat_id, row.settled_at, row.text, ends.get(row.reason, row.reason) or row.status)
        for row in rows
    ]


def a_school() -> None:
    """Nine learners in three zones miss a class; some attend the next, some miss it, too."""
    course = make.make_course()
    first = make.make_session(course=course)
    second = make.make_session(course=course, starts_at=make.CLASS_STARTS + 2 * DAY)
    make.make_session(course=course, starts_at=make.CLASS_STARTS + 8 * DAY)
    for number in range(9):
        zone = ("Europe/Berlin", "America/New_York", "Asia/Kolkata")[number % 3]
        quiet: dict[str, Any] = (
            {"quiet_opens": "08:00", "quiet_closes": "11:00"} if number % 2 else {}
        )
        contact = make.make_contact(time_zone=zone, **quiet)
        make.make_fact(contact=contact, session=first)
        make.make_fact("attended" if number % 4 == 0 else "missed", contact=contact, session=second)


def live_through() -> None:
    """Twelve days, each fact at its moment."""
    moments = sorted(set(AttendanceEvent.objects.values_list("recorded_at", flat=True)))
    kept = list(AttendanceEvent.objects.all())
    AttendanceEvent.objects.all().delete()

    def happen(now: Any) -> None:
        due = [row for row in kept if row.recorded_at == now]
        AttendanceEvent.objects.bulk_create(due)

    play(since=make.NOW - DAY, until=make.NOW + 12 * DAY, moments=moments, happen=happen)


def test_it_decides_what_it_would_decide_live() -> None:
    """The same log on the same days, the same words at the same moments, and not one try."""
    make.make_sequence(EVERYTHING)
    a_school()
    with shadowed() as shadow:
        copy_present(shadow, learner_ids=None)
        live_through()
        live, heard = log(), said()
        assert StaffTask.objects.filter(kind="handover").exists()
    Sequence.objects.update(mode=Mode.DRY_RUN)

    with shadowed() as shadow:  # for its clock; the rows are those of production
        copy_present(shadow, learner_ids=None)
        live_through()
        dry, would = log(), said()
        ends = set(Delivery.objects.values_list("status", flat=True))
        assert not StaffTask.objects.exists()
        assert not ContactTag.objects.exists()
        assert not Attempt.objects.exists()

    assert dry == live
    assert would == heard
    assert "sent" not in ends
    assert len(heard) > 20
    assert {code for *_, code, _ in live} >= {
        "tagged", "branch_taken", "handed_over", "variable_missing", "exit_fact",
    }  # fmt: skip


def test_nothing_of_it_is_ever_claimed_even_if_somebody_opens_its_gate() -> None:
    make.make_sequence(PRETENDS)
    make.make_fact()
    services.process_events(now=make.NOW)
    [row] = Delivery.objects.all()
    assert row.status == "pending"

    assert not delivery.open_gate(key=row.stream_id, by="boss")
    assert Gate.objects.get(key=row.stream_id).closed_until.year > 2900
    Gate.objects.update(closed_until="2000-01-01T00:00:00Z")  # somebody with SQL
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE nurture_deliveries SET status = 'leased', fence = 1,"
            " lease_until = clock_timestamp() + interval '1 h'"
        )
        intents = [{"id": row.pk, "fence": 1}]
        cursor.execute(*queries.commit(results=(), intents=intents, lease=DAY))
        names = [column.name for column in cursor.description or ()]
        looked = dict(zip(names, cursor.fetchone(), strict=True))
    assert looked["verdict"] == "gate"


def test_it_goes_through_its_steps_and_counts_nowhere() -> None:
    """Not in what the learner is told, not in what they may enter once it is live."""
    sequence = make.make_sequence(TWO.replace("again: every key", "again: never"))
    contact = make.make_contact()
    make.make_fact(contact=contact)
    services.tick(now=make.NOW)
    journey = Journey.objects.get()
    assert (journey.dry_run, journey.step_key) == (True, "later")
    assert contact.chat is not None
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('telbot.now', %s, true)", [str(make.NOW)])
    assert status(contact=contact, chat=contact.chat, now=make.NOW).planned == 0

    services.set_mode(sequence=sequence, mode=Mode.LIVE, now=make.NOW)
    journey.refresh_from_db()
    assert journey.exit_reason == "sequence_stopped"
    make.make_fact(contact=contact)
    services.tick(now=make.NOW)
    real = Journey.objects.get(dry_run=False)
    assert (real.round, real.status) == (1, "active")


def test_what_staff_held_waits_in_a_dry_run_too() -> None:
    make.make_sequence(PRETENDS)
    flags.set_stream(slug="missed-class", on=False, by="boss")
    make.make_fact()
    services.tick(now=make.NOW)
    assert Delivery.objects.get().status == "pending"
    assert not services.has_work(now=make.NOW)
    flags.set_stream(slug="missed-class", on=True, by="boss")
    assert services.has_work(now=make.NOW)
    services.tick(now=make.NOW)
    assert Delivery.objects.get().reason == "dry_run"


def test_a_message_is_released_once_and_asked_what_any_message_is_asked() -> None:
    row, boss = pretended(), User.objects.create_user("boss")
    assert dry_runs.release(delivery_ids=[row.pk], by=boss, now=make.NOW) == 1
    assert dry_runs.release(delivery_ids=[row.pk], by=boss, now=make.NOW) == 0
    assert dry_runs.discard(delivery_ids=[row.pk], by=boss, now=make.NOW) == 0

    owed = Delivery.objects.get(status="pending")
    assert (owed.text, owed.stream_id, owed.is_test) == (row.text, "stream:missed-class", False)
    assert DryRunVerdict.objects.get().released_as == owed
    assert Decision.objects.get(code="released").delivery == owed


def test_what_turned_out_wrong_or_old_is_not_released() -> None:
    row = pretended()
    Delivery.objects.filter(pk=row.pk).update(expires_at=make.NOW + DAY)
    late = make.NOW + 2 * DAY
    [(_, why)] = dry_runs.sort_out(delivery_ids=[row.pk], now=late)[1]
    assert "useless" in why
    Outcome.objects.update(is_current=False)
    [(_, why)] = dry_runs.sort_out(delivery_ids=[row.pk], now=make.NOW)[1]
    assert "not to be true" in why
    assert dry_runs.release(delivery_ids=[row.pk], by=None, now=make.NOW) == 0


def test_what_was_released_is_withdrawn_when_its_fact_is_corrected() -> None:
    row = pretended()
    dry_runs.release(delivery_ids=[row.pk], by=None, now=make.NOW)
    fact = AttendanceEvent.objects.get()
    make.make_fact("corrected", session=fact.session, learner=fact.learner)
    services.tick(now=make.NOW)
    assert Delivery.objects.get(dedupe_key=f"released:{row.pk}").reason == "corrected"
    assert list(StaffTask.objects.values_list("kind", "note")) == []  # nobody was told


def test_a_message_is_discarded_once() -> None:
    row = pretended()
    assert dry_runs.discard(delivery_ids=[row.pk], by=None, now=make.NOW) == 1
    assert dry_runs.discard(delivery_ids=[row.pk], by=None, now=make.NOW) == 0
    [(_, why)] = dry_runs.sort_out(delivery_ids=[row.pk], now=make.NOW)[1]
    assert "already" in why


def test_a_new_version_moves_whoever_is_inside_a_dry_run() -> None:
    sequence = make.make_sequence(TWO)
    make.make_fact()
    services.tick(now=make.NOW)
    services.import_sequence(source=TWO.replace("Still", "Are you still"), now=make.NOW)
    services.publish(sequence=sequence, now=make.NOW, in_flight=InFlight.MOVE)
    assert Journey.objects.get(status="active").version.number == 2
    assert Delivery.objects.get(status="pending").text == "Are you still there?"


def test_explain_says_that_it_was_only_pretended(capsys: pytest.CaptureFixture[str]) -> None:
    row = pretended()
    email = Journey.objects.get().learner.email
    assert row.pk
    call_command("explain", email, "missed-class", "--json")
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (found["verdict"], found["rule"]) == ("dry_run", "sequence_live")


def test_what_is_released_is_true_now_and_goes_out_in_the_hours_of_now() -> None:
    """Between pretending and releasing, a class may move and a zone may change."""
    text = "Next: {{ next_session_time }}."
    make.make_sequence(PRETENDS.split("    text:")[0] + f'    text: "{text}"\n' + make.WINDOW)
    course = make.make_course()
    coming = make.make_session(course=course, starts_at=make.NOW + 3 * DAY, status="scheduled")
    for _ in range(2):
        make.make_fact(session=make.make_session(course=course))
    for now in (make.NOW, make.NOW + DAY / 2):
        connection.cursor().execute(queries.SIMULATE, {"at": now.isoformat()})
        services.tick(now=now)
    one, two = Delivery.objects.order_by("pk")
    assert one.reason == two.reason == "dry_run"

    Course.objects.update(time_zone="Etc/GMT")  # the same words, another clock
    assert dry_runs.release(delivery_ids=[one.pk], by=None, now=make.NOW + DAY / 2) == 1
    assert Delivery.objects.get(dedupe_key=f"released:{one.pk}").window_zone == "Etc/GMT"
    ClassSession.objects.filter(pk=coming.pk).update(starts_at=coming.starts_at - DAY / 24)
    _, [(_, why)] = dry_runs.sort_out(delivery_ids=[two.pk], now=make.NOW + DAY / 2)
    assert why == "What it says of the next class is not so any more."
