"""What was backed up comes back row by row, or nothing does; and it sends nothing (S11)."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor

from attendance.models import Learner, Outcome
from config import doctor
from config.backups import archive, load, scheduled, storage
from config.backups.archive import Manifest, Reader
from config.backups.catalogue import Cursor, Table
from config.backups.dump import as_they_are, dump
from delivery import clock
from delivery.models import Delivery, Gate, Installation
from delivery.services.gates import FENCE
from delivery.services.installation import arm
from nurture.models import BackupRun, SequenceVersion
from nurture.services import backup_runs
from tests.factories.delivery import make_delivery
from tests.factories.everything import make_everything
from tests.factories.school import LONG_AGO, make_school
from tests.integration.config.bucket import SECRET, Bucket, bucket

pytestmark = pytest.mark.django_db(transaction=True)
ODD = 'Róża "\\N" \\. \t Маро\r\n\b\v\f 🦊 {a,b} \\'


def run(*command: str, **options: Any) -> dict[str, Any]:
    """Run a command; return what it says to programs."""
    said = StringIO()
    call_command(*command, json=True, stdout=said, **options)
    found: dict[str, Any] = json.loads(said.getvalue().splitlines()[-1])
    return found


def everything() -> dict[str, tuple[int, str]]:
    """Rows and a checksum of each table, generated columns too, by no code of ours."""
    found = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(
                "SELECT count(*), coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '')"
                f' FROM "{table}" AS t'
            )
            found[table] = cursor.fetchone()
    return found


def empty() -> None:
    """As it is after `migrate`."""
    call_command("flush", interactive=False, verbosity=0)


def rows(found: dict[str, tuple[int, str]]) -> set[str]:
    """The tables that have any, besides those that migrating fills."""
    return {table for table, (count, _) in found.items() if count} - load._BY_MIGRATING


def make_world() -> None:
    """Something in every table, and values that are easily spoilt."""
    make_everything()
    learner = Learner.objects.order_by("pk")[0]
    Learner.objects.filter(pk=learner.pk).update(name=ODD)
    Outcome.objects.update(share=0.1 + 0.2, inputs={ODD: [None, 1.5, {"ä": ODD}], "n": 10**18})
    gone = make_delivery()
    gone.delete()  # its number is never given again


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A backup of such a world."""
    make_world()
    path = tmp_path / "backup.zip"
    run("backup", str(path))
    return path


def test_every_table_comes_back_as_it_was(tmp_path: Path) -> None:
    """Also the numbers to come, what guards the tables, and a second time over what is there."""
    make_world()
    path, before = tmp_path / "backup.zip", everything()
    with connection.cursor() as cursor:
        cursor.execute("SELECT last_value FROM nurture_deliveries_id_seq")
        (last,) = cursor.fetchone()
    made = run("backup", str(path))
    assert everything() == before  # it only reads
    assert path.stat().st_mode & 0o777 == 0o600
    assert made["tables"]["attendance_learner"]["rows"] == Learner.objects.count()
    empty()
    assert rows(everything()) == set()

    restored = run("restore", str(path))

    assert everything() == before
    assert len(rows(before)) > 40
    assert restored["tables"] == made["tables"]
    assert restored["pending"] == 0
    assert make_delivery().pk == last + 1
    with pytest.raises(IntegrityError, match="does not change"), transaction.atomic():
        SequenceVersion.objects.filter(status="published").update(name="Other")
    with pytest.raises(CommandError, match=r"not empty: there are rows in .*attendance_learner"):
        run("restore", str(path))
    assert Delivery.objects.filter(pk=last + 1).exists()
    assert run("restore", str(path), replace=True)["tables"] == made["tables"]
    assert everything() == before


def test_all_tables_are_of_one_moment(tmp_path: Path) -> None:
    """Somebody enrols after the first table was read."""

    def meanwhile(cursor: Cursor, table: Table) -> Any:
        email = f"{table.name}@x.org"
        Learner.objects.create(email=email, email_key=email, created_at=LONG_AGO)
        return as_they_are(cursor, table)

    manifest = dump(path=tmp_path / "b.zip", way=meanwhile)

    assert Learner.objects.count() == len(manifest.tables) > 60
    assert {t.rows for t in manifest.tables if t.name.startswith("attendance_learner")} == {0}


def copy_of(path: Path, change: Callable[[str, bytes], bytes], **manifest: Any) -> Path:
    """The same backup with other rows; its manifest vouches for them, but for what is given."""
    other = path.with_name("other.zip")
    with archive.reading(path) as reader, archive.writing(other) as out:
        contents = [
            out.add(
                table.name, table.columns,
                [change(table.name, b"".join(reader.blocks(table)))],
            )
            for table in reader.manifest.tables
        ]  # fmt: skip
        values = {**vars(reader.manifest), "tables": tuple(contents), **manifest}
        out.finish(Manifest(**values))
    return other


def without_course(name: str, data: bytes) -> bytes:
    """Rows of classes point at a course that is not there."""
    return b"" if name == "attendance_course" else data


def test_a_backup_of_older_code_comes_back_with_the_schema_of_then(tmp_path: Path) -> None:
    """Into an empty database that this code has migrated already; then it is migrated again."""
    graph = MigrationExecutor(connection).loader.graph
    (newest,) = graph.leaf_nodes("nurture")
    (older,) = (node.key for node in graph.node_map[newest].parents if node.key[0] == "nurture")
    path = tmp_path / "old.zip"
    try:
        call_command("migrate", *older, verbosity=0)
        Learner.objects.create(email="a@x.org", email_key="a@x.org", created_at=LONG_AGO)
        made = run("backup", str(path))
        call_command("migrate", verbosity=0)
        with pytest.raises(CommandError, match=rf"other migrations .*nurture\.{newest[1]}"):
            run("restore", str(path), replace=True)
        empty()

        restored = run("restore", str(path))

        assert (restored["pending"], restored["tables"]) == (1, made["tables"])
    finally:
        call_command("migrate", verbosity=0)
    assert Learner.objects.get().email == "a@x.org"


def test_what_was_tampered_with_is_refused(backup: Path) -> None:
    """A changed row, a lost end, a file of another kind, newer code: nothing is done."""
    with archive.reading(backup) as reader:
        tables = reader.manifest.tables
        newer = reader.manifest.migrations | {("nurture", "9999_to_come")}
    empty()
    before = everything()
    changed = copy_of(backup, lambda name, data: data.replace(b"Rosa", b"Rasa"), tables=tables)
    with pytest.raises(CommandError, match="are not those of the manifest"):
        run("restore", str(changed))
    future = copy_of(backup, lambda name, data: data, migrations=newer)
    with pytest.raises(CommandError, match=r"newer code: this one lacks nurture.9999_to_come"):
        run("restore", str(future))
    whole = backup.read_bytes()
    for broken in (whole[: len(whole) // 2], b"", b"a,b\n", whole[:300] + b"x" + whole[301:]):
        backup.write_bytes(broken)
        with pytest.raises(CommandError, match=r"is no backup|not all of it|damaged"):
            run("restore", str(backup))
    with pytest.raises(CommandError, match="cannot be read"):
        run("restore", str(backup.with_name("no.zip")))

    assert everything() == before


def test_a_restore_that_fails_half_way_leaves_nothing(
    backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that points nowhere; and the file is lost under our hands in the middle."""
    empty()
    before = everything()
    with pytest.raises(CommandError, match="Nothing was restored; the database says"):
        run("restore", str(copy_of(backup, without_course)))
    assert everything() == before

    whole, read = Reader.blocks, Counter[str]()

    def breaks(reader: Reader, table: archive.Content) -> Iterator[bytes]:
        read[table.name] += 1
        yield from whole(reader, table)
        if read[table.name] == 2 and table.name == "user_nurture_journeys":  # first it is verified
            raise archive.ArchiveError("The rows are damaged.")

    monkeypatch.setattr(Reader, "blocks", breaks)
    with pytest.raises(CommandError, match="are damaged"):
        run("restore", str(backup))
    assert everything() == before
    assert read["attendance_learner"] == 2


@pytest.fixture
def months() -> Iterator[None]:
    """A table in months, one of which somebody made since the migrations."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE months (id int, at timestamptz, PRIMARY KEY (id, at))"
            " PARTITION BY RANGE (at); CREATE TABLE months_2026_03 PARTITION OF months"
            " FOR VALUES FROM ('2026-03-01 00:00Z') TO ('2026-04-01 00:00Z');"
            "INSERT INTO months VALUES (1, '2026-03-31 23:59:59Z')"
        )
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE months")


def test_months_come_back_with_their_rows(months: None, tmp_path: Path) -> None:
    """No migration makes them; and the file cannot have us execute something else."""
    path, before = tmp_path / "b.zip", everything()
    run("backup", str(path))
    bad = (archive.Partition("months_x", "months", "DEFAULT; DROP TABLE auth_user"),)
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE months_2026_03")
    with pytest.raises(CommandError, match="bounds of months_x"):
        run("restore", str(copy_of(path, lambda name, data: data, partitions=bad)))

    run("restore", str(path))

    assert everything() == before
    assert before["months"][0] == 1


def test_a_restored_database_owes_and_sends_nothing_until_it_is_armed(tmp_path: Path) -> None:
    """On the same server under the same name, where nothing else could tell it (promise 7)."""
    now = clock.now()
    assert arm(now=now) == ""
    for _ in range(3):
        make_delivery(due_at=now - timedelta(minutes=1))
    run("backup", str(tmp_path / "b.zip"))
    assert run("send_due", until_empty=True)["sent"] == 3

    said = run("restore", str(tmp_path / "b.zip"), replace=True)

    assert "post_restore" in said["fence"]
    assert Gate.objects.get(key=FENCE).closed_by == "environment fence"
    assert doctor.CHECKS["installation"]().verdict == "fail"
    with pytest.raises(CommandError, match="it is what it was at"):
        run("send_due", until_empty=True)
    assert {*Delivery.objects.values_list("status", flat=True)} == {"pending"}
    with pytest.raises(CommandError, match="yet to come"):  # a wrong zone would give up what is due
        run("post_restore", until=(now + timedelta(hours=2)).isoformat())
    assert {*Delivery.objects.values_list("status", flat=True)} == {"pending"}
    told = run("post_restore", until=now.isoformat())
    assert (told["in_flight"], told["due"]) == (0, 3)
    assert list(Delivery.objects.values_list("status", flat=True)) == ["unknown"] * 3
    Installation.objects.update(environment="production")
    run("backup", str(tmp_path / "b.zip"))
    assert "production" in run("restore", str(tmp_path / "b.zip"), replace=True)["fence"]
    assert not Gate.objects.filter(key=FENCE, closed_until__gt=now).exists()  # arm closes it


@pytest.fixture
def store(settings: Any) -> Iterator[Bucket]:
    """The storage of the settings."""
    with bucket() as kept:
        settings.BACKUP_S3_URL = kept.url()
        yield kept


def test_the_storage_keeps_what_retention_says_and_the_key_to_itself(
    store: Bucket, settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Real requests with real signatures, in parts; then somebody has the wrong key."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(storage, "_PART", 5 << 10)
    now = datetime.now(UTC)
    assert doctor.CHECKS["backups"]().verdict == "not_yet"
    old = [now - timedelta(days=365 + n) for n in range(3)]
    for at in old:
        store.objects[f"telbot/telbot-local-{at:%Y%m%dT%H%M%SZ}.zip"] = b"old"
    store.objects["telbot/readme.txt"] = b"not ours"
    Learner.objects.create(email="a@x.org", email_key="a@x.org", created_at=LONG_AGO)

    done = run("backup", to_storage=True)

    assert done["deleted"] == []  # the last months that have one
    assert f"telbot/{done['file']}" in store.objects
    assert any(line.startswith("POST telbot/telbot-local") for line in store.asked)  # in parts
    store.objects |= {
        f"telbot/telbot-local-{now - timedelta(days=30, hours=n):%Y%m%dT%H%M%SZ}.zip": b"x"
        for n in range(20)
    }
    again = run("backup", to_storage=True)
    assert len(again["deleted"]) >= 10
    assert {"telbot/readme.txt", f"telbot/{again['file']}"} < store.objects.keys()
    newest = BackupRun.objects.latest("started_at")
    assert (newest.kind, newest.file, newest.error) == ("backup", again["file"], "")
    assert newest.rows == again["rows"] > 0
    assert doctor.CHECKS["backups"]().verdict == "pass"

    run("restore", from_storage=True, replace=True)
    assert Learner.objects.get().email == "a@x.org"

    with connection.cursor() as cursor:  # as before the migration that makes this table
        cursor.execute("ALTER TABLE nurture_backuprun RENAME TO later")
        assert scheduled.nightly(now)["rows"] > 0
        cursor.execute("ALTER TABLE later RENAME TO nurture_backuprun")

    settings.BACKUP_S3_URL = store.url(secret="another")
    with pytest.raises(CommandError, match=r"No backup was stored. Cannot store into 127") as said:
        run("backup", to_storage=True)
    assert "another" not in str(said.value)
    failed = BackupRun.objects.latest("started_at")
    assert "StorageError" in failed.error
    BackupRun.objects.update(started_at=now - timedelta(hours=27))
    assert doctor.CHECKS["backups"]().verdict == "fail"
    assert SECRET not in caplog.text
    assert SECRET not in json.dumps(again)
    settings.BACKUP_S3_URL = ""
    assert scheduled.nightly(now) == {}


def test_a_backup_is_good_where_old_ones_cannot_go(store: Bucket) -> None:
    """A key that may not delete stops neither a deploy nor go_no_go; the job tells of it."""
    now, store.keeps = datetime.now(UTC), True
    store.objects |= {
        f"telbot/telbot-local-{now - timedelta(days=30, hours=n):%Y%m%dT%H%M%SZ}.zip": b"x"
        for n in range(20)
    }

    done = run("backup", to_storage=True)

    assert f"telbot/{done['file']}" in store.objects
    assert (done["deleted"], done["problem"][:18]) == ([], "Cannot delete from")
    last = backup_runs.last_good(kind=BackupRun.BACKUP)
    assert last is not None
    assert last.file == done["file"]
    with pytest.raises(scheduled.BackupError, match="Cannot delete"):
        scheduled.nightly(now)


@pytest.mark.slow
@pytest.mark.timeout(300)  # every migration, in a database of its own
def test_a_rehearsal_touches_nothing_and_is_noted(store: Bucket, tmp_path: Path) -> None:
    """The newest of the storage, in a database that has no table yet and is gone afterwards."""
    make_school()
    stored = run("backup", to_storage=True)
    before = everything()

    done = run("rehearse_restore")

    assert done["ok"]
    assert done["file"] == stored["file"]
    assert done["tables"] == stored["tables"]
    after = everything()
    assert {table for table in before if before[table] != after[table]} == {"nurture_backuprun"}
    good = backup_runs.last_good(kind=BackupRun.REHEARSAL)
    assert good is not None
    assert (good.file, good.rows) == (stored["file"], stored["rows"])
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_database WHERE datname LIKE '%%rehearsal'")
        assert cursor.fetchone() == (0,)

    (tmp_path / "broken.zip").write_bytes(b"PK")
    with pytest.raises(CommandError, match=r"The rehearsal failed. broken.zip is no backup"):
        run("rehearse_restore", str(tmp_path / "broken.zip"))
    assert BackupRun.objects.latest("started_at").error.startswith("ArchiveError")
    assert backup_runs.last_good(kind=BackupRun.REHEARSAL) == good
