"""Staging is like production, and nobody of production is in it (S09)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection, models

from attendance.domain.identity import email_key, name_key
from attendance.models import ClassSession, Endpoint, Learner, LearnerIdentity
from config import audit
from config.backups import archive, scrubbed
from config.backups.anonymise import changes_of
from config.backups.disguise import Disguise
from delivery.models import Chat, Delivery, InboundUpdate
from tests.factories.everything import make_everything
from tests.factories.privacy import WORDS, make_rosa, totals
from tests.integration.config.test_backups import empty, everything, run

pytestmark = pytest.mark.django_db(transaction=True)
TEXTS = (models.CharField, models.TextField, models.JSONField, models.BigIntegerField)
NUMBER = 98765 * 10**9
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
    table, key = model._meta.db_table, model._meta.pk.column
    with connection.cursor() as cursor:
        cursor.execute(
            f'UPDATE "{table}" AS t SET "{field.column}" = {planted(column)} FROM'
            f' (SELECT "{key}" AS pk, row_number() OVER () FROM "{table}") AS n'
            f' WHERE n.pk = t."{key}"'
        )
        return bool(cursor.rowcount > 0)


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


def test_no_marker_in_any_column_survives(tmp_path: Path) -> None:
    """Every text, JSON value and large number that is not listed as kept, also in new columns."""
    make_everything()
    guards("DISABLE")
    filled = [column for column in columns() if not kept(column) and plant(column)]
    guards("ENABLE")
    before, found = everything(), {one.rule for one in audit.examine()}
    path = tmp_path / "staging.zip"

    run("anonymised_dump", str(path))

    assert len(filled) > 70
    assert re.findall(f"(?i).*zqx.*|.*{NUMBER // 10**9}0000.*", written(path)) == []
    empty()
    run("restore", str(path))
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
        if not kept((model, field)) and (change is None or "zqx" in change('["zqx@x.org"]')):
            bare.append(f"{model._meta.label}.{field.name}")
    assert bare == []
    there = {f"{m._meta.label}.{f.name}" for m in apps.get_models() for f in m._meta.fields}
    assert {*scrubbed.KEPT, *scrubbed.DISGUISED} - there == set()
    assert {model._meta.label for model in apps.get_models()} >= scrubbed.LEFT_OUT


def test_who_was_the_same_stays_the_same(tmp_path: Path) -> None:
    """One learner under one made-up address everywhere; outcomes, times and totals as they were."""
    rosa = make_rosa()
    before, path = totals(), tmp_path / "staging.zip"
    keys = set(Delivery.objects.values_list("dedupe_key", flat=True))
    chats = set(Chat.objects.values_list("telegram_id", flat=True))
    run("anonymised_dump", str(path))
    hers = [word for word in WORDS if word != "Europe/Madrid"]
    lines = written(path).splitlines()
    assert [
        line for line in lines
        if any(word.lower() in line.lower() for word in hers) and "Rosa, still?" not in line
    ] == []  # fmt: skip
    empty()

    said = StringIO()
    call_command("restore", str(path), json=True, stdout=said)

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
    assert InboundUpdate.objects.filter(chat_key=rosa.contact.chat.telegram_id).exists()
    assert set(Delivery.objects.values_list("dedupe_key", flat=True)) == keys
