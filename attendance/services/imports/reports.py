"""Google's own reports of a call, as hints to staff and never as proof."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from attendance.domain.identity import email_key, name_key
from attendance.domain.import_reports import ReportRow, together
from attendance.domain.imports import Problem
from attendance.domain.intervals import Interval, length, union
from attendance.domain.kinds import SURE_IDENTITIES, IdentityKind, ReviewKind
from attendance.models import ClassSession, Endpoint, LearnerIdentity, ReviewItem
from attendance.selectors.roster import enrolled_in
from attendance.services.imports.people import ImportRefusedError, learners_by_address
from attendance.services.questions import ask

# The log and the report differ by some seconds, and the report may round to minutes.
ROUNDING = timedelta(minutes=2)


@dataclass(frozen=True)
class ReportImported:
    """What became of the people in a report."""

    people: int
    asked: int  # new questions to staff
    asked_before: int
    seen: int  # Google's log has shown them already


@dataclass(frozen=True)
class _Who:
    """Whom a row means, and by what that is known ("" if it is not)."""

    learner_id: int | None
    by: str


@transaction.atomic
def import_report(
    *,
    session: ClassSession,
    rows: Iterable[ReportRow | Problem],
    source: str,
    now: datetime,
    dry_run: bool = False,
) -> ReportImported:
    """Ask staff about everybody in a report whom the log has not shown as long in this class.

    A report is low evidence: clock times without a day, names that anybody may type. So it never
    makes an outcome. Raises ImportRefusedError with every mistake. `dry_run` does everything and
    takes it back. The same report again asks nothing.
    """
    read = list(rows)
    problems = [row for row in read if isinstance(row, Problem)]
    if problems:
        raise ImportRefusedError(problems)
    given = [row for row in read if isinstance(row, ReportRow)]
    stays = _stays(session)
    items, seen = [], 0
    people = _people(session, given)
    for (who, name), rows_of in people.items():
        if who.learner_id and length(stays[who.learner_id]) >= together(rows_of).stayed - ROUNDING:
            seen += 1
        else:
            items.append(_question(session, who, name, rows_of, source, now))
    asked = ask(items)
    if dry_run:
        transaction.set_rollback(True)
    return ReportImported(len(people), asked, len(items) - asked, seen)


def _people(
    session: ClassSession, given: Sequence[ReportRow]
) -> dict[tuple[_Who, str], list[ReportRow]]:
    """Gather the rows of each person: of a learner, or of a name that is none."""
    addresses = {email_key(row.address) for row in given} - {""}
    by_address, by_name = learners_by_address(addresses), _unique_names(session)
    people: dict[tuple[_Who, str], list[ReportRow]] = defaultdict(list)
    how: dict[int, _Who] = {}
    for row in given:
        name, address = name_key(row.name), email_key(row.address)
        if address in by_address:
            who = _Who(by_address[address], "address")
        elif name in by_name:
            who = _Who(by_name[name], "name")
        else:
            people[_Who(None, ""), name or row.name.strip().lower()].append(row)
            continue
        assert who.learner_id is not None
        people[how.setdefault(who.learner_id, who), ""].append(row)
    return people


def _unique_names(session: ClassSession) -> dict[str, int]:
    """Names that only one of those who were enrolled then has: as given, or confirmed by staff."""
    enrolled = enrolled_in(session=session)
    owners: dict[str, set[int]] = defaultdict(set)
    for pk, who in enrolled.items():
        owners[name_key(who.name)].add(pk)
    confirmed = LearnerIdentity.objects.filter(
        kind=IdentityKind.DISPLAY_NAME,
        course=session.course_id,
        status__in=SURE_IDENTITIES,
        learner__in=enrolled,
    )
    for pk, name in confirmed.values_list("learner_id", "value_key"):
        owners[name].add(pk)
    return {name: min(pks) for name, pks in owners.items() if name and len(pks) == 1}


def _stays(session: ClassSession) -> dict[int, list[Interval]]:
    """When the log has shown each learner in this class, on all devices together."""
    found: dict[int, list[Interval]] = defaultdict(list)
    endpoints = Endpoint.objects.filter(
        conference__matches__session=session, learner__isnull=False
    ).values_list("learner_id", "started_at", "ended_at")
    for learner, started_at, ended_at in endpoints:
        assert learner is not None
        found[learner].append((started_at, ended_at))
    return defaultdict(list, {learner: union(stays) for learner, stays in found.items()})


def _question(
    session: ClassSession,
    who: _Who,
    name: str,
    rows: Sequence[ReportRow],
    source: str,
    now: datetime,
) -> ReviewItem:
    presence = together(rows)
    seconds = int(presence.stayed.total_seconds())
    evidence: dict[str, Any] = {
        "file": source,
        "by": who.by,
        "name": rows[0].name[:200],
        "address": rows[0].address[:320],
        "minutes": seconds // 60,
        "seconds": seconds,
        "joined": presence.joined,
        "exited": presence.exited,
    }
    return ReviewItem(
        kind=ReviewKind.REPORT.value,
        key=f"{ReviewKind.REPORT}:{session.pk}:{who.learner_id or name}"[:400],
        course_id=session.course_id,
        session=session,
        learner_id=who.learner_id,
        evidence=evidence,
        created_at=now,
    )
