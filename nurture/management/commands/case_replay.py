"""Decide about an exported journey again, with the engine as it is here."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from nurture.management.base import JsonCommand, read_text
from nurture.services import cases


class Command(JsonCommand):
    """Exit code 0 where every decision is the same; nothing is written or sent."""

    help = "Replay a file of case_bundle through the engine and compare every decision."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Arguments."""
        super().add_arguments(parser)
        parser.add_argument("file", metavar="FILE")

    def handle(self, *args: Any, **options: Any) -> None:
        """Read, replay, compare."""
        try:
            case = json.loads(read_text(options["file"]))
            if not isinstance(case, dict):
                raise cases.UnknownCaseError("this is no case")
            (found,) = cases.replay(case)
        except (KeyError, ValueError) as error:
            raise CommandError(f"{options['file']}: {error}. Nothing was replayed.") from None
        report = {"ok": found.same, "digest": found.digest, "original": case["digest"],
                  "decisions": found.decisions, "difference": found.difference}  # fmt: skip
        same = "the same" if found.same else "not the same"
        self.say(
            f"{len(found.decisions)} decisions, {same}. Digest {found.digest[:16]}.",
            report,
            as_json=options["json"],
        )
        if not found.same:
            doubts = "".join(f" {why.capitalize()}." for why in case["doubts"])
            raise CommandError(f"It comes out otherwise: {found.difference}.{doubts}")
