"""How right attendance is, against a list of people who were there."""

from __future__ import annotations

import csv
import json
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from attendance.domain.evaluation import Evaluation, Share
from attendance.domain.identity import email_key
from attendance.domain.kinds import OutcomeKind
from attendance.models import ClassSession, Learner
from attendance.selectors.accuracy import GoldPair, evaluate_gold

COLUMNS = ("email", "session", "outcome")
MOST_TOLD = 20


class Command(BaseCommand):
    """Confusion matrix, accuracy, coverage, false absences and identity, with 95 % intervals."""

    help = "Measure outcomes against GOLD.csv: email,session,outcome[,endpoints]."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options."""
        parser.add_argument("file", type=Path, metavar="GOLD.csv")
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Read, measure, tell; raise CommandError with every bad line."""
        try:
            text = options["file"].read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{options['file']} cannot be read: {error}") from None
        gold = _read(text)
        found = evaluate_gold(gold)
        classes = len({pair.session_id for pair in gold})
        self.stdout.write("\n".join(_table(found)))
        self.stdout.write(f"\n{len(gold)} pairs of learner and class, {classes} classes.")
        for share in found.shares:
            self.stdout.write(_words(share))
        if found.hard_cases.verdict != "pass":
            self.stdout.write(
                f"Warning: only {found.hard_cases.value or 0:.0%} of the pairs are not plainly "
                "attended; with so few hard cases the figures flatter. 30 % are asked for."
            )
        if options["json"]:
            self.stdout.write(json.dumps(_as_dict(found, pairs=len(gold), classes=classes)))


def _read(text: str) -> list[GoldPair]:
    rows = csv.DictReader(text.splitlines())
    missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        raise CommandError(f"line 1: the columns {', '.join(missing)} are missing")
    learners = dict(Learner.objects.values_list("email_key", "pk"))
    by_event = dict(ClassSession.objects.order_by("starts_at").values_list("event_id", "pk"))
    by_pk = {str(pk): pk for pk in by_event.values()}
    errors: list[str] = []
    pairs: dict[tuple[int, int], GoldPair] = {}
    for row in rows:
        line = rows.line_num
        said = {name: (row.get(name) or "").strip() for name in (*COLUMNS, "endpoints")}
        problems = list(_problems(said, learners, by_event | by_pk))
        errors += [f"line {line}: {problem}" for problem in problems]
        if problems:
            continue
        pair = GoldPair(
            learner_id=learners[email_key(said["email"])],
            session_id=(by_event | by_pk)[said["session"]],
            outcome=OutcomeKind(said["outcome"]),
            endpoints=frozenset(filter(None, said["endpoints"].split(";"))),
        )
        if (pair.learner_id, pair.session_id) in pairs:
            errors.append(f"line {line}: this learner and class stand in the file already")
        pairs[pair.learner_id, pair.session_id] = pair
    if errors:
        told = "\n".join(errors[:MOST_TOLD])
        more = f"\nand {len(errors) - MOST_TOLD} more" if len(errors) > MOST_TOLD else ""
        raise CommandError(f"Nothing was measured:\n{told}{more}")
    if not pairs:
        raise CommandError("Nothing was measured: the file has no line beside its header.")
    return list(pairs.values())


def _problems(
    said: dict[str, str], learners: dict[str, int], sessions: dict[str, int]
) -> Iterator[str]:
    if email_key(said["email"]) not in learners:
        yield f"there is no learner {said['email']!r}"
    if said["session"] not in sessions:
        yield f"there is no class {said['session']!r}"
    if said["outcome"] not in set(OutcomeKind):
        yield f"{said['outcome']!r} is no outcome ({', '.join(OutcomeKind)})"


def _table(found: Evaluation) -> Iterator[str]:
    """Rows: what it was. Columns: what we say."""
    kinds = [k for k in OutcomeKind if any(k in pair for pair in found.confusion)]
    wide = max(len("it was \\ we say"), *(len(kind) for kind in kinds))
    yield " ".join([f"{'it was / we say':{wide}}", *(f"{k:>10}" for k in kinds), f"{'all':>6}"])
    for gold in kinds:
        row = [found.confusion.get((gold, ours), 0) for ours in kinds]
        yield " ".join([f"{gold:{wide}}", *(f"{n:>10}" for n in row), f"{sum(row):>6}"])
    columns = [sum(found.confusion.get((gold, ours), 0) for gold in kinds) for ours in kinds]
    yield " ".join([f"{'all':{wide}}", *(f"{n:>10}" for n in columns), f"{sum(columns):>6}"])


def _words(share: Share) -> str:
    low, high = share.interval
    value = "–" if share.value is None else f"{share.value:.1%}"
    counted = f"{share.hits} of {share.of}; 95 %: {low:.1%} to {high:.1%}"
    return f"{share.name}: {value} ({counted})" + (f"  {share.verdict}" if share.verdict else "")


def _as_dict(found: Evaluation, *, pairs: int, classes: int) -> dict[str, Any]:
    confusion: dict[str, dict[str, int]] = {}
    for (gold, ours), count in found.confusion.items():
        confusion.setdefault(gold.value, {})[ours.value] = count
    return {
        "pairs": pairs,
        "classes": classes,
        "confusion": confusion,
        "figures": {
            share.name.replace(" ", "_"): {
                "value": share.value,
                "hits": share.hits,
                "of": share.of,
                "low": share.interval[0],
                "high": share.interval[1],
                "verdict": share.verdict,
            }
            for share in (*found.shares, found.hard_cases)
        },
    }
