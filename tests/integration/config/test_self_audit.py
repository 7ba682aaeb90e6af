"""Each invariant of the nightly audit is broken, found and linked; a clean world has none (N13)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from django.urls import resolve, reverse

from attendance.models import AttendancePolicy, Outcome
from config import audit
from config import jobs as timetable
from delivery import services as delivery
from delivery.models import Delivery, Process
from delivery.services.heartbeats import beat
from nurture import flags, services
from nurture.models import AuditFinding, Journey
from nurture.services.simulation.shadow import set_clock
from tests.factories import nurture as make

pytestmark = pytest.mark.django_db

SEQUENCE = make.PLAIN.replace(
    "triggers:", f"cap: {{per_day: 1}}\n{make.WINDOW}triggers:"
)  # hours from 09:00 to 20:00
SENT = make.NOW.replace(hour=12) + timedelta(days=1)
BEFORE, T = SENT - timedelta(hours=1), SENT + timedelta(days=3)

OF_ROSA = "FROM nurture_deliveries d WHERE d.status = 'sent'"
BENS = "UPDATE nurture_deliveries SET {} WHERE status = 'pending'"
ROSAS = "UPDATE nurture_deliveries SET {} WHERE status = 'sent'"
BENS_JOURNEY = "UPDATE user_nurture_journeys SET {} WHERE status = 'active'"
ACCEPTED = """
INSERT INTO delivery_attempt (delivery_id, fence, started_at, finished_at, outcome, description)
SELECT id, fence, now(), now(), 'sent', '' FROM nurture_deliveries WHERE status = 'skipped';
"""
#: A second one like Rosa's, with what differs.
TWIN = """
INSERT INTO nurture_deliveries
SELECT (jsonb_populate_record(d, jsonb_build_object('id', d.id + 1000, 'dedupe_key', {key},
        'sent_at', d.sent_at + interval '{later}', 'settled_at', d.sent_at + interval '{later}'))).*
  FROM nurture_deliveries d WHERE d.status = 'sent';
"""
TWIN_JOURNEY = """
INSERT INTO user_nurture_journeys
SELECT (jsonb_populate_record(j, jsonb_build_object('id', j.id + 1000, 'round', 2))).*
  FROM user_nurture_journeys j WHERE j.status = 'completed';
INSERT INTO nurture_decision
SELECT (jsonb_populate_record(k, jsonb_build_object('id', k.id + 1000,
        'journey_id', k.journey_id + 1000, 'delivery_id', k.delivery_id + 1000))).*
  FROM nurture_decision k JOIN user_nurture_journeys j ON j.id = k.journey_id
 WHERE j.status = 'completed' AND k.code = 'step_planned';
"""

#: Rule → what breaks it, past every service.
SEEDS = {
    "sent_outside_its_hours": ROSAS.format("sent_at = sent_at + interval '10 hours'"),
    "sent_without_consent": f"""
        UPDATE delivery_consent SET granted = false, changed_at = '{BEFORE}'
         WHERE chat_id = (SELECT d.chat_id {OF_ROSA})""",
    "sent_to_who_is_gone": f"""
        UPDATE delivery_chat
           SET reachability = 'blocked', reachability_changed_at = '{BEFORE}'
         WHERE id = (SELECT d.chat_id {OF_ROSA})""",
    "sent_when_of_no_use": ROSAS.format("expires_at = sent_at - interval '1 h'"),
    "more_than_its_cap": TWIN.format(key="'twin'", later="1 hour"),
    "accepted_and_ended_otherwise": BENS.format(
        "status = 'skipped', reason = 'capped', settled_at = telbot_now()"
    ) + ";" + ACCEPTED,
    "pretended_and_sent": ROSAS.format("is_test = true, stream = 'stream:dry:missed-class'"),
    "due_and_left_lying": BENS.format(
        "due_at = telbot_now() - interval '1 h', run_at = telbot_now() - interval '1 h'"
    ),
    "heard_and_not_answered": """
        INSERT INTO delivery_inboundupdate (update_id, chat_key, payload, received_at, tries, error)
        VALUES (1, gen_random_uuid(), 'plain:{}', telbot_now() - interval '2 h', 0, '')""",
    "left_and_still_known": "UPDATE delivery_chat SET leaving_at = telbot_now() - interval '3 h'",
    "said_of_what_was_open": f"UPDATE attendance_outcome SET effective_at = '{T}'",
    "said_after_the_correction": f"""
        INSERT INTO attendance_attendanceevent
        SELECT (jsonb_populate_record(e, jsonb_build_object('id', e.id + 1000,
                'kind', 'corrected', 'key', 'c', 'recorded_at',
                '{BEFORE}'))).*
          FROM attendance_attendanceevent e
          JOIN user_nurture_journeys j ON j.cause_id = e.id AND j.status = 'completed'""",
    "class_spoken_of_twice": TWIN.format(key="'journey:0:x:0'", later="25 hours") + TWIN_JOURNEY,
    "held_out_and_told": """
        INSERT INTO nurture_holdoutassignment (sequence_id, learner_id, held_out, assigned_at)
        SELECT sequence_id, learner_id, true, started_at - interval '1 h'
          FROM user_nurture_journeys WHERE status = 'completed'""",
    "stuck": BENS_JOURNEY.format(
        "waiting_on_id = NULL, next_action_at = telbot_now() - interval '2 h'"
    ),
    "end_not_taken_note_of": BENS.format(
        "status = 'skipped', reason = 'capped', settled_at = telbot_now() - interval '2 h'"
    ),
    "fact_left_lying": "UPDATE attendance_attendanceevent SET processed_at = NULL",
    "timer_of_nobody": """
        UPDATE user_nurture_journeys SET next_action_at = telbot_now()
         WHERE status = 'completed'""",
    "stands_at_no_step": BENS_JOURNEY.format("step_key = 'nowhere'"),
    "waits_on_a_strangers": BENS.format("dedupe_key = 'journey:0:hello:0'"),
    "erased_and_still_linked": "UPDATE attendance_learner SET erased_at = telbot_now()",
    "absence_called_too_soon": """
        UPDATE attendance_outcome o SET effective_at = s.ends_at + interval '1 h'
          FROM attendance_classsession s WHERE s.id = o.session_id""",
}  # fmt: skip


@pytest.fixture
def world() -> Delivery:
    """Rosa heard it in its hours; Ben's journey owes him a message; a worker is alive. It is T."""
    flags.set_nurture(percent=100)
    make.make_sequence(SEQUENCE)
    rosa = make.make_fact()
    services.tick(now=make.NOW)
    told = Delivery.objects.get()
    make.settle(told, at=SENT)
    services.tick(now=SENT)
    session = make.make_session(starts_at=T - timedelta(hours=5))
    make.make_fact(contact=make.make_contact(name="Ben"), session=session)
    services.tick(now=T - timedelta(minutes=1))
    policy = AttendancePolicy.objects.create(course=rosa.session.course)
    Outcome.objects.update(policy=policy)
    delivery.ensure_stream(delivery.dry_stream("missed-class"))
    beat(Process.WORKER)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE delivery_gate SET updated_at = now() - interval '1 h'")
    assert sorted(Journey.objects.values_list("status", flat=True)) == ["active", "completed"]
    set_clock(T)
    return told


def broken(statement: str, look: Callable[[], object]) -> object:
    """What is seen after a statement, which is taken back."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(statement)
        found = look()
        transaction.set_rollback(True)
    return found


def named() -> list[tuple[str, bool]]:
    """The rules that do not hold, and whether each leads to a row that there is."""
    return [(one.rule, _is_linked(one)) for one in audit.examine()]


def _is_linked(found: audit.Violation) -> bool:
    model = apps.get_model(found.about)
    page = resolve(urlsplit(found.links[0]).path)
    return (
        model in admin.site._registry
        and page.kwargs["object_id"] == str(found.ids[0])
        and model._default_manager.filter(pk=found.ids[0]).exists()
    )


def test_a_clean_world_has_no_finding_and_each_violation_is_found_and_linked(
    world: Delivery,
) -> None:
    assert audit.examine() == []

    found = {rule: broken(statement, named) for rule, statement in SEEDS.items()}

    assert found == {rule: [(rule, True)] for rule in SEEDS}
    assert len(SEEDS) >= 12
    assert audit.examine() == []


def test_the_nightly_audit_keeps_what_it_finds_until_it_is_gone(
    world: Delivery, client: Client
) -> None:
    Delivery.objects.filter(pk=world.pk).update(expires_at=SENT - timedelta(hours=1))
    assert audit.keep(now=T) == {"open": 1, "new": 1, "gone": 0}
    assert audit.keep(now=T + timedelta(days=1)) == {"open": 1, "new": 0, "gone": 0}
    (finding,) = AuditFinding.objects.filter(gone_at__isnull=True)
    assert (finding.found_at, finding.seen_at) == (T, T + timedelta(days=1))

    client.force_login(User.objects.create_superuser("ann"))
    page = client.get(reverse("admin:nurture_auditfinding_changelist")).content.decode()
    assert reverse("admin:delivery_delivery_change", args=[world.pk]) in page
    assert "went out after it had expired" in page

    Delivery.objects.filter(pk=world.pk).update(expires_at=None)
    assert audit.keep(now=T + timedelta(days=2)) == {"open": 0, "new": 0, "gone": 1}
    assert not AuditFinding.objects.filter(gone_at__isnull=True).exists()
    assert AuditFinding.objects.count() == 1


def test_the_job_says_how_many() -> None:
    (work,) = [job for job in timetable.NIGHTLY if job.name == "audit"]
    at = datetime.fromisoformat("2026-03-10T04:00:00+00:00")

    assert work.do(at) == {"open": 0, "new": 0, "gone": 0}
