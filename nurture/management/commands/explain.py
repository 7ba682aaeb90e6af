"""Why somebody did or did not hear something."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError

from delivery import clock
from nurture.management.base import JsonCommand, instant
from nurture.services import explain
from nurture.services.explain import Explanation
from nurture.services.explain_question import explain_question


class Command(JsonCommand):
    """The rules in order, each with what it saw; the one that decides; when it would change."""

    help = (
        "Explain a learner in a sequence, with --session a learner's outcome in a class, "
        "with --asked why they were asked whether they come."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Arguments."""
        super().add_arguments(parser)
        parser.add_argument("email")
        parser.add_argument("sequence", nargs="?", metavar="SEQUENCE", help="slug")
        parser.add_argument("--session", metavar="ID", help="a class: row id or calendar event id")
        parser.add_argument(
            "--asked", action="store_true", help="with --session: why they were asked, or not"
        )
        parser.add_argument("--at", metavar="ISO", help="as of that moment")

    def handle(self, *args: Any, **options: Any) -> None:
        """Explain."""
        slug, session = options["sequence"], options["session"]
        if bool(slug) == bool(session):
            raise CommandError("Name a sequence, or a class with --session ID; one of the two.")
        if options["asked"] and not session:
            raise CommandError("--asked is about a class: name it with --session ID.")
        # Nothing is written and no clock is asked but this one, so it may be moved everywhere.
        now = instant("--at", options["at"]) if options["at"] else clock.now()
        found = _ask(options["email"], slug, session, asked=options["asked"], now=now)
        lines = [
            f"{'✓' if rule['passed'] else '✗'} {rule['rule']}: {rule['input']}"
            for rule in found.rules
        ]
        if found.evidence:
            lines += _evidence(found.evidence)
        changes = f" It would change at {found.changes_at}." if found.changes_at else ""
        verdict = f"{found.verdict} ({found.rule}): {explain.meaning(found.verdict)}{changes}"
        self.say("\n".join([*lines, verdict]), found.as_dict(), as_json=options["json"])


def _ask(email: str, slug: str, session: str, *, asked: bool, now: datetime) -> Explanation:
    if asked:
        return explain_question(email=email, session_id=session, now=now)
    if session:
        return explain.explain_session(email=email, session_id=session, now=now)
    return explain.explain(email=email, slug=slug, now=now)


def _evidence(found: Mapping[str, Any]) -> list[str]:
    """What lies behind an outcome, a line each."""
    policy = ", ".join(f"{name} {value}" for name, value in found["policy"].items())
    return [
        *(
            f"  record: {row['joined']} to {row['left']} on {row['device'] or 'a device'}, "
            f"recognised by {row['recognised_by']}"
            for row in found["records"]
        ),
        *(f"  counted: {start} to {end}" for start, end in found["intervals"]),
        *(f"  unresolved guest: {row['shows']} ({row['why']})" for row in found["guests"]),
        f"  policy: {policy}",
        f"  {found['because']} What would change it: {found['would_change']}",
    ]
