"""Run a version over recorded attendance, without writing anything."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError, CommandParser

from nurture.management.base import JsonCommand, instant
from nurture.services.simulation import Backtest, NotSimulatedError, backtest, compare


class Command(JsonCommand):
    """Who would have heard what, and when; with --against, what another version changes."""

    help = "Backtest a sequence over recorded attendance. Nothing is sent or written."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Here --version means the sequence's, not Django's."""
        return super().create_parser(
            prog_name, subcommand, **{**kwargs, "conflict_handler": "resolve"}
        )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Arguments."""
        super().add_arguments(parser)
        parser.add_argument("sequence", metavar="SEQUENCE", help="slug")
        parser.add_argument("--since", metavar="ISO", required=True)
        parser.add_argument("--until", metavar="ISO", required=True)
        parser.add_argument("--version", dest="number", type=int, metavar="N")
        parser.add_argument("--against", type=int, metavar="N", help="compare with this version")

    def handle(self, *args: Any, **options: Any) -> None:
        """Simulate, and tell."""
        since, until = instant("--since", options["since"]), instant("--until", options["until"])
        slug = options["sequence"]
        try:
            found = backtest(slug=slug, since=since, until=until, version=options["number"])
            report = found.as_dict()
            if options["against"] is not None:
                other = backtest(slug=slug, since=since, until=until, version=options["against"])
                report["difference"] = compare(other, found)
        except NotSimulatedError as error:
            raise CommandError(f"{error}. Nothing was simulated.") from None
        self.say("\n".join(_lines(found, report)), report, as_json=options["json"])


def _lines(found: Backtest, report: dict[str, Any]) -> list[str]:
    lines = []
    for line in found.learners:
        lines += [
            f"{line['email']}: {message['local']}  {message['step']}  {message['status']}"
            for message in line["messages"]
        ]
    for kind, emails in report.get("difference", {}).items():
        lines += [f"{kind}: {email}" for email in emails]
    totals = found.totals
    sent = totals["messages"].get("sent", 0)
    lines.append(
        f"{found.sequence} version {found.version}: {totals['facts']} facts, "
        f"{totals['journeys']} journeys, {sent} messages sent. Digest {found.digest[:16]}."
    )
    return lines
