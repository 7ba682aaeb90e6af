"""Whether what the tables say hangs together."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config import audit
from delivery import selectors
from nurture.domain.scorecard import Item


class Command(BaseCommand):
    """Exit code 0 where every invariant holds. What needs a person is counted, and no violation."""

    help = "Check the invariants of attendance, journeys and deliveries; list what breaks them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options."""
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print what is wrong, by rule."""
        found = audit.examine()
        counts = selectors.count_by_status()
        needs_person = {status: counts[status] for status in ("unknown", "dead")}
        for one in found:
            self.stdout.write(f"WRONG    {one.rule}: {one.says} {one.count}: {one.ids}")
            self.stdout.write(f"         {one.links[0]}")
        held = len(audit.rules()) - len(found)
        people = ", ".join(f"{n} {status}" for status, n in needs_person.items())
        self.stdout.write(
            f"{held} of {len(audit.rules())} invariants hold. For a person: {people}."
        )
        if options["json"]:
            report = {
                "ok": not found,
                "items": _items(found),
                "violations": [one.as_dict() for one in found],
                "needs_person": needs_person,
            }
            self.stdout.write(json.dumps(report))
        if found:
            raise CommandError(f"{len(found)} invariants do not hold; see above.")


def _items(found: Sequence[audit.Violation]) -> list[dict[str, str]]:
    """Every invariant in the form that doctor has, too."""
    broken = {one.rule: f"{one.says} {one.count}: {one.ids}" for one in found}
    return [
        Item(
            name=name,
            verdict="fail" if name in broken else "pass",
            value=broken.get(name, "holds"),
            source="PostgreSQL",
        ).as_dict()
        for name in audit.rules()
    ]
