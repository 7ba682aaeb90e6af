"""At least one row of every model that the admin shows."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from axes.models import AccessAttempt
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, User
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from waffle.models import Sample

from attendance import services
from attendance.models import ClassSession, ErasedMark, Learner, Outsider, Pledge
from delivery.models import (
    ArchivedDelivery,
    Attempt,
    Delivery,
    Heartbeat,
    InboundUpdate,
    Installation,
)
from delivery.services import archive, dry_stream, ensure_stream
from nurture import flags
from nurture.domain.alerts import Code, Tell
from nurture.models import (
    AlertEpisode,
    AlertNotice,
    AlertSilence,
    AuditFinding,
    BacktestRun,
    BackupRun,
    BotText,
    Contact,
    ContactTag,
    Decision,
    HoldoutAssignment,
    HourlyFigure,
    Job,
    JobRun,
    Journey,
    LinkToken,
    PledgeQuestion,
    Scenario,
    Sequence,
    StaffTask,
)
from tests.factories.delivery import make_delivery
from tests.factories.nurture import settle
from tests.factories.school import LONG_AGO, make_school


def lacking() -> list[str]:
    """Models in the admin that have no row."""
    return sorted(
        model._meta.label for model in admin.site._registry if not model._default_manager.exists()
    )


def make_everything() -> None:
    """A school, and what a school of itself does not bring."""
    make_school()
    make_delivery()
    for status, reason in (("unknown", "no_answer"), ("dead", "too_many_tries")):
        settle(make_delivery(), at=LONG_AGO, status=status, reason=reason)
    flags.seed()
    services.draw_audit(now=LONG_AGO + timedelta(days=7))
    Sample.objects.create(name="sample", percent=1)
    someone = User.objects.create_user("someone", is_staff=True)
    Group.objects.get_or_create(name="viewer")
    TOTPDevice.objects.create(user=someone, name="phone")
    StaticDevice.objects.create(user=someone, name="recovery codes")
    AccessAttempt.objects.create(username="someone", failures_since_start=1)
    _of_learners()
    _of_delivery()
    make_alerts()
    LogEntry.objects.create(
        user=someone, action_flag=CHANGE, object_repr="Rosa", change_message="Looked at."
    )


def _of_learners() -> None:
    learner, at = Learner.objects.order_by("pk")[0], LONG_AGO
    session = ClassSession.objects.order_by("pk")[0]
    Pledge.objects.create(
        learner=learner, session=session, state="yes", asked_at=at, answered_at=at, source="bot"
    )
    Outsider.objects.create(kind="visitor", mark="display_name:guest", created_at=at)
    ContactTag.objects.create(contact=Contact.objects.order_by("pk")[0], name="called")
    sequence = Sequence.objects.order_by("pk")[0]
    HoldoutAssignment.objects.create(
        sequence=sequence, learner=learner, held_out=True, assigned_at=at
    )
    BacktestRun.objects.create(
        sequence=sequence, version=1, since=at - timedelta(days=7), until=at, asked_by="someone",
        asked_at=at,
    )  # fmt: skip
    Scenario.objects.create(sequence=sequence, name="Rosa misses a class", changed_at=at)
    LinkToken.objects.create(
        learner=learner, token_hash="0" * 64, created_at=at, expires_at=at + timedelta(days=7)
    )
    PledgeQuestion.objects.create(
        learner=learner, session=session, code="pledge_known", decided_at=at, inputs={}
    )
    BotText.objects.create(
        key="stopped", language="en", text="Bye.", changed_by="someone", changed_at=at
    )
    _of_jobs()
    HourlyFigure.objects.create(hour=at, name="sent", count=1)
    ErasedMark.objects.create(mark_hash="0" * 64, person=UUID(int=1), erased_on=at.date())
    StaffTask.objects.create(kind="handover", key="1", learner=learner, note="Call.", created_at=at)


def _of_delivery() -> None:
    delivery, at = Delivery.objects.order_by("pk")[0], LONG_AGO
    Attempt.objects.create(
        delivery=delivery, fence=1, started_at=at, finished_at=at, outcome="sent",
        message_id=1, http_status=200,
    )  # fmt: skip
    InboundUpdate.objects.create(update_id=1, payload={}, received_at=at)
    Heartbeat.objects.create(name="clock", hour=at, first_at=at, seen_at=at, minutes=1)
    _of_a_dry_run(delivery)
    _of_the_past()
    Installation.objects.create(environment="local", system_identifier="1", armed_at=at)


def make_alerts() -> None:
    """One that is over, told to two of whom one did not listen; and a silence."""
    at = LONG_AGO
    episode = AlertEpisode.objects.create(
        code=Code.BREAKER_OPEN, subject="telegram", severity="critical",
        words="bot:breaker is closed.", seen_since=at, opened_at=at, told_at=at, gone_since=at,
        resolved_at=at + timedelta(minutes=9),
    )  # fmt: skip
    AlertNotice.objects.create(
        episode=episode, channel="pagerduty", kind=Tell.TRIGGER, created_at=at, next_at=at,
        tries=1, sent_at=at,
    )  # fmt: skip
    AlertNotice.objects.create(
        episode=episode, channel="slack", kind=Tell.TRIGGER, created_at=at, next_at=at, tries=3,
        error="it answered 503",
    )  # fmt: skip
    AlertSilence.objects.create(
        since=at, until=at + timedelta(hours=2), reason="moving the database", by="ann"
    )
    BackupRun.objects.create(
        kind=BackupRun.BACKUP, file="telbot.zip", rows=7, size=7_000_000, started_at=at,
        finished_at=at,
    )  # fmt: skip


def _of_the_past() -> None:
    """A delivery that is in the archive by now."""
    row = make_delivery()
    settle(row, at=LONG_AGO)
    Delivery.objects.filter(pk=row.pk).update(observed_at=LONG_AGO)
    archive(delivery_ids=[row.pk], before=LONG_AGO + timedelta(days=1))
    assert ArchivedDelivery.objects.exists()


def _of_jobs() -> None:
    """The audit ran, and found something."""
    at = LONG_AGO
    job = Job.objects.create(
        name="audit", does="Looks for what breaks an invariant.", hour=4, next_at=at
    )
    JobRun.objects.create(
        job=job,
        started_at=at,
        finished_at=at,
        outcome="done",
        counts={"open": 1, "new": 1, "gone": 0},
    )
    AuditFinding.objects.create(
        rule="accepted_twice", says="Telegram accepted more than one try of a delivery.",
        about="delivery.delivery", row=Delivery.objects.order_by("pk")[0].pk, found_at=at,
        seen_at=at,
    )  # fmt: skip


def _of_a_dry_run(like: Delivery) -> None:
    """A message that nobody heard."""
    journey, at = Journey.objects.order_by("pk")[0], LONG_AGO
    message = Delivery.objects.create(
        chat=like.chat, stream_id=ensure_stream(dry_stream(journey.sequence.slug)), is_test=True,
        dedupe_key="dry", text="Hi Rosa.", status="skipped", reason="dry_run", due_at=at,
        run_at=at, settled_at=at, observed_at=at,
    )  # fmt: skip
    pretended = Journey.objects.create(
        sequence=journey.sequence, version=journey.version, learner=journey.learner,
        entry_key="learner", status="completed", anchor_at=at, started_at=at, ended_at=at,
        dry_run=True,
    )  # fmt: skip
    Decision.objects.create(
        learner=journey.learner, sequence=journey.sequence, journey=pretended, step_key="hello",
        code="step_planned", delivery=message, decided_at=at,
    )  # fmt: skip
