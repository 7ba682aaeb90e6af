"""Moving in from another PostgreSQL, rehearsed: 10,000 learners, their chats and their past.

`make rehearse-import`, or `SHORT=1 make rehearse-import`. The other database is made for it on the
same server, as is the one that is filled; both are dropped. Prints a table and one JSON object as
the last line. It fails where the results are wrong, never for a time.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

import psycopg  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from psycopg.conninfo import make_conninfo  # noqa: E402

from attendance.models import Learner, Outcome, Pledge  # noqa: E402
from config.backups.catalogue import own_connection  # noqa: E402
from delivery.models import Chat  # noqa: E402
from tests.bench.report import WrongResultError, expect, table  # noqa: E402
from tests.bench.worlds import own_database  # noqa: E402

NAME = "telbot_bench_legacy"
#: Learners of a course, and the classes that each course had.
EACH, CLASSES = 20, 10

SCHOOL = """
CREATE TABLE pupil (id int PRIMARY KEY, mail text, full_name text, zone text, chat bigint,
                    phone text, course int);
CREATE TABLE lesson (id int PRIMARY KEY, course int, begins timestamp);
CREATE TABLE presence (lesson int, pupil int, mark char(1), promised boolean);
INSERT INTO pupil
SELECT n, 'Pupil.' || n || '@school.example', 'Ана Pupil ' || n,
       (ARRAY['Europe/Madrid', 'Europe/Berlin', NULL])[1 + n % 3],
       CASE WHEN n % 10 > 0 THEN 7000000000 + n END,
       CASE WHEN n % 2 = 0 THEN '+4930' || (1000000 + n) END, n / {each}
  FROM generate_series(0, {learners} - 1) AS n;
INSERT INTO lesson
SELECT c * {classes} + n, c, timestamp '2026-03-02 18:00' + n * interval '1 week'
  FROM generate_series(0, {courses} - 1) AS c, generate_series(0, {classes} - 1) AS n;
INSERT INTO presence
SELECT l.id, p.id, (ARRAY['P', 'P', 'P', 'L', 'A'])[1 + (l.id + p.id) % 5],
       CASE WHEN p.id % 3 = 0 THEN (l.id + p.id) % 5 < 4 END
  FROM lesson l JOIN pupil p ON p.course = l.course;
"""
MAPPING = """\
learners:
  query: >
    SELECT mail, full_name, zone, chat,
           'c' || course || '@group.calendar.example' AS calendar FROM pupil ORDER BY id
  columns: {email: mail, name: full_name, timezone: zone, telegram_chat_id: chat, courses: calendar}
identities:
  query: SELECT mail, 'phone' AS kind, phone FROM pupil WHERE phone IS NOT NULL ORDER BY id
  columns: {email: mail, kind: kind, value: phone}
history:
  query: >
    SELECT p.mail, 'c' || l.course || '@group.calendar.example' AS calendar,
           l.begins AT TIME ZONE 'Europe/Madrid' AS begins,
           (l.begins + interval '1 hour') AT TIME ZONE 'Europe/Madrid' AS ends,
           CASE a.mark WHEN 'P' THEN 'attended' WHEN 'L' THEN 'late' ELSE 'missed' END AS was,
           CASE a.promised WHEN true THEN 'kept' WHEN false THEN 'broken' END AS promise
    FROM presence a JOIN lesson l ON l.id = a.lesson JOIN pupil p ON p.id = a.pupil
    ORDER BY l.id, p.id
  columns:
    {email: mail, course: calendar, starts_at: begins, ends_at: ends, outcome: was, pledge: promise}
"""


@dataclass(frozen=True)
class School:
    """How large it is, and so what must come of it."""

    learners: int

    @property
    def outcomes(self) -> int:
        """Everybody had every class of their course."""
        return self.learners * CLASSES

    @property
    def pledges(self) -> int:
        """Every third promised something before each."""
        return -(-self.learners // 3) * CLASSES

    @property
    def chats(self) -> int:
        """All but every tenth."""
        return self.learners - self.learners // 10


@contextmanager
def legacy_database(school: School) -> Iterator[str]:
    """The other system's database with the school in it; yields its DSN, then drops it."""
    with own_connection(autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
        server.execute(f"CREATE DATABASE {NAME}")
        dsn = make_conninfo(server.info.dsn, dbname=NAME, password=server.info.password or None)
        try:
            with psycopg.connect(dsn) as other:
                courses = -(-school.learners // EACH)
                other.execute(
                    SCHOOL.format(
                        learners=school.learners, each=EACH, courses=courses, classes=CLASSES
                    )
                )
            yield dsn
        finally:
            server.execute(f"DROP DATABASE {NAME} WITH (FORCE)")


def move_in(dsn: str, *options: str) -> tuple[dict[str, Any], float, float]:
    """Run the command; return what it says to programs, the seconds, and those of them it worked.

    The rest it waited for PostgreSQL, or for a core that others used.
    """
    said, began, worked = StringIO(), time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        mapping = Path(folder) / "school.yaml"
        mapping.write_text(MAPPING)
        call_command(
            "import_legacy",
            "--dsn",
            dsn,
            "--mapping",
            str(mapping),
            "--json",
            *options,
            stdout=said,
        )
    report: dict[str, Any] = json.loads(said.getvalue().splitlines()[-1])
    return report, time.perf_counter() - began, time.process_time() - worked


def rehearse(school: School) -> dict[str, Any]:
    """Tried, done, and done again; raises WrongResultError where a count is not what it must be."""
    with own_database(), legacy_database(school) as dsn:
        tried, tried_seconds, _ = move_in(dsn, "--dry-run")
        expect("learners after the trial", Learner.objects.count(), 0)
        done, seconds, worked = move_in(dsn)
        expect("what the trial said", {**tried, "dry_run": False}, done)
        checked = {
            "learners": (Learner.objects.count(), school.learners),
            "chats": (Chat.objects.count(), school.chats),
            "outcomes": (Outcome.objects.count(), school.outcomes),
            "pledges": (Pledge.objects.count(), school.pledges),
        }
        for what, (found, expected) in checked.items():
            expect(what, found, expected)
        before = fingerprint()
        again, again_seconds, _ = move_in(dsn)
        expect("rows after the second time", fingerprint(), before)
        expect("created the second time", again["learners"]["created"], 0)
        kept = keep_and_bring_back()
    return {
        **kept,
        **{what: found for what, (found, _) in checked.items()},
        "seconds": seconds,
        "of_which_worked": worked,
        "trial_seconds": tried_seconds,
        "again_seconds": again_seconds,
        "learners_per_second": school.learners / seconds,
        "said": done,
    }


def keep_and_bring_back() -> dict[str, Any]:
    """Back all of it up, and restore that into a third database."""
    with tempfile.TemporaryDirectory() as folder:
        path, said = Path(folder) / "backup.zip", StringIO()
        began = time.perf_counter()
        call_command("backup", str(path), stdout=StringIO())
        took = time.perf_counter() - began
        call_command("rehearse_restore", str(path), "--json", stdout=said)
        restored = json.loads(said.getvalue().splitlines()[-1])
        return {
            "rows": restored["rows"],
            "backup_seconds": took,
            "backup_mb": path.stat().st_size / 1e6,
            "restore_seconds": restored["seconds"],
        }


def fingerprint() -> dict[str, str]:
    """A checksum of every table."""
    found = {}
    with connection.cursor() as cursor:
        for name in connection.introspection.table_names():
            cursor.execute(
                f"SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM"
                f' "{name}" AS t'
            )
            found[name] = cursor.fetchone()[0]
    return found


def main() -> None:
    """Rehearse; exit non-zero where a result is wrong."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="500 learners")
    short = parser.parse_args().short
    try:
        found = rehearse(School(learners=500 if short else 10_000))
    except WrongResultError as error:
        sys.exit(f"wrong: {error}")
    table(
        [
            ("learners", found["learners"], ""),
            ("chats", found["chats"], ""),
            ("outcomes of the past", found["outcomes"], ""),
            ("pledges of the past", found["pledges"], ""),
            ("trial run, seconds", found["trial_seconds"], ""),
            ("import, seconds", found["seconds"], ""),
            ("  of the seconds, this process computing", found["of_which_worked"], ""),
            ("second import, which changes nothing, seconds", found["again_seconds"], ""),
            ("rows in all", found["rows"], ""),
            ("backup of all of it, seconds", found["backup_seconds"], ""),
            ("  the file, MB", found["backup_mb"], ""),
            ("restore into an empty database, seconds", found["restore_seconds"], ""),
        ]
    )
    sys.stdout.write(json.dumps({"short": short, **found}, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
