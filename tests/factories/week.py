"""A week in which everything went well: what going live asks for, as rows."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.contrib.auth.models import Group, User
from django_otp.plugins.otp_totp.models import TOTPDevice

from attendance.models import AttendanceEvent, AuditPair, Outcome, SyncRun
from attendance.selectors.accuracy import monday
from delivery.models import Delivery, Heartbeat, InboundUpdate, Process
from delivery.services.installation import arm
from delivery.services.updates import store_updates
from nurture import flags
from nurture.models import Decision, Job, JobRun, Journey
from nurture.services.roles import set_up_roles
from tests.factories import nurture as make
from tests.factories.delivery import make_delivery

HOURS = 7 * 24 + 1
RUNS = 40


def make_week(*, now: datetime) -> None:
    """Seven days up to `now`: everything ran, went out, was read, judged and looked after."""
    arm(now=now)
    set_up_roles()
    flags.seed()
    _beats(now)
    _staff()
    _readings(now)
    _runs(now)
    _audit(now)
    _night(now)


def _beats(now: datetime) -> None:
    this = now.replace(minute=0, second=0, microsecond=0)
    hours = [this - timedelta(hours=back) for back in range(HOURS)]
    Heartbeat.objects.bulk_create(
        Heartbeat(
            name=process.value, hour=hour, first_at=hour, minutes=now.minute + 1,
            seen_at=now,
        )
        if hour == this
        else Heartbeat(
            name=process.value, hour=hour, first_at=hour, minutes=60,
            seen_at=hour + timedelta(minutes=59, seconds=45),
        )
        for process in Process
        for hour in hours
    )  # fmt: skip


def _staff() -> None:
    ann = User.objects.create_user("ann", is_staff=True)
    ann.groups.add(Group.objects.get(name="operator"))
    TOTPDevice.objects.create(user=ann, name="phone", confirmed=True)


def _readings(now: datetime) -> None:
    SyncRun.objects.bulk_create(
        SyncRun(
            source=source, kind="routine", state="complete", started_at=now - timedelta(minutes=6),
            finished_at=now - timedelta(minutes=5), window_start_at=now - timedelta(hours=1),
            window_end_at=now - timedelta(minutes=5),
        )
        for source in ("meet", "calendar")
    )  # fmt: skip


def _runs(now: datetime) -> None:
    """Journeys that were walked to their end, what they said, and what learners answered."""
    then, sequence = now - timedelta(days=2), make.make_sequence()
    version = sequence.published_version
    assert version is not None
    for number in range(RUNS):
        contact = make.make_contact()
        assert contact.chat is not None
        make.settle(row := make_delivery(chat=contact.chat), at=then)
        Delivery.objects.filter(pk=row.pk).update(observed_at=then)
        journey = Journey.objects.create(
            sequence=sequence, version=version, learner=contact.learner, entry_key="learner",
            status="completed", anchor_at=then, started_at=then, ended_at=then, steps_taken=1,
        )  # fmt: skip
        Decision.objects.create(
            learner=contact.learner, sequence=sequence, journey=journey, code="entered",
            decided_at=then,
        )  # fmt: skip
        press = {"message": {"chat": {"id": contact.chat.telegram_id}}}
        store_updates(payloads=[{"update_id": number, "callback_query": press}], now=then)
    InboundUpdate.objects.update(handled_at=then)


def _audit(now: datetime) -> None:
    """Outcomes that staff looked at and found right."""
    session = make.make_session()
    for contact in (make.make_contact(linked=False) for _ in range(RUNS)):
        make.make_fact("attended", contact=contact, session=session)
    AttendanceEvent.objects.update(processed_at=now)
    AuditPair.objects.bulk_create(
        AuditPair(
            outcome=outcome, week=monday(now), verdict="right", drawn_at=now, decided_at=now,
            decided_by="ann",
        )
        for outcome in Outcome.objects.all()
    )  # fmt: skip


def _night(now: datetime) -> None:
    """The nightly audit ran, and found nothing."""
    job = Job.objects.create(
        name="audit", does="Looks for what breaks an invariant.", hour=4,
        next_at=now + timedelta(hours=16),
    )  # fmt: skip
    JobRun.objects.create(
        job=job, started_at=now - timedelta(hours=8), outcome="done",
        finished_at=now - timedelta(hours=8) + timedelta(seconds=3),
        counts={"open": 0, "new": 0, "gone": 0},
    )  # fmt: skip
