"""May telbot go live? Every criterion of the launch plan, measured: value, source, time, verdict.

The command and the page of the admin are this list. What takes long to know (does Telegram answer,
is Google readable, does every invariant hold) is asked where `ask` says so, as the command always
does; else rows have to tell, with the time at which they were written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db.models import Exists, OuterRef, Q
from django_otp.plugins.otp_totp.models import TOTPDevice

from attendance import google
from config import audit, doctor
from delivery.models import Delivery
from nurture.domain import scorecard
from nurture.domain.roles import ROLES
from nurture.domain.scorecard import Item, Record
from nurture.models import BackupRun
from nurture.services import alerts, findings
from nurture.services.figures import Standing, standing
from nurture.services.scorecard import false_activations, measure

#: Checks of doctor that are asked here already, and more strictly.
ASKED_HERE = frozenset({"backups"})


def last_backup() -> Record | None:
    """The newest backup that is known; None where none was ever noted."""
    return _newest(BackupRun.BACKUP)


def last_rehearsal() -> Record | None:
    """The newest rehearsal of a restore; None where none was ever noted."""
    return _newest(BackupRun.REHEARSAL)


def _newest(kind: str) -> Record | None:
    rows = BackupRun.objects.filter(kind=kind, finished_at__isnull=False)
    row = rows.order_by("-started_at").first()
    if row is None or row.finished_at is None:
        return None
    what = f"{row.rows:,} rows, {row.size / 2**20:,.1f} MB"
    return Record(at=row.finished_at, ok=not row.error, what=what)


def score(*, now: datetime) -> list[Item]:
    """The figures of the week alone."""
    return measure(standing=standing(now=now), now=now)


def judge(*, now: datetime, ask: bool) -> list[Item]:
    """Every criterion, those of the plan first. Writes nothing that `doctor` does not.

    `ask`: also ask Telegram and Google, and examine the invariants, which may take seconds; else
    these are judged by what is in the tables.
    """
    stands = standing(now=now)
    return [
        *measure(standing=stands, now=now),
        false_activations(standing=stands, now=now),
        _invariants(now=now, ask=ask),
        *_of_now(stands),
        *_kept(now),
        _staff(),
        *(item for item in doctor.examine(ask=ask) if item.name not in ASKED_HERE),
    ]


def report(items: Iterable[Item], *, now: datetime) -> dict[str, Any]:
    """What the commands print: `ok` only where every criterion passes."""
    rows = list(items)
    return {
        "ok": scorecard.overall(rows) == "pass",
        "verdict": scorecard.overall(rows),
        "time": now.isoformat(),
        "items": [{"time": now.isoformat(), **item.as_dict()} for item in rows],
    }


def _invariants(*, now: datetime, ask: bool) -> Item:
    of = len(audit.rules())
    if ask:
        return scorecard.of_invariants(broken=[one.rule for one in audit.examine()], of=of)
    last = findings.last_audit()
    return scorecard.of_last_audit(broken=last.broken, of=of, at=last.at, now=now)


def _of_now(stands: Standing) -> Iterable[Item]:
    yield scorecard.of_lateness(stands.late_seconds, at_most=alerts.LATE_SECONDS)
    bad = [alert.words for alert in alerts.alerts(stands) if alert.tone == "bad"]
    yield scorecard.of_alerts(bad)
    yield scorecard.of_isolation(
        environment=settings.ENVIRONMENT, has_bot=bool(settings.BOT_TOKEN), strays=_strays()
    )
    yield scorecard.of_google(
        [(reading.name, reading.complete_at) for reading in stands.attendance.readings],
        now=stands.now, dark=alerts.DARK, configured=google.is_configured(),
    )  # fmt: skip


def _kept(now: datetime) -> Iterable[Item]:
    kinds: Mapping[str, tuple[Record | None, timedelta, str, str]] = {
        "backup": (
            last_backup(), scorecard.BACKUP_AGE, "the record of backups",
            "set BACKUP_S3_URL (docs/operations/data.md)",
        ),
        "rehearsal": (
            last_rehearsal(), scorecard.REHEARSAL_AGE, "the record of restore rehearsals",
            "run manage.py rehearse_restore",
        ),
    }  # fmt: skip
    for name, (record, at_most, source, do) in kinds.items():
        yield scorecard.of_record(name, record, at_most=at_most, now=now, source=source, do=do)


def _strays() -> int:
    """Sends outside production that reached a chat which is not allowed."""
    allowed = settings.STAGING_ALLOWED_CHATS
    if settings.ENVIRONMENT == "production" or not settings.BOT_TOKEN or allowed is None:
        return 0
    sent = Delivery.objects.filter(status="sent", diverted=False, sent_at__isnull=False)
    return sent.exclude(chat__telegram_id__in=allowed).count()


def _staff() -> Item:
    known = set(Group.objects.filter(permissions__isnull=False).values_list("name", flat=True))
    phones = TOTPDevice.objects.filter(user=OuterRef("pk"), confirmed=True)
    staff = User.objects.filter(is_staff=True, is_active=True)
    return scorecard.of_staff(
        missing=[role for role in ROLES if role not in known],
        without_role=staff.exclude(Q(is_superuser=True) | Q(groups__name__in=ROLES)).count(),
        without_factor=staff.exclude(Exists(phones)).count(),
        of=staff.count(),
        asked=not settings.IS_LOCAL,
    )
