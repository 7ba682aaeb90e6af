"""Why somebody did or did not hear something (P32), also for people without a journey."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from attendance.models import AttendanceEvent
from attendance.services import upsert_course
from delivery import services as delivery
from delivery.models import Delivery
from nurture import flags, services
from nurture.models import Contact, Journey, Sequence
from nurture.services.conversation import dispute, stop
from nurture.services.explain import Explanation, explain, explain_session
from tests.factories import nurture as make

pytestmark = pytest.mark.django_db

SLUG = "missed-class"
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _on() -> None:
    flags.set_nurture(percent=100)
    flags.set_attendance(on=True)


def ask(contact: Contact, *, later: timedelta = timedelta(0)) -> Explanation:
    """Ask about the sequence of these tests."""
    return explain(email=contact.learner.email, slug=SLUG, now=make.NOW + later)


def tick() -> None:
    """One pass at the moment of these tests."""
    services.tick(now=make.NOW)


def last_class(contact: Contact, source: str = make.PLAIN) -> AttendanceEvent:
    """A sequence, and a class that the learner missed."""
    make.make_sequence(source)
    return make.make_fact(contact=contact)


def _unlink(contact: Contact) -> None:
    Contact.objects.filter(pk=contact.pk).update(chat=None)


def _block(contact: Contact) -> None:
    assert contact.chat
    contact.chat.reachability = "blocked"
    contact.chat.save()


def _stop(contact: Contact) -> None:
    assert contact.chat
    stop(chat=contact.chat, now=make.NOW)


def _nurture_off(_: Contact) -> None:
    flags.set_nurture(percent=0)


def _stopped(_: Contact) -> None:
    Sequence.objects.update(mode="stopped")


def _dry_run(_: Contact) -> None:
    Sequence.objects.update(mode="dry_run")


@pytest.mark.parametrize("decided", [False, True], ids=["before the pass", "after it"])
@pytest.mark.parametrize(
    ("spoil", "verdict", "rule"),
    [
        pytest.param(_unlink, "not_linked", "contact_linked", id="not linked"),
        pytest.param(_block, "unreachable", "chat_reachable", id="blocked"),
        pytest.param(_stop, "opted_out", "consent", id="said stop"),
        pytest.param(_nurture_off, "nurture_off", "nurture_on", id="nurture off"),
        pytest.param(_stopped, "sequence_stopped", "sequence_live", id="sequence stopped"),
        pytest.param(_dry_run, "dry_run", "sequence_live", id="dry run"),
    ],
)
def test_what_stands_in_the_way(
    spoil: Callable[[Contact], None], verdict: str, rule: str, *, decided: bool
) -> None:
    """Judged beforehand or read from the record, the answer is one and the same."""
    contact = make.make_contact()
    last_class(contact)
    spoil(contact)
    if decided:
        tick()

    found = ask(contact)

    assert (found.verdict, found.rule) == (verdict, rule)
    assert {row["rule"]: row["passed"] for row in found.rules}[rule] is False


@pytest.mark.parametrize("decided", [False, True], ids=["before the pass", "after it"])
@pytest.mark.parametrize(
    ("old", "new", "verdict", "rule"),
    [
        ("{fact: missed}", "{fact: missed, course: other@x}", "wrong_course", "trigger_matched"),
        ("{fact: missed}", "{fact: missed, times: 2}", "times_not_reached", "trigger_matched"),
        ("name: We missed you", "name: x\nholdout: 100", "held_out", "not_held_out"),
    ],
)
def test_what_the_sequence_asks(
    old: str, new: str, verdict: str, rule: str, *, decided: bool
) -> None:
    """Course, number and comparison group."""
    contact = make.make_contact()
    last_class(contact, make.PLAIN.replace(old, new))
    if decided:
        tick()

    found = ask(contact)

    assert (found.verdict, found.rule) == (verdict, rule)


def test_nobody_knows_the_address_or_the_sequence() -> None:
    """Unknown people and sequences get an answer, too."""
    contact = make.make_contact()

    assert explain(email="nobody@example.org", slug=SLUG, now=make.NOW).verdict == "unknown_learner"
    assert ask(contact).verdict == "unknown_sequence"


def test_a_learner_without_contact() -> None:
    """Nobody can be written to."""
    contact = make.make_contact()
    last_class(contact)
    Contact.objects.filter(pk=contact.pk).delete()

    assert ask(contact).verdict == "no_contact"


def test_a_draft_is_not_published() -> None:
    """A sequence without a published version starts nothing."""
    contact = make.make_contact()
    services.import_sequence(source=make.PLAIN, now=make.CLASS_STARTS)
    make.make_fact(contact=contact)

    assert ask(contact).verdict == "not_published"


def test_a_fact_that_never_was_and_one_that_is_too_old() -> None:
    """No fact, no journey; an old one is left alone."""
    contact = make.make_contact()
    make.make_sequence()
    assert (ask(contact).verdict, ask(contact).rule) == ("no_such_fact", "fact_happened")

    make.make_fact(contact=contact)

    assert ask(contact).verdict == "would_enter"
    assert ask(contact, later=3 * DAY).verdict == "fact_expired"


def test_a_fact_that_was_answered_before_the_sequence_was_published_starts_nothing() -> None:
    """What was acted on is not acted on again: nobody would enter by it."""
    contact = make.make_contact()
    make.make_fact(contact=contact)
    tick()
    make.make_sequence(now=make.NOW)

    found = ask(contact)

    assert (found.verdict, found.rule) == ("fact_answered", "fact_unanswered")
    assert not Journey.objects.exists()


def test_a_fact_on_which_the_engine_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own fault is called so."""
    contact = make.make_contact()
    last_class(contact)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr("nurture.services.admission.start", fail)
    tick()

    assert ask(contact).verdict == "engine_error"


def test_cooling_down_says_until_when() -> None:
    """`after 7d` counts from the start of the run before."""
    contact, course = make.make_contact(), make.make_course()
    make.make_sequence(make.PLAIN.replace("again: every key", "again: after 7d"))
    before = make.make_session(course=course, starts_at=make.CLASS_STARTS - DAY)
    make.make_fact(contact=contact, session=before)
    services.tick(now=make.NOW - DAY)
    make.settle(Delivery.objects.get(), at=make.NOW - DAY)
    services.tick(now=make.NOW - DAY)
    other = make.make_session(starts_at=make.CLASS_STARTS)
    make.make_fact(contact=contact, session=other)
    tick()

    found = ask(contact)

    assert (found.verdict, found.rule) == ("cooling_down", "entry_allowed")
    assert found.changes_at == (make.NOW + 6 * DAY).isoformat()


def test_a_second_class_while_the_first_run_is_open() -> None:
    """The newest fact is asked about."""
    contact = make.make_contact()
    before = make.make_session(starts_at=make.CLASS_STARTS - DAY)
    make.make_fact(contact=contact, session=before)
    last_class(contact)
    tick()

    assert ask(contact).verdict == "already_open"


def test_two_facts_of_one_class_tell_of_the_one_run_they_began() -> None:
    """A pledge broken is also a class missed; the run is the answer, not the second refusal."""
    contact, held = make.make_contact(), make.make_session()
    make.make_sequence(
        make.PLAIN.replace("  - {fact: missed}", "  - {fact: missed_pledged}\n  - {fact: missed}")
    )
    make.make_fact("missed_pledged", contact=contact, session=held)
    make.make_fact("missed", contact=contact, session=held)
    tick()

    found = ask(contact)

    assert (found.verdict, found.rule) == ("pending", "delivery")


def test_a_message_on_its_way_names_its_hour() -> None:
    """Planned for the morning: the delivery decides, and says when that changes."""
    contact = make.make_contact()
    last_class(contact, make.PLAIN.replace("triggers:", f"{make.WINDOW}triggers:"))
    tick()

    found = ask(contact)

    assert (found.verdict, found.rule) == ("pending", "window")
    assert found.changes_at == Delivery.objects.get().due_at.isoformat()
    assert found.input["opens"] == "09:00:00"


def test_a_closed_gate_is_named() -> None:
    """A stream that staff hold back."""
    contact = make.make_contact()
    last_class(contact)
    tick()
    flags.set_stream(slug=SLUG, on=False, by="staff")

    found = ask(contact)

    assert (found.verdict, found.rule) == ("held_by_gate", "gate_open")


@pytest.mark.parametrize(
    ("status", "reason", "verdict", "rule"),
    [
        ("sent", "", "completed", "journey"),
        ("unknown", "no_answer", "completed", "journey"),
        ("failed", "chat_blocked", "unreachable", "journey"),
    ],
)
def test_a_journey_that_is_over(status: str, reason: str, verdict: str, rule: str) -> None:
    """How it ended is the answer; the message's own end is among the rules."""
    contact = make.make_contact()
    last_class(contact)
    tick()
    make.settle(Delivery.objects.get(), at=make.NOW, status=status, reason=reason)
    tick()

    found = ask(contact)

    assert found.verdict == verdict
    assert found.rule == rule
    assert {row["rule"]: row["input"] for row in found.rules}["delivery"]["status"] == status


def test_a_corrected_class() -> None:
    """The run was taken back."""
    contact = make.make_contact()
    fact = last_class(contact)
    tick()
    make.make_fact("corrected", contact=contact, session=fact.session, outcome=None)
    tick()

    found = ask(contact)

    assert (found.verdict, found.rule) == ("corrected", "journey")


def test_a_disputed_class() -> None:
    """The run is held until a person has looked."""
    contact = make.make_contact()
    last_class(contact)
    tick()
    dispute(journey=Journey.objects.get(), now=make.NOW)

    found = ask(contact)

    assert (found.verdict, found.rule) == ("paused", "journey")
    services.resume(journey=Journey.objects.get(), now=make.NOW)
    assert ask(contact).verdict == "pending"


def test_consent_withdrawn_in_one_category_stops_a_running_journey() -> None:
    """The first rule that says no decides, also about a journey under way."""
    contact = make.make_contact()
    last_class(contact, make.PLAIN.replace("name:", "category: attendance\nname:"))
    tick()
    assert contact.chat
    delivery.set_consent(
        chat=contact.chat, category="attendance", granted=False, source="staff", now=make.NOW
    )

    assert ask(contact).verdict == "opted_out"


def test_the_command_says_the_same() -> None:
    """One JSON object on the last line, with the rules in order."""
    contact = make.make_contact()
    last_class(contact)
    out = StringIO()

    at = make.NOW.isoformat()
    call_command("explain", contact.learner.email, SLUG, "--json", "--at", at, stdout=out)

    told = json.loads(out.getvalue().splitlines()[-1])
    assert set(told) == {"verdict", "rule", "input", "changes_at", "rules"}
    assert told["verdict"] == "would_enter"
    assert [row["rule"] for row in told["rules"]] == [
        "learner_known", "contact_linked", "chat_reachable", "consent", "nurture_on", "in_rollout",
        "sequence_live", "fact_happened", "fact_unanswered", "trigger_matched", "entry_allowed",
        "not_held_out",
    ]  # fmt: skip
    with pytest.raises(CommandError, match="Name a sequence"):
        call_command("explain", contact.learner.email)


def test_a_moment_may_be_named_in_production(settings: Any) -> None:
    """Staff ask on Monday why nobody heard on Friday; nothing is written, so no clock is harmed."""
    settings.ENVIRONMENT, settings.BOT_TOKEN = "production", "1:a"
    contact = make.make_contact()
    last_class(contact)
    out = StringIO()

    for at in (make.NOW, make.NOW + timedelta(days=30)):
        call_command(
            "explain", contact.learner.email, SLUG, "--json", "--at", at.isoformat(), stdout=out
        )

    told = [json.loads(line) for line in out.getvalue().splitlines() if line.startswith("{")]
    assert [row["verdict"] for row in told] == ["would_enter", "fact_expired"]


def test_a_class_is_explained_by_either_name() -> None:
    """Row id and calendar event id mean the same class; an unknown one is said to be so."""
    contact = make.make_contact()
    course = upsert_course(calendar_id="c@school.example", now=make.CLASS_STARTS)
    fact = make.make_fact(contact=contact, session=make.make_session(course=course))
    email = contact.learner.email
    by_event = explain_session(email=email, session_id=fact.session.event_id, now=make.NOW)
    by_id = explain_session(email=email, session_id=str(fact.session_id), now=make.NOW)

    assert by_event == by_id
    assert by_event.verdict == "missed"
    assert explain_session(email=email, session_id="no", now=make.NOW).verdict == "unknown_class"
    nobody = explain_session(email="nobody@x.org", session_id="no", now=make.NOW)
    assert nobody.verdict == "unknown_learner"


def test_a_correction_that_another_worker_had_first_is_told_as_one() -> None:
    contact = make.make_contact()
    fact = last_class(contact)
    make.make_fact("corrected", contact=contact, session=fact.session, processed_at=make.NOW)

    tick()

    assert (ask(contact).verdict, ask(contact).rule) == ("corrected", "fact_happened")
