"""Write one journey down without personal data, for whoever is to find out what happened."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from delivery import clock
from nurture.management.base import JsonCommand
from nurture.models import Journey
from nurture.services import cases


class Command(JsonCommand):
    """The number of a journey is in the address of its page in the admin."""

    help = "Export one journey without personal data; case_replay decides about it again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Arguments."""
        super().add_arguments(parser)
        parser.add_argument("journey", type=int, metavar="JOURNEY_ID")
        parser.add_argument("file", metavar="FILE")

    def handle(self, *args: Any, **options: Any) -> None:
        """Read and write."""
        rows = Journey.objects.select_related(
            "learner", "course", "sequence", "version__sequence", "cause__outcome__policy"
        )
        journey = rows.filter(pk=options["journey"]).first()
        if journey is None:
            raise CommandError(f"There is no journey {options['journey']}. Nothing was written.")
        case = cases.export(journey=journey, now=clock.now())
        text = json.dumps(case, ensure_ascii=False, indent=1)
        try:
            Path(options["file"]).write_text(f"{text}\n", encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be written: {error.strerror}.") from None
        doubts = "".join(f" A replay may differ: {why}." for why in case["doubts"])
        self.say(
            f"{len(case['decisions'])} decisions, digest {case['digest'][:16]}.{doubts}",
            {"decisions": len(case["decisions"]), "digest": case["digest"],
             "doubts": case["doubts"]},
            as_json=options["json"],
        )  # fmt: skip
