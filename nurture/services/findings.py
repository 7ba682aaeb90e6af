"""What the nightly audit found: kept until an audit finds it no more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from nurture.models import AuditFinding, JobRun, RunOutcome

#: The name of the job that looks.
JOB = "audit"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A row that breaks a rule."""

    rule: str
    says: str
    about: str  # app.model
    row: int


@dataclass(frozen=True, kw_only=True)
class LastAudit:
    """What is known since the last audit that ran to its end."""

    at: datetime | None  # when it ended; None: none did
    broken: list[str]  # the rules that something breaks, by name


def last_audit() -> LastAudit:
    """What the nightly audit left; two short statements, where an audit takes seconds."""
    done = JobRun.objects.filter(job=JOB, outcome=RunOutcome.DONE).order_by("-started_at")
    still = AuditFinding.objects.filter(gone_at__isnull=True)
    return LastAudit(
        at=done.values_list("finished_at", flat=True).first(),
        broken=sorted(still.values_list("rule", flat=True).distinct()),
    )


@transaction.atomic
def note(*, found: Iterable[Finding], now: datetime) -> dict[str, int]:
    """Keep what an audit found; return how many are open, how many of them new, how many are gone.

    Safe to run twice.
    """
    wanted = {(one.rule, one.row): one for one in found}
    opened = AuditFinding.objects.filter(gone_at__isnull=True).select_for_update(no_key=True)
    known = {(row.rule, row.row): row.pk for row in opened.order_by("pk")}
    fresh = [
        AuditFinding(
            rule=one.rule, says=one.says, about=one.about, row=one.row, found_at=now, seen_at=now
        )
        for key, one in wanted.items()
        if key not in known
    ]
    AuditFinding.objects.bulk_create(fresh)
    stays = [pk for key, pk in known.items() if key in wanted]
    AuditFinding.objects.filter(pk__in=stays).update(seen_at=now)
    gone = AuditFinding.objects.filter(pk__in=set(known.values()) - set(stays)).update(gone_at=now)
    return {"open": len(wanted), "new": len(fresh), "gone": gone}
