"""Staging is like production, and nobody of production is in it (S09)."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection, models

from attendance.domain.identity import email_key, name_key
from attendance.models import ClassSession, Endpoint, Learner, LearnerIdentity
from attendance.selectors import named
from config import audit, jobs
from config.backups import archive, scrubbed
from config.backups.anonymise import changes_of
from config.backups.disguise import Disguise
from config.sealed import stock
from config.sealed.box import box
from config.sealed.fields import Sealed, SealedInteger, SealedJSON
from delivery import selectors
from delivery.models import ArchivedDelivery, Attempt, Chat, Delivery, InboundUpdate
from delivery.services import archive as archive_old
from nurture.models import Job, JobRun
from nurture.services.jobs import list_jobs
from tests.factories.delivery import make_delivery
from tests.factories.everything import make_everything
from tests.factories.nurture import settle
from tests.factories.privacy import NOW, WORDS, ask, make_rosa, totals
from tests.factories.school import LONG_AGO
from tests.integration.config.test_backups import empty, everything, run

pytestmark = pytest.mark.django_db(transaction=True)
TEXTS = (models.CharField, models.TextField, models.JSONField, models.BigIntegerField)
NUMBER = 98765 * 10**9
PRODUCTION, STAGING = (base64.urlsafe_b64encode(bytes([n]) * 32).decode() for n in (1, 2))
Column = tuple[type[models.Model], "models.Field[Any, Any]"]


def columns() -> Iterator[Column]:
    """Every column that can hold a text, a JSON value or a number of somebody, of every model."""
    for model in apps.get_models(include_auto_created=True):
        if model._meta.proxy or model._meta.label in scrubbed.LEFT_OUT:
            continue
        for field in model._meta.concrete_fields:
            generated = isinstance(field, models.GeneratedField)
            listed = bool(field.choices) or field.is_relation or field.primary_key or generated
            if isinstance(field, TEXTS) and not listed:
                yield model, field


def kept(column: Column) -> bool:
    model, field = column
    return f"{model._meta.label}.{field.name}" in scrubbed.KEPT


def planted(column: Column) -> Any:
    """An SQL expression with a marker in it, another one in each row."""
    model, field = column
    way = scrubbed.DISGUISED.get(f"{model._meta.label}.{field.name}", "")
    if f"{model._meta.label}.{field.name}" in scrubbed.ROWS_OF:
        row = {"last_error": "zqx", "trace": "zqx", "zqx": "zqx", "message_id": NUMBER}
        return f"'{json.dumps([row, row | {'description': 'zqx'}])}'"
    if way == "addresses":
        return """'["zqx@marker.example"]'"""
    if isinstance(field, models.JSONField) and way == "prose":
        return """'{"es": "zqx@marker.example"}'"""
    if isinstance(field, models.JSONField):
        return """'{"zqx": ["Zqx", {"a": "zqx@marker.example"}]}'"""
    if isinstance(field, models.BigIntegerField):
        return f"{NUMBER} + row_number"
    if way == "prose":
        return "'write to zqx' || row_number || '@marker.example'"
    return f"left('zqx' || row_number || ' Zqx@Marker.Example', {field.max_length or 999})"


def plant(column: Column) -> bool:
    """Put markers into every row; False where the table has none."""
    model, field = column
    if isinstance(field, Sealed):
        return plant_sealed(model._meta.db_table, field)
    table, key = model._meta.db_table, model._meta.pk.column
    with connection.cursor() as cursor:
        cursor.execute(
            f'UPDATE "{table}" AS t SET "{field.column}" = {planted(column)} FROM'
            f' (SELECT "{key}" AS pk, row_number() OVER () FROM "{table}") AS n'
            f' WHERE n.pk = t."{key}"'
        )
        return bool(cursor.rowcount > 0)


def sealed(field: Sealed, number: int) -> str:
    """A marker as the column stores it: every other one as it is where no key was set."""
    value: Any = f"zqx{number} Zqx@Marker.Example"
    if isinstance(field, SealedJSON):
        value = {"zqx": ["Zqx", {"a": value}]}
    if isinstance(field, SealedInteger):
        value = NUMBER + number
    text = field.to_text(value)
    return box().seal(text, field.purpose) if number % 2 else f"plain:{text}"


def plant_sealed(table: str, field: Sealed) -> bool:
    """The same in a column that is sealed."""
    keys = ask(f'SELECT id FROM "{table}" ORDER BY id')
    rows = [(sealed(field, number), key) for number, key in enumerate(keys, 1)]
    with connection.cursor() as cursor:
        cursor.executemany(f'UPDATE "{table}" SET "{field.column}" = %s WHERE id = %s', rows)
    return bool(rows)


def under() -> set[str]:
    """The keys under which sealed values stand, by their ids; `plain`: under none."""
    return {key for counts in stock.held().values() for key in counts}


def guards(word: str) -> None:
    """Switch off, or on, what keeps history as it is."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'ALTER TABLE "{table}" {word} TRIGGER USER')


def written(path: Path) -> str:
    """All that is in the file."""
    with archive.reading(path) as reader:
        parts = [b"".join(reader.blocks(table)) for table in reader.manifest.tables]
        return b"".join(parts).decode() + reader.manifest.as_json()


def test_no_marker_in_any_column_survives(tmp_path: Path, settings: Any) -> None:
    """Every text, JSON value and large number that is not listed as kept, also in new columns.

    What is sealed with production's key is disguised, too, and needs no key any more.
    """
    settings.FIELD_ENCRYPTION_KEY = (PRODUCTION,)
    make_everything()
    guards("DISABLE")
    filled = [column for column in columns() if not kept(column) and plant(column)]
    guards("ENABLE")
    before, found = everything(), {one.rule for one in audit.examine()}
    path = tmp_path / "staging.zip"
    assert under() == {"plain", box().newest}
    settings.FIELD_ENCRYPTION_KEY = (STAGING,)
    with pytest.raises(CommandError, match=r"Nothing was written: .* which is not in FIELD_ENC"):
        run("anonymised_dump", str(path))
    assert list(tmp_path.iterdir()) == []
    settings.FIELD_ENCRYPTION_KEY = (PRODUCTION,)

    run("anonymised_dump", str(path))

    assert len(filled) > 70
    assert re.findall(f"(?i).*zqx.*|.*{NUMBER // 10**9}0000.*", written(path)) == []
    empty()
    settings.FIELD_ENCRYPTION_KEY = ()
    run("restore", str(path))
    assert under() == {"plain"}
    left_out = {apps.get_model(label)._meta.db_table for label in scrubbed.LEFT_OUT}
    after = everything()
    counts = {table: count for table, (count, _) in before.items() if table not in left_out}
    assert {table: count for table, (count, _) in after.items() if count} == {
        table: count for table, count in counts.items() if count
    }
    assert {one.rule for one in audit.examine()} == found


def test_what_is_not_listed_is_disguised_also_where_there_is_no_row_yet() -> None:
    """And the lists name no column that is not there."""
    disguise, bare = Disguise(b"k"), []
    for model, field in columns():
        (change,) = changes_of(model, [str(field.column)], disguise)
        name = f"{model._meta.label}.{field.name}"
        value = '[{"zqx": "zqx"}]' if name in scrubbed.ROWS_OF else '["zqx@x.org"]'
        if isinstance(field, Sealed):
            value = sealed(field, 0)
        if not kept((model, field)) and (
            change is None or {"zqx", str(NUMBER)} & set(re.findall(r"zqx|\d+", change(value)))
        ):
            bare.append(f"{model._meta.label}.{field.name}")
    assert bare == []
    there = {f"{m._meta.label}.{f.name}" for m in apps.get_models() for f in m._meta.fields}
    assert {*scrubbed.KEPT, *scrubbed.DISGUISED, *scrubbed.ROWS_OF} - there == set()
    assert {model._meta.label for model in apps.get_models()} >= scrubbed.LEFT_OUT


def make_past() -> Delivery:
    """A delivery of the archive, of which Telegram spoke by name."""
    row = make_delivery()
    Attempt.objects.create(
        delivery=row, fence=1, started_at=LONG_AGO, finished_at=LONG_AGO, outcome="sent",
        description="sent to Rosa",
    )  # fmt: skip
    settle(row, at=LONG_AGO)
    Delivery.objects.filter(pk=row.pk).update(
        observed_at=LONG_AGO, last_error="Rosa is away", window_zone="Asia/Tokyo"
    )
    archive_old(delivery_ids=[row.pk], before=NOW)
    return selectors.delivery(row.pk)


def test_who_was_the_same_stays_the_same(tmp_path: Path, settings: Any) -> None:
    """One learner under one made-up address everywhere; outcomes, times and totals as they were.

    Chats and names are found again once staging's own keys have hashed them.
    """
    settings.FIELD_ENCRYPTION_KEY = (PRODUCTION,)
    rosa = make_rosa()
    past = make_past()
    list_jobs(lines=jobs.lines(), now=NOW)
    JobRun.objects.create(job_id="prune", started_at=NOW, by="ann")
    hashes = {str(key) for key in ask("SELECT telegram_key FROM delivery_chat")}
    hashes |= {str(key) for key in ask("SELECT unnest(name_words) FROM attendance_learner")}
    before, path = totals(), tmp_path / "staging.zip"
    keys = set(Delivery.objects.values_list("dedupe_key", flat=True))
    chats = set(Chat.objects.values_list("telegram_id", flat=True))
    run("anonymised_dump", str(path))
    hers = [*(word for word in WORDS if word != "Europe/Madrid"), *hashes]
    lines = written(path).splitlines()
    assert [
        line for line in lines
        if any(word.lower() in line.lower() for word in hers) and "Rosa, still?" not in line
    ] == []  # fmt: skip
    empty()
    settings.FIELD_ENCRYPTION_KEY, settings.SECRET_KEY = (STAGING,), "staging-" * 8

    said = StringIO()
    call_command("restore", str(path), json=True, stdout=said)
    assert "run manage.py rotate_keys" in said.getvalue()
    assert "hashes of another SECRET_KEY" in stock.problem()
    assert run("rotate_keys")["left"] == 0

    assert (stock.problem(), under()) == ("", {box().newest})
    assert {*Job.objects.values_list("name", flat=True)} == {line.name for line in jobs.lines()}
    assert JobRun.objects.get().job_id == "prune"
    assert json.loads(said.getvalue().splitlines()[-1])["kind"] == "anonymised"
    assert totals() == before
    rosa = Learner.objects.get(pk=rosa.pk)
    assert rosa.email == rosa.email_key == email_key(rosa.email)
    assert rosa.email.endswith("@people.invalid")
    seen = Endpoint.objects.filter(learner=rosa, mark=f"email:{rosa.email_key}").get()
    assert (seen.identifier, seen.identifier_key) == (rosa.email, rosa.email_key)
    assert name_key(seen.display_name) == name_key(rosa.name)
    alias = LearnerIdentity.objects.get(learner=rosa, kind="alias", status="staff_confirmed")
    assert Endpoint.objects.filter(learner=rosa, mark=f"email:{alias.value_key}").exists()
    assert all(rosa.email_key in row.declined for row in ClassSession.objects.all())
    fakes = set(Chat.objects.values_list("telegram_id", flat=True))
    assert len(fakes) == len(chats)
    assert min(fakes) > 1 << 60  # nobody's
    assert rosa.contact.chat is not None
    fake = rosa.contact.chat.telegram_id
    assert Chat.objects.get(telegram_id=fake) == rosa.contact.chat
    assert InboundUpdate.objects.filter(chat_key=fake).exists()
    assert rosa.name.startswith("Learner ")
    assert list(named(rosa.name)) == list(named(rosa.name[8:13])) == [rosa]
    assert Learner.objects.get(name=rosa.name) == rosa
    assert set(Delivery.objects.values_list("dedupe_key", flat=True)) == keys
    then = selectors.delivery(past.pk)
    for column in ("stream_id", "status", "created_at", "settled_at", "window_zone"):
        assert getattr(then, column) == getattr(past, column)
    assert (then.text, then.last_error[:1]) == ("x" * len(past.text), "x")
    row = ArchivedDelivery.objects.get(pk=past.pk).tries
    assert [(one["outcome"], one["fence"]) for one in row] == [("sent", 1)]
