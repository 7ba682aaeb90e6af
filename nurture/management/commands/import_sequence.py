"""Read a sequence from a YAML file."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError
from django.db import transaction

from delivery import clock
from nurture import services
from nurture.domain.lint import Finding, lint
from nurture.domain.sequence import InFlight
from nurture.management.base import ForeseeingCommand, read_text
from nurture.models import SequenceVersion
from nurture.sequence_files import SequenceFileError
from nurture.services import ImportResult
from nurture.services.missing import who_would_miss
from nurture.services.publishing import NotPublishableError, require_scenarios


class Command(ForeseeingCommand):
    """Into the draft, and with --publish into force."""

    help = "Import a sequence as a draft, or publish it at once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Arguments."""
        super().add_arguments(parser)
        parser.add_argument("file", metavar="FILE.yaml")
        parser.add_argument("--publish", action="store_true", help="new journeys run on it")
        parser.add_argument(
            "--in-flight",
            choices=[policy.value for policy in InFlight],
            default=InFlight.FINISH.value,
            help="with --publish, what journeys under way do: finish as they began (the default), "
            "move at the next step that both versions have, or exit",
        )
        parser.add_argument("--dry-run", action="store_true", help="only say what it would touch")

    def handle(self, *args: Any, **options: Any) -> None:
        """Import and perhaps publish in one transaction, and say what came of it."""
        source, now = read_text(options["file"]), clock.now()

        def act() -> tuple[ImportResult, SequenceVersion]:
            return _act(source, now, options["publish"], InFlight(options["in_flight"]))

        try:
            if options["dry_run"]:
                self.foresee(act, as_json=options["json"])
                return
            with transaction.atomic():
                done, version = act()
                if options["publish"]:
                    require_scenarios(version=version)
        except SequenceFileError as error:
            raise CommandError(f"Nothing was imported; mend the file:\n{error}") from None
        except NotPublishableError as error:
            raise CommandError(f"Nothing was imported; its scenarios fail:\n{error}") from None
        findings = lint(services.spec_of(version))
        changed = "imported" if done.changed else "unchanged"
        missing = who_would_miss(version=version, now=now)
        lines = [_line(finding) for finding in findings]
        lines += [
            f"{count} learners would not hear a message that names {name} without a default."
            for name, count in missing.items()
        ]
        lines += [f"{done.scenarios} scenarios were written."] if done.scenarios else []
        lines.append(f"{done.sequence.slug}: version {version.number} {changed}, {version.status}.")
        report = {
            "slug": done.sequence.slug,
            "version": version.number,
            "changed": done.changed,
            "scenarios": done.scenarios,
            "status": version.status,
            "findings": [asdict(finding) for finding in findings],
            "missing": missing,
        }
        self.say("\n".join(lines), report, as_json=options["json"])


@transaction.atomic
def _act(
    source: str, now: datetime, publish: bool, in_flight: InFlight
) -> tuple[ImportResult, SequenceVersion]:
    done = services.import_sequence(source=source, now=now)
    if not publish:
        return done, done.version
    return done, services.publish(sequence=done.sequence, now=now, in_flight=in_flight)


def _line(finding: Finding) -> str:
    where = f" in {finding.step}" if finding.step else ""
    return f"{finding.severity} {finding.code}{where}: {finding.message}"
