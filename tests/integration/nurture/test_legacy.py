"""From another PostgreSQL: by the queries of a mapping, everything or nothing (S10)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from psycopg.conninfo import make_conninfo

from attendance.models import ClassSession, Enrolment, Learner, LearnerIdentity, Outcome
from delivery.models import Chat, Consent
from nurture.models import Contact

pytestmark = pytest.mark.django_db
MAPPING = """\
learners:
  query: |
    SELECT mail, full_name, zone, chat, courses FROM pupil ORDER BY id;
  columns:
    email: mail
    name: full_name
    timezone: zone
    telegram_chat_id: chat
    courses: courses
identities:
  query: SELECT mail, 'phone' AS kind, phone FROM pupil WHERE phone IS NOT NULL
  columns: {email: mail, kind: kind, value: phone}
history:
  query: >
    SELECT mail, course, begins, begins + interval '1 hour' AS ends, was
    FROM presence JOIN pupil ON pupil.id = presence.pupil
  columns: {email: mail, course: course, starts_at: begins, ends_at: ends, outcome: was}
"""


@pytest.fixture(scope="module")
def legacy(django_db_setup: None) -> Iterator[str]:
    """A database of its own, on our server, with two pupils; its DSN."""
    ours = settings.DATABASES["default"]
    server = make_conninfo(
        host=ours["HOST"] or ours["OPTIONS"].get("host"),
        port=ours["PORT"] or None,
        user=ours["USER"],
        password=ours["PASSWORD"] or None,
        dbname="postgres",
    )
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute("DROP DATABASE IF EXISTS legacy_school WITH (FORCE)")
        admin.execute("CREATE DATABASE legacy_school")
        dsn = make_conninfo(server, dbname="legacy_school")
        with psycopg.connect(dsn) as school:
            school.execute(
                "CREATE TABLE pupil (id int PRIMARY KEY, mail text, full_name text, zone text,"
                " chat bigint, courses text[], phone text)"
            )
            school.execute(
                "CREATE TABLE presence (pupil int, course text, begins timestamptz, was text)"
            )
            school.execute(
                "INSERT INTO pupil VALUES"
                " (1, 'Rosa@x.org', 'Rosa Maro', 'Europe/Madrid', 77, '{a@x,b@x}', '+4930123456'),"
                " (2, 'bea@x.org', 'Bea Luz', NULL, NULL, NULL, NULL)"
            )
            school.execute(
                "INSERT INTO presence VALUES (1, 'a@x', '2026-03-03T17:00Z', 'late'),"
                " (2, 'a@x', '2026-03-03T17:00Z', 'missed')"
            )
        yield dsn
        admin.execute("DROP DATABASE legacy_school WITH (FORCE)")


def run(tmp_path: Path, dsn: str, mapping: str, *options: str) -> dict[str, Any]:
    """Import by this mapping; return what the command says to programs."""
    file = tmp_path / "mapping.yaml"
    file.write_text(mapping, encoding="utf-8")
    out = StringIO()
    call_command(
        "import_legacy", "--dsn", dsn, "--mapping", str(file), "--json", *options, stdout=out
    )
    said: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return said


def refused(tmp_path: Path, dsn: str, mapping: str) -> str:
    """Import by a mapping that is refused; return what is said."""
    with pytest.raises(CommandError, match=r"^Nothing was imported") as caught:
        run(tmp_path, dsn, mapping)
    assert not Learner.objects.exists()
    return str(caught.value)


def test_a_school_moves_in_once(tmp_path: Path, legacy: str) -> None:
    """Learners with chats, identities and history; tried first, then done, then done again."""
    expected = {
        "learners": {"created": 2, "updated": 0, "unchanged": 0},
        "identities": {"created": 1, "confirmed": 0, "unchanged": 0},
        "history": {
            "classes": 1, "enrolments": 1, "outcomes": 2, "pledges": 0, "kept": 0,
            "pledges_kept": 0,
        },
    }  # fmt: skip
    assert run(tmp_path, legacy, MAPPING, "--dry-run") == {**expected, "dry_run": True}
    assert not Learner.objects.exists()
    assert not Chat.objects.exists()

    assert run(tmp_path, legacy, MAPPING) == {**expected, "dry_run": False}

    contact = Contact.objects.get(learner__email="Rosa@x.org")
    assert contact.chat is not None
    assert (contact.time_zone, contact.chat.telegram_id) == ("Europe/Madrid", 77)
    assert Consent.objects.get().granted
    assert set(
        Enrolment.objects.values_list("learner__email_key", "course__calendar_id")
    ) == {("rosa@x.org", "a@x"), ("rosa@x.org", "b@x"), ("bea@x.org", "a@x")}  # fmt: skip
    assert LearnerIdentity.objects.get(kind="phone").value_key == "+4930123456"
    assert set(Outcome.objects.values_list("learner__email_key", "outcome")) == {
        ("rosa@x.org", "late"),
        ("bea@x.org", "missed"),
    }
    again = run(tmp_path, legacy, MAPPING)
    assert again["learners"] == {"created": 0, "updated": 0, "unchanged": 2}
    assert again["identities"]["unchanged"] == 1
    assert (again["history"]["kept"], again["history"]["classes"]) == (2, 0)
    assert ClassSession.objects.count() == 1


@pytest.mark.parametrize(
    ("query", "columns", "why"),
    [
        ("SELECT 'rosa' AS e, '' AS n", "", "learners: line 1: 'rosa' is not an e-mail address"),
        (
            "SELECT 'a@x.org' AS e, 'A' AS n UNION ALL SELECT 'A@x.org', 'B'",
            "",
            "learners: line 2: 'A@x.org' is the same address as in line 1",
        ),
        ("SELECT 'a@x.org' AS e, 'A' AS n, 0 AS c", ", telegram_chat_id: c", "out of range"),
        ("SELECT 'a@x.org' AS e", "", "line 3: learners.columns.name: the query has no column 'n'"),
        ("SELEC 1", "", "line 2: learners.query: the other database says: syntax error"),
        (
            "SELECT 'a@x.org' AS e, 'A' AS n, 1 / (g - 3) AS c FROM generate_series(1, 9) AS g",
            "",
            "line 2: learners.query: the other database says: division by zero",
        ),
        ("DELETE FROM pupil RETURNING mail AS e, '' AS n", "", "the other database says: "),
        (
            "WITH x AS (DELETE FROM pupil RETURNING mail) SELECT mail AS e, mail AS n FROM x",
            "",
            "the other database says: ",
        ),
    ],
)
def test_bad_rows_and_queries_write_nothing(
    tmp_path: Path, legacy: str, query: str, columns: str, why: str
) -> None:
    """Here nor there."""
    mapping = (
        f"learners:\n  query: {json.dumps(query)}\n  columns: {{email: e, name: n{columns}}}\n"
    )

    assert why in refused(tmp_path, legacy, mapping)

    with psycopg.connect(legacy) as school:
        row = school.execute("SELECT count(*) FROM pupil").fetchone()
    assert row == (2,)


def test_what_follows_a_bad_part_is_not_kept_either(tmp_path: Path, legacy: str) -> None:
    """The learners were good; the history was not."""
    mapping = MAPPING.replace("outcome: was", "outcome: course")

    said = refused(tmp_path, legacy, mapping)

    assert "history: line 1: the outcome 'a@x' is none of" in said
    assert "history: line 2:" in said


@pytest.mark.parametrize(
    ("mapping", "why"),
    [
        ("", "line 1: expected one or more of the keys learners, identities, history"),
        ("- learners\n", "line 1: expected one or more of the keys"),
        ("learners: [\n", "line 2: "),
        ("pupils: {}\n", "line 1: pupils: unknown key; known are learners, identities, history"),
        ("learners: yes\n", "line 1: learners: expected `query` and `columns`"),
        (
            "learners:\n  columns: {email: e, name: n}\n",
            "line 1: learners.query: expected a SELECT",
        ),
        ("learners:\n  query: SELECT 1\n", "line 1: learners.columns: expected ours: theirs"),
        (
            "learners:\n  query: SELECT 1\n  columns:\n    email: e\n",
            "line 3: learners.columns.name: is missing",
        ),
        (
            "learners:\n  query: SELECT 1\n  columns:\n    email: e\n    name: n\n    age: a\n",
            "line 6: learners.columns.age: unknown column; known are email, name, timezone",
        ),
        (
            "learners:\n  query: SELECT 1\n  columns:\n    email: e\n    name: 7\n",
            "line 5: learners.columns.name: expected the name of a column",
        ),
        (
            "learners:\n  query: SELECT 1\n  columns: {email: e, name: n}\n  limit: 7\n",
            "line 4: learners.limit: unknown key",
        ),
    ],
)
def test_a_mistake_in_the_mapping_is_named(tmp_path: Path, mapping: str, why: str) -> None:
    """By key and line, before the other database is asked."""
    assert why in refused(tmp_path, "host=127.0.0.1 port=1", mapping)


@pytest.mark.parametrize(
    ("dsn", "why"),
    [
        ("postgresql://rosa:s3cret@127.0.0.1:1/x", "does not answer: .*refused"),
        ("host=127.0.0.1 port=1 password=s3cret dbname=s3cret", "does not answer"),
        ("postgresql://rosa:s3cret@127.0.0.1:port/x", "does not answer|not understood"),
        ("postgresql://rosa:s3cret@[::1/x", "--dsn is not understood"),
        ("rosa:s3cret", "--dsn is not understood"),
        ("host=127.0.0.1 port=1 password=s3cret sslmode=s3cret", "does not answer"),
    ],
)
def test_the_password_is_never_told(tmp_path: Path, dsn: str, why: str) -> None:
    """Not in the message, and not in what hangs behind it."""
    file = tmp_path / "mapping.yaml"
    file.write_text(MAPPING)
    with pytest.raises(CommandError, match=why) as caught:
        call_command("import_legacy", "--dsn", dsn, "--mapping", str(file))

    error: BaseException | None = caught.value
    assert "s3cret" not in str(error)
    assert error is not None
    assert error.__suppress_context__


def test_many_learners_take_few_statements(tmp_path: Path, legacy: str) -> None:
    """Each thousand costs the same handful, and says so where it is asked for."""
    counts = []
    for number in (1000, 2000):
        mapping = (
            "learners:\n  query: SELECT 'p' || g || '@x.org' AS mail, 'P' AS name, g AS chat,"
            f" 'a@x' AS c FROM generate_series(1, {number}) AS g\n"
            "  columns: {email: mail, name: name, telegram_chat_id: chat, courses: c}\n"
        )
        with CaptureQueriesContext(connection) as queries:
            run(tmp_path, legacy, mapping, "--dry-run")
        counts.append(len(queries))

    assert counts[1] - counts[0] < 40

    err = StringIO()
    call_command(
        "import_legacy", "--dsn", legacy, "--mapping", str(tmp_path / "mapping.yaml"),
        verbosity=2, stdout=StringIO(), stderr=err,
    )  # fmt: skip
    assert err.getvalue().splitlines() == ["learners: 1000 rows …", "learners: 2000 rows …"]
    assert Contact.objects.filter(chat__isnull=False).count() == 2000
