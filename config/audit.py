"""Whether what the tables say hangs together: every app's invariants, each a statement."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from django.db import connection

import attendance.invariants
import delivery.invariants
import nurture.invariants

#: How many rows of a violation are named.
NAMED = 20


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One invariant that does not hold, with the rows in question."""

    rule: str
    says: str
    count: int
    ids: list[int]  # the first of them

    def as_dict(self) -> dict[str, Any]:
        """The form in which the command prints it."""
        return asdict(self)


def rules() -> dict[str, tuple[str, str]]:
    """Every invariant: name → what is wrong, and the SQL that finds it."""
    return {
        **attendance.invariants.INVARIANTS,
        **nurture.invariants.INVARIANTS,
        **delivery.invariants.INVARIANTS,
    }


def examine() -> list[Violation]:
    """Everything that should not be; reads only, and may run at any time beside everything."""
    found = []
    with connection.cursor() as cursor:
        for name, (says, sql) in rules().items():
            cursor.execute(f"SELECT id FROM ({sql}) AS found(id) ORDER BY id")
            ids = [row[0] for row in cursor.fetchall()]
            if ids:
                found.append(Violation(rule=name, says=says, count=len(ids), ids=ids[:NAMED]))
    return found
