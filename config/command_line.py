"""The command line: what every command with --json says where it fails."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any, TextIO

from django.core.management import execute_from_command_line
from django.core.management.base import CommandError, SystemCheckError

#: Commands that last: what kills one is a log line, no answer to whoever typed it.
LASTING = frozenset({"runclock", "runbot", "runsandbox"})


class _Heard:
    """Standard output that remembers the last line it was given."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.last_line = ""

    def write(self, text: str) -> int:
        self.last_line = text.strip().rpartition("\n")[2] or self.last_line
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def run(argv: Sequence[str]) -> None:
    """Run a management command.

    With --json its last line is one JSON object also where it fails, whatever the reason: `ok` is
    false, `error` says what stderr says, and beside them is what the command had reported before.
    """
    if "--json" not in argv:
        _execute(argv)
        return
    heard = _Heard(sys.stdout)
    try:
        with redirect_stdout(heard):
            # With --traceback Django raises a CommandError instead of telling it by itself.
            _execute([*argv[:2], "--traceback", *argv[2:]])
    except CommandError as error:
        said = str(error)
        is_report = isinstance(error, SystemCheckError)
        sys.stderr.write(f"{said if is_report else f'{type(error).__name__}: {said}'}\n")
        _fail(heard.last_line, said)
        sys.exit(error.returncode)
    except SystemExit as left:
        if left.code:
            _fail(heard.last_line, "The command stopped; standard error says why.")
        raise
    except Exception as error:
        _fail(heard.last_line, f"{type(error).__name__}: {error}")
        raise


def _execute(argv: Sequence[str]) -> None:
    from django.conf import settings  # a wrong setting stops the boot here

    from config import embedded, logs, metrics

    if settings.USES_EMBEDDED_SERVERS:
        embedded.ensure(settings.LOCAL_DIR)
    if LASTING.intersection(argv[1:2]):
        logs.log_crashes()
    if argv[1:2] == ["runbot"]:  # neither requests nor tasks, which would begin it by themselves
        metrics.meters()
    execute_from_command_line(list(argv))


def _fail(last_line: str, said: str) -> None:
    try:
        reported = json.loads(last_line)
    except ValueError:
        reported = None
    report = reported if isinstance(reported, dict) else {}
    failure = {**report, "ok": False, "error": said}
    sys.stdout.write(f"{json.dumps(failure, ensure_ascii=False)}\n")
    sys.stdout.flush()
