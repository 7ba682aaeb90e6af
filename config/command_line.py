"""The command line: what every command with --json says where it fails."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any, TextIO

import django
import psycopg
from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line, get_commands
from django.core.management.base import CommandError, SystemCheckError
from django.db import DatabaseError

OURS = frozenset({"attendance", "config", "delivery", "django_dramatiq", "nurture"})
STOPPED = "The command stopped; standard error says why."
#: Commands that tell of wrong keys, or help against them.
MENDING = frozenset({"doctor", "rotate_keys", "backup", "restore", "post_restore", "runsandbox"})
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
            said = str(left.code) if isinstance(left.code, str) else STOPPED
            _fail(heard.last_line, said)
        raise
    except Exception as error:
        _fail(heard.last_line, f"{type(error).__name__}: {error}")
        raise


def _execute(argv: Sequence[str]) -> None:
    from django.conf import settings

    from config import embedded, logs, metrics
    from config.sealed import stock

    try:
        embedded_servers = settings.USES_EMBEDDED_SERVERS  # a wrong setting stops the boot here
    except ImproperlyConfigured as error:
        sys.exit(str(error))
    if embedded_servers:
        embedded.ensure(settings.LOCAL_DIR)
    _set_up()
    if _reads_people(argv) and (problem := stock.problem()):
        sys.exit(f"telbot does not start: {problem}.")
    if LASTING.intersection(argv[1:2]):
        logs.log_crashes()
    if argv[1:2] == ["runbot"]:  # neither requests nor tasks, which would begin it by themselves
        metrics.meters()
    try:
        execute_from_command_line(list(argv))
    except (DatabaseError, psycopg.Error) as error:
        if LASTING.intersection(argv[1:2]) or not (known := _known(error)):
            raise
        sys.exit(f"{known} What was finished before is kept; run the command again then.")


def _known(error: Exception) -> str:
    """What somebody can do about a database that is away or behind; "" where it is neither."""
    from config import views

    cause = error if isinstance(error, psycopg.Error) else error.__cause__
    if isinstance(cause, psycopg.OperationalError) and (cause.sqlstate or "57P").startswith("57P"):
        return f"The database does not answer: {' '.join(str(error).split()).rstrip('.')}."
    if isinstance(cause, psycopg.ProgrammingError) and (pending := views.migrations_problem()):
        return f"The database is not as this code needs it: {pending}."
    return ""


def _set_up() -> None:
    """What is imported lasts: to search it for garbage would cost an eighth of each start."""
    gc.disable()
    django.setup()
    gc.freeze()
    gc.enable()


def _reads_people(argv: Sequence[str]) -> bool:
    """Whether the keys of sealed columns must fit: for commands of ours that do not mend them."""
    name = argv[1] if len(argv) > 1 else ""
    return name not in MENDING and get_commands().get(name) in OURS


def _fail(last_line: str, said: str) -> None:
    try:
        reported = json.loads(last_line)
    except ValueError:
        reported = None
    report = reported if isinstance(reported, dict) else {}
    failure = {**report, "ok": False, "error": said}
    sys.stdout.write(f"{json.dumps(failure, ensure_ascii=False)}\n")
    sys.stdout.flush()
