"""The school in the pictures of docs/staff-guide.md: the demo's month, and what it does not bring.

A guest who is perhaps Rosa, a delivery in doubt, a draft, a dry run, two groups to compare, nights
in which something failed. The same in each run but for the day on which it is run.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.management import call_command

from attendance.models import AttendanceEvent, Course, Learner
from attendance.sandbox import build_world
from config import audit, embedded, jobs
from config import clock as timetable
from delivery import clock, sender
from delivery.models import Attempt, Delivery, Heartbeat, Process
from delivery.services import archive, enqueue
from delivery.services.gates import ensure_pacing
from delivery.telegram import gateway
from nurture import services
from nurture.domain.alerts import CATALOGUE, Code
from nurture.domain.jobs import Hour
from nurture.models import (
    AlertEpisode,
    AuditFinding,
    BackupRun,
    Contact,
    Decision,
    HoldoutAssignment,
    Job,
    JobRun,
    Journey,
    Sequence,
    StaffTask,
    WouldSend,
)
from nurture.services import backtests, dry_runs, sequences
from nurture.services import jobs as nightly
from tests.factories import classes
from tests.factories.delivery import make_chat
from tests.factories.nurture import make_fact, make_sequence, make_session, settle
from tests.factories.scenarios import given, make_scenario, sent, unsent

SLUG, COMPARED = "missed-class", "two-missed"
#: Where the draft differs from what is published.
DRAFT = (("we missed you in", "you were missing in"),)
PRAISE = """\
sequence: well-done
name: Well done
mode: dry_run
triggers:
  - {fact: attended}
steps:
  - key: praise
    text: "Well done, {{ first_name | default: 'friend' }}! You stayed {{ minutes_present }} min."
"""
#: Some in the class of the dry run, the rest in the two groups; nobody of the demo's.
PEOPLE = build_world(now=datetime(2026, 1, 5, tzinfo=UTC), weeks=1, learners=170, seed=7).learners
APART = 4
NAMES = [*dict.fromkeys(row.name for row in PEOPLE)][24:]
#: In the archive: text, end, reason, what came of each try.
PAST = (
    ("Hi {name}, we missed you in <b>Data basics</b>.", "sent", "", "sent"),
    ("{name}, your next class is on Thursday at 18:00.", "sent", "", "sent"),
    ("Hi {name}, we missed you in <b>Spanish A1</b>.", "unknown", "no_answer", "unknown"),
    ("{name}, will you come on Monday?", "expired", "expired", ""),
    ("Hi {name}, we missed you in <b>Spanish A1</b>.", "failed", "chat_blocked", "rejected"),
    ("Good to see you again, {name}!", "sent", "", "sent"),
    ("{name}, your next class is on Friday at 17:00.", "dead", "too_many_tries", "not_sent"),
    ("Hi {name}, we missed you in <b>Data basics</b>.", "cancelled", "corrected", ""),
)


def play() -> None:
    """Everything, from nothing."""
    call_command("demo", "--once", "--reset")
    embedded.ensure(settings.LOCAL_DIR)
    now = clock.now()
    _a_class_with_guests(now)
    _a_dry_run(now)
    _a_comparison(now)
    _the_past(now)
    _a_bad_hour(now)
    _the_nights(now)
    _findings(now)
    _beats(now)
    _a_draft(now)
    StaffTask.objects.create(
        kind="handover", key="rosa", learner=Learner.objects.get(name="Rosa Alba"),
        note="Asked the bot for a person: wants to change to the evening course.", created_at=now,
    )  # fmt: skip


def _a_class_with_guests(now: datetime) -> None:
    """Rosa and a tablet were there without an account; Google cannot say who they are."""
    course, people = classes.make_course("Rosa Alba", "Amir Haddad", "Jana Vogel", "Tom Okoro")
    for learner in people:
        chat = make_chat(telegram_id=9_000_000 + learner.pk)
        Contact.objects.update_or_create(learner=learner, defaults={"chat": chat})
    at = _newest_hour(now)
    held = classes.make_class(
        course, starts_at=at, ends_at=at + timedelta(hours=1), title="Spanish A2"
    )
    classes.stay(held, email=people[1].email, start=1, end=59)
    classes.stay(held, email=people[3].email, start=21, end=60)
    classes.stay(held, name="Rosa Alba", start=2, end=57)
    classes.stay(held, name="iPad", start=5, end=48)
    classes.judge(held)


def _newest_hour(now: datetime) -> datetime:
    """When a class began that was judged by now, and less than a day ago: guests still count."""
    today = now.replace(minute=0, second=0, microsecond=0)
    hours = (
        (today - timedelta(days=back)).replace(hour=hour) for back in (0, 1) for hour in (17, 12, 8)
    )
    return next(at for at in hours if at + timedelta(hours=4, minutes=2) < now)


def _a_bad_hour(now: datetime) -> None:
    """Telegram did not answer twice, and one text could never be sent."""
    ends = (("unknown", "no_answer"), ("dead", "too_many_tries"), ("unknown", "no_answer"))
    at = now - timedelta(minutes=40)
    people = Contact.objects.exclude(learner__email__endswith="@school.example").order_by("pk")
    for contact, (status, reason) in zip(people, ends, strict=False):
        assert contact.chat is not None
        delivery = enqueue(
            chat=contact.chat, dedupe_key=f"shots:{contact.pk}", due_at=at, stream=SLUG,
            text=f"Hi {contact.learner.name.split()[0]}, we missed you in <b>Data basics</b>.",
        )  # fmt: skip
        settle(delivery, at=at, status=status, reason=reason)
    _what_was_told(at)


def _what_was_told(at: datetime) -> None:
    """What stands since then, and a breaker that opened and closed a day before."""
    day_before = at - timedelta(days=1)
    AlertEpisode.objects.create(
        code=Code.BREAKER_OPEN, subject="telegram", severity="critical",
        words="The gate bot:breaker is closed.", seen_since=day_before, opened_at=day_before,
        told_at=day_before, resolved_at=day_before + timedelta(minutes=12),
    )  # fmt: skip
    for code, subject, words in (
        (Code.DEAD_DELIVERIES, "", "Given up: 1 delivery."),
        (Code.UNKNOWN_DELIVERIES, "", "2 deliveries cannot be known."),
        (Code.JOB_FAILING, "prune", "The job prune failed."),
        (Code.AUDIT_FINDINGS, "", "The audit found 2 rows that are not right."),
    ):
        AlertEpisode.objects.create(
            code=code, subject=subject, severity=CATALOGUE[code].severity, words=words,
            seen_since=at, opened_at=at, told_at=at,
        )  # fmt: skip


def _a_draft(now: datetime) -> None:
    """Somebody is at work on the texts; what they expect of them is written down."""
    sequence = Sequence.objects.get(slug=SLUG)
    source = sequences.export(slug=SLUG)
    for old, new in DRAFT:
        source = source.replace(old, new)
    assert sequence.published_version is not None
    services.save_draft(
        sequence=sequence, source=source, by=user_of("author"), now=now,
        expected_checksum=services.checksum_of(sequence.published_version),
    )  # fmt: skip
    make_scenario(
        sequence,
        [given(1, "22:00", "missed")],
        [sent("hello", 2, "09:00"), unsent("reminder")],
        name="Rosa misses a class and says no more",
    )
    run, _ = backtests.ask(
        sequence=sequence, version=2, against=1, since=now - timedelta(days=28), until=now,
        by="author", now=now,
    )  # fmt: skip
    backtests.run_waiting(now=now, only=run.pk)


def user_of(role: str) -> User:
    """A member of staff with that role."""
    user, _ = User.objects.get_or_create(
        username=role, defaults={"is_staff": True, "first_name": role.capitalize()}
    )
    user.groups.set([Group.objects.get(name=role)])
    return user


def _a_dry_run(now: datetime) -> None:
    """A new sequence pretends: what it would have said to who was in class."""
    make_sequence(PRAISE, now=now - timedelta(days=2))
    course, people = classes.make_course(*NAMES[:APART])
    Course.objects.filter(pk=course.pk).update(title="French B1")
    at = _newest_hour(now)
    held = classes.make_class(
        course, starts_at=at, ends_at=at + timedelta(hours=1), title="French B1"
    )
    for number, learner in enumerate(people):
        Contact.objects.create(learner=learner, chat=make_chat(telegram_id=9_500_000 + learner.pk))
        classes.stay(held, email=learner.email, start=number % 4, end=60 - 2 * number)
    classes.judge(held)
    services.tick(now=now)
    ensure_pacing()
    sender.drain(gateway, until_empty=True)
    Course.objects.filter(pk=course.pk).update(active=False)  # Google knows no such calendar
    kept, by = list(WouldSend.objects.order_by("pk")), user_of("operator")
    dry_runs.release(delivery_ids=[kept[0].pk], by=by, now=now)
    settle(Delivery.objects.get(dedupe_key=f"released:{kept[0].pk}"), at=now)
    dry_runs.discard(delivery_ids=[kept[1].pk], by=by, now=now)


def _a_comparison(now: datetime) -> None:
    """Half of those who missed two classes were left alone; of them fewer came to the next."""
    path = settings.BASE_DIR / "nurture" / "sequences" / f"{COMPARED}.yaml"
    began = (now - timedelta(days=40)).replace(hour=17, minute=0, second=0, microsecond=0)
    sequence = make_sequence(path.read_text() + "holdout: 50\n", now=began)
    course, people = classes.make_course(*NAMES[APART:])
    Course.objects.filter(pk=course.pk).update(title="Conversation", active=False)
    then = began + timedelta(days=7)
    missed, following = (
        make_session(
            course=course,
            title="Conversation",
            starts_at=at,
            status="settled",
            settled_at=at + timedelta(hours=4),
        )
        for at in (then, then + timedelta(days=7))
    )
    for number, learner in enumerate(people):
        chat = make_chat(telegram_id=9_700_000 + learner.pk)
        address = f"student{number:03}@school.example"
        Learner.objects.filter(pk=learner.pk).update(email=address, email_key=address)
        contact = Contact.objects.create(learner=learner, chat=chat)
        at, is_held = then + timedelta(hours=4, minutes=number % 50), number % 2 == 1
        fact = make_fact("missed", contact=contact, session=missed, processed_at=at)
        HoldoutAssignment.objects.create(
            sequence=sequence, learner=learner, held_out=is_held, assigned_at=at
        )
        journey = None if is_held else _walked(sequence, fact, at)
        Decision.objects.create(
            learner=learner, sequence=sequence, journey=journey, event=fact, decided_at=at,
            code="held_out" if is_held else "entered",
        )  # fmt: skip
        came = number % 20 < 8 if is_held else number % 20 < 14
        make_fact(
            "attended" if came else "missed", contact=contact, session=following,
            processed_at=at + timedelta(days=7),
        )  # fmt: skip


def _walked(sequence: Sequence, fact: AttendanceEvent, at: datetime) -> Journey:
    assert sequence.published_version is not None
    return Journey.objects.create(
        sequence=sequence, version=sequence.published_version, learner=fact.learner,
        entry_key=f"session:{fact.session_id}", session=fact.session, course=fact.session.course,
        cause=fact, status="completed", anchor_at=at, started_at=at, steps_taken=2,
        ended_at=at + timedelta(days=2),
    )  # fmt: skip


def _the_past(now: datetime) -> None:
    """What ended over three months ago, and is in the archive by now."""
    at, keys = now - timedelta(days=103), []
    contacts = Contact.objects.filter(chat__isnull=False).order_by("pk")[: len(PAST)]
    for number, (contact, (text, status, reason, outcome)) in enumerate(
        zip(contacts, PAST, strict=True)
    ):
        assert contact.chat is not None
        due, name = at + timedelta(hours=5 * number), contact.learner.name.split()[0]
        row = enqueue(
            chat=contact.chat, dedupe_key=f"past:{number}", due_at=due, stream=SLUG,
            text=text.format(name=name),
        )  # fmt: skip
        settle(row, at=due + timedelta(seconds=2), status=status, reason=reason)
        for fence in range(1, 3 if status == "dead" else 2) if outcome else ():
            Attempt.objects.create(
                delivery=row, fence=fence, started_at=due + timedelta(minutes=fence - 1),
                finished_at=due + timedelta(minutes=fence - 1, seconds=1), outcome=outcome,
                http_status=200 if outcome == "sent" else None,
            )  # fmt: skip
        keys.append(row.pk)
    Delivery.objects.filter(pk__in=keys).update(observed_at=at + timedelta(days=2))
    archive(delivery_ids=keys, before=now - timedelta(days=90))


def _the_nights(now: datetime) -> None:
    """Four nights of jobs and backups: one job fails of late, one backup failed once."""
    timetable.timetable()[-1].due()  # lists every line
    for job in jobs.NIGHTLY:
        hour = Hour(job.hour, job.weekday)
        for back in (22, 15, 8, 1) if job.weekday is not None else (4, 3, 2, 1):
            at = hour.after(now - timedelta(days=back), ZoneInfo(settings.TIME_ZONE))
            if at < now:
                _ran(job.name, at)
            if job.name == "backup":
                _backed_up(at, fails=back == 3)
    last = JobRun.objects.filter(job="prune").order_by("-started_at")[0]
    JobRun.objects.filter(pk=last.pk).update(outcome="failed", error="OperationalError", counts={})
    for minutes in (15, 45):
        _ran("prune", last.started_at + timedelta(minutes=minutes), error="OperationalError")
    Job.objects.filter(name="prune").update(tries=3)
    nightly.pause(
        names=["draw-audit"], by="operator", why="Nobody is here to judge before Monday.", now=now
    )
    rehearsed = now - timedelta(days=9)
    BackupRun.objects.create(
        kind=BackupRun.REHEARSAL, file=f"telbot-{rehearsed:%Y%m%dT%H%M}.zip", rows=61_870,
        size=6_100_000, started_at=rehearsed, finished_at=rehearsed + timedelta(seconds=41),
    )  # fmt: skip


COUNTS = {
    "backup": {"rows": 64_212, "bytes": 6_310_000, "deleted": 1},
    "prune": {"updates": 412, "heartbeats": 96},
    "audit": {"open": 2, "new": 1, "gone": 1},
    "draw-audit": {"drawn": 20},
}


def _ran(name: str, at: datetime, *, error: str = "") -> None:
    JobRun.objects.create(
        job_id=name, started_at=at, finished_at=at + timedelta(seconds=4 + at.minute),
        outcome="failed" if error else "done", error=error, counts={} if error else COUNTS[name],
    )  # fmt: skip


def _backed_up(at: datetime, *, fails: bool) -> None:
    BackupRun.objects.create(
        kind=BackupRun.BACKUP, file=f"telbot-{at:%Y%m%dT%H%M}.zip", started_at=at,
        finished_at=at + timedelta(seconds=19), rows=0 if fails else 60_000 + at.day * 140,
        size=0 if fails else 6_000_000 + at.day * 11_000,
        error="StorageError: the storage answered 503 three times." if fails else "",
    )  # fmt: skip


def _findings(now: datetime) -> None:
    """What the last audits found: two that are open, one that is gone."""
    audits = JobRun.objects.filter(job="audit").order_by("-started_at")
    last, before = audits[0].started_at, audits[1].started_at
    sent = Delivery.objects.filter(status="sent", stream=f"stream:{SLUG}").order_by("-pk")[:2]
    journey = Journey.objects.filter(status="completed").order_by("pk")[0]
    known = (
        ("sent_outside_its_hours", sent[0], before, None),
        ("decided_without_a_word", journey, last, None),
        ("end_not_taken_note_of", sent[1], before, last),
    )
    for rule, row, found, gone in known:
        says, about, _ = audit.rules()[rule]
        AuditFinding.objects.create(
            rule=rule, says=says, about=about, row=row.pk, found_at=found, gone_at=gone,
            seen_at=before if gone else last,
        )  # fmt: skip


def _beats(now: datetime) -> None:
    """Two days in which all ran, but for a worker that was away for a while."""
    this, away = now.replace(minute=0, second=0, microsecond=0), (Process.WORKER, 1)
    Heartbeat.objects.all().delete()
    Heartbeat.objects.bulk_create(
        [
            Heartbeat(
                name=process, hour=hour, first_at=hour,
                seen_at=hour + timedelta(minutes=59) if back else now,
                minutes=now.minute + 1 if not back else 41 if (process, back) == away else 60,
            )
            for back in range(48, -1, -1)
            for hour in [this - timedelta(hours=back)]
            for process in Process
        ]
    )  # fmt: skip
