"""What the commands that bring something in have in common."""

from __future__ import annotations

import io
import json
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError, OperationalError

from attendance.domain.imports import BATCH
from attendance.services.imports import ImportRefusedError

MOST_LISTED = 50
MOST_BYTES = 64 * 1024**2  # of a file, which is read whole; some hundred thousand lines

T = TypeVar("T")


class ImportCommand(BaseCommand):
    """All or nothing, with --dry-run and --json, and progress where somebody watches."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options that every import has."""
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would change, and change nothing"
        )
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def say(self, sentence: str, report: Mapping[str, Any], options: Mapping[str, Any]) -> None:
        """Tell people, and programs if they asked."""
        tried = bool(options["dry_run"])
        before = "Only tried, nothing was kept. It would be: " if tried else ""
        self.stdout.write(before + sentence)
        if options["json"]:
            self.stdout.write(json.dumps({**report, "dry_run": tried}, ensure_ascii=False))

    def counted(self, items: Iterable[T], options: Mapping[str, Any]) -> Iterator[T]:
        """Pass items on, and say on stderr how many they were at each thousand."""
        for number, item in enumerate(items, start=1):
            yield item
            if number % BATCH == 0:
                self.progress(f"{number} lines", options)

    def progress(self, words: str, options: Mapping[str, Any]) -> None:
        """Say how far it went, where somebody watches or asked for it."""
        if options["verbosity"] >= 2 or self.stderr.isatty():
            self.stderr.write(f"{words} …", style_func=str)


@contextmanager
def refusing() -> Iterator[None]:
    """Turn what stops an import into a CommandError that says what to do."""
    try:
        yield
    except ImportRefusedError as refused:
        raise refusal([str(problem) for problem in refused.problems]) from None
    except (IntegrityError, OperationalError):
        raise CommandError(
            "The database broke off: somebody else wrote to the same rows at the same time, or it "
            "went away. Nothing was imported; run the same command again."
        ) from None


def refusal(problems: Sequence[str]) -> CommandError:
    """The error that lists what is wrong with a file."""
    listed = list(problems[:MOST_LISTED])
    if rest := len(problems) - len(listed):
        listed.append(f"… and {rest} more")
    return CommandError("\n".join(["Nothing was imported. What is wrong:", *listed]))


def open_lines(name: str) -> Iterable[str]:
    """The lines of a UTF-8 file given on the command line, with or without a byte order mark."""
    try:
        if Path(name).stat().st_size > MOST_BYTES:
            raise CommandError(
                f"{name} is larger than {MOST_BYTES:,} bytes. Nothing was imported; split it."
            )
        content = Path(name).read_bytes()
        return io.StringIO(content.decode("utf-8-sig"), newline="")
    except OSError as error:
        raise CommandError(
            f"{name} cannot be read: {error.strerror}. Nothing was imported."
        ) from None
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise CommandError(
            f"{name} is not UTF-8 text in line {line}. Nothing was imported; "
            "save it as UTF-8 and try again."
        ) from None
