"""The invariants hold where all is well, and each is found where it is broken on purpose."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from attendance.models import Outcome
from config import audit
from delivery.models import Delivery
from nurture import flags, services
from nurture.models import Journey
from tests.factories import nurture as make
from tests.factories.delivery import make_delivery

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def rule_names() -> list[str]:
    """The invariants that do not hold."""
    return [one.rule for one in audit.examine()]


def sql(statement: str) -> None:
    """Break something, past every service."""
    with connection.cursor() as cursor:
        cursor.execute(statement)


def journey_with_a_message() -> Delivery:
    """A journey that owes its first message."""
    flags.set_nurture(percent=100)
    make.make_sequence()
    make.make_fact()
    services.tick(now=make.NOW)
    return Delivery.objects.get()


SENDING = """
UPDATE nurture_deliveries
   SET status = 'leased', fence = 1, lease_until = clock_timestamp() + interval '1 minute';
UPDATE nurture_deliveries SET status = 'sending', intent_at = clock_timestamp();
"""
TRY = """
INSERT INTO delivery_attempt (delivery_id, fence, started_at, finished_at, outcome, description)
SELECT id, {fence}, now(), {ended}, '{outcome}', '' FROM nurture_deliveries;
"""
SENT = """
UPDATE nurture_deliveries
   SET status = 'sent', sent_at = now(), settled_at = now(), lease_until = NULL;
"""
OPEN = TRY.format(fence="fence", ended="NULL", outcome="")
ACCEPTED = TRY.format(fence="fence", ended="now()", outcome="sent")
OLD = "clock_timestamp() - interval '1 hour'"


@pytest.mark.parametrize(
    ("rule", "broken"),
    [
        ("sending_without_try", SENDING),
        ("open_try_not_sending", OPEN),
        ("try_ahead_of_fence", TRY.format(fence="fence + 1", ended="now()", outcome="rejected")),
        (
            "accepted_twice",
            SENDING + ACCEPTED + "UPDATE nurture_deliveries SET fence = 2;" + ACCEPTED + SENT,
        ),
        ("sent_without_proof", SENDING + SENT),
        ("accepted_and_owed", ACCEPTED),
        ("lease_forgotten", SENDING + OPEN + f"UPDATE nurture_deliveries SET lease_until = {OLD};"),
        (
            "unknown_never_settled",
            SENDING + "UPDATE nurture_deliveries SET status = 'unknown', reason = 'no_answer',"
            f" lease_until = NULL, intent_at = {OLD};",
        ),
        ("expired_and_owed", f"UPDATE nurture_deliveries SET due_at = {OLD}, expires_at = {OLD}"),
    ],
)
def test_a_broken_delivery_is_found(rule: str, broken: str) -> None:
    make_delivery(due_at=make.NOW)
    assert rule_names() == []
    sql(broken)
    assert rule_names() == [rule]


def test_two_of_one_chat_in_flight_are_found() -> None:
    first = make_delivery()
    make_delivery(chat=first.chat)
    sql(SENDING + OPEN)
    assert rule_names() == ["chat_served_twice"]


@pytest.mark.parametrize(
    ("rule", "broken"),
    [
        (
            "owes_after_its_end",
            "UPDATE user_nurture_journeys SET status = 'completed', ended_at = now(), slot = NULL",
        ),
        ("waits_on_what_was_seen", "UPDATE nurture_deliveries SET observed_at = now()"),
        (
            "decided_without_a_word",
            # Of an old one they may have been let go.
            "UPDATE user_nurture_journeys SET started_at = now();"
            "ALTER TABLE nurture_decision DISABLE TRIGGER USER; DELETE FROM nurture_decision;"
            "ALTER TABLE nurture_decision ENABLE TRIGGER USER",
        ),
    ],
)
def test_a_broken_journey_is_found(rule: str, broken: str) -> None:
    journey_with_a_message()
    assert rule_names() == []
    sql("SET CONSTRAINTS ALL IMMEDIATE; " + broken)
    assert rule_names() == [rule]


@pytest.mark.parametrize(
    ("status", "rule"), [("sent", "step_said_twice"), ("pending", "owes_two_steps")]
)
def test_a_step_that_is_there_twice_is_found(status: str, rule: str) -> None:
    row = journey_with_a_message()
    twin = make_delivery(chat=row.chat, dedupe_key=f"journey:{Journey.objects.get().pk}:hello:99")
    if status == "sent":
        for one in (row, twin):
            make.settle(one, at=make.NOW)
        Delivery.objects.update(message_id=1)
    assert rule_names() == [rule]


def test_a_question_that_was_asked_twice_is_found() -> None:
    chat = make_delivery(dedupe_key="pledge:7:1:1").chat
    make_delivery(chat=chat, dedupe_key="pledge:7:1:2")
    make_delivery(chat=chat, dedupe_key="pledge:8:1:1")
    assert rule_names() == []
    for row in Delivery.objects.all():
        make.settle(row, at=make.NOW)
    assert rule_names() == ["asked_twice"]


def test_an_absence_that_was_none_and_was_not_taken_back_is_found() -> None:
    make.make_fact()
    assert rule_names() == []
    Outcome.objects.update(is_current=False)
    found = Outcome.objects.get()
    found.pk, found.revision, found.outcome, found.is_current = None, 2, "attended", True
    found.save()
    assert rule_names() == ["absence_not_taken_back"]
    make.make_fact("corrected", contact=found.learner.contact, session=found.session)
    assert rule_names() == []


def test_an_absence_that_no_outcome_said_is_found() -> None:
    fact = make.make_fact()
    fact.outcome = None
    fact.save()
    Outcome.objects.all().delete()
    assert rule_names() == ["fact_without_outcome"]


def test_the_command_fails_and_names_the_rows() -> None:
    out = StringIO()
    call_command("audit", "--json", stdout=out)
    report = json.loads(out.getvalue().splitlines()[-1])
    items = report.pop("items")
    assert report == {"ok": True, "violations": [], "needs_person": {"unknown": 0, "dead": 0}}
    assert {(item["verdict"], item["value"]) for item in items} == {("pass", "holds")}

    row = make_delivery()
    sql(SENDING)
    out = StringIO()
    with pytest.raises(CommandError, match="1 invariants do not hold"):
        call_command("audit", "--json", stdout=out)
    report = json.loads(out.getvalue().splitlines()[-1])
    (found,) = report["violations"]
    assert (found["rule"], found["ids"]) == ("sending_without_try", [row.pk])
    assert [item["name"] for item in report["items"] if item["verdict"] == "fail"] == [
        "sending_without_try"
    ]
