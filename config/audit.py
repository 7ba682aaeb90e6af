"""Whether what the tables say hangs together: every app's invariants, each a statement."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection
from django.urls import reverse

import attendance.invariants
import delivery.invariants
import nurture.invariants
from nurture.services import findings
from nurture.services.findings import Finding

#: How many rows of a violation are named.
NAMED = 20
#: How many of each rule are kept for staff; a thousand more say nothing new.
KEPT = 200


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One invariant that does not hold, with the rows in question."""

    rule: str
    says: str
    about: str  # app.model of the rows
    count: int
    ids: list[int]  # the first of them

    @property
    def links(self) -> list[str]:
        """The pages of these rows in the admin."""
        page = f"admin:{self.about.replace('.', '_')}_change"
        return [f"{settings.PUBLIC_URL}{reverse(page, args=[row])}" for row in self.ids]

    def as_dict(self) -> dict[str, Any]:
        """The form in which the command prints it."""
        return {**asdict(self), "links": self.links}


def rules() -> dict[str, tuple[str, str, str]]:
    """Every invariant: name → what is wrong, of which model, and the SQL that finds it."""
    return {
        **attendance.invariants.INVARIANTS,
        **nurture.invariants.INVARIANTS,
        **delivery.invariants.INVARIANTS,
    }


def examine(*, named: int = NAMED) -> list[Violation]:
    """Everything that should not be; reads only, and may run at any time beside everything.

    Of each rule the first `named` rows are named.
    """
    found = []
    with connection.cursor() as cursor:
        for name, (says, about, sql) in rules().items():
            cursor.execute(f"SELECT id FROM ({sql}) AS found(id) ORDER BY id")
            ids = [row[0] for row in cursor.fetchall()]
            if ids:
                found.append(
                    Violation(rule=name, says=says, about=about, count=len(ids), ids=ids[:named])
                )
    return found


def keep(*, now: datetime) -> dict[str, int]:
    """Examine, and keep what was found for staff; return how many are open, new and gone."""
    return findings.note(
        found=[
            Finding(rule=one.rule, says=one.says, about=one.about, row=row)
            for one in examine(named=KEPT)
            for row in one.ids
        ],
        now=now,
    )
