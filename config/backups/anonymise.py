"""Every row, but of nobody: the way in which a dump for staging writes its tables."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Field, Model

from config.backups import scrubbed
from config.backups.catalogue import Cursor, Table
from config.backups.disguise import Disguise
from config.backups.dump import Blocks, Way, as_they_are
from config.sealed.box import PLAIN
from config.sealed.fields import Sealed

Change = Callable[[str], str]

#: Types whose values name nobody.
_HARMLESS = (
    models.BooleanField, models.DateField, models.TimeField, models.DurationField,
    models.FloatField, models.DecimalField, models.IntegerField,
)  # fmt: skip
_ESCAPES = str.maketrans(
    {"\\": r"\\", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v"}
)
_ROWS = 1000


class UnknownColumnError(LookupError):
    """Nobody has said how a column of this type is disguised; config/backups/scrubbed.py."""


def anonymously() -> Way:
    """How an anonymised dump writes its tables, by a disguise that is forgotten with it."""
    disguise = Disguise(secrets.token_bytes(32))
    known = {
        model._meta.db_table: model
        for model in apps.get_models(include_auto_created=True)
        if not model._meta.proxy
    }

    def write(cursor: Cursor, table: Table) -> Blocks:
        model = known.get(table.name)
        if table.name == scrubbed.SCHEMA:
            return as_they_are(cursor, table)
        if model is None or model._meta.label in scrubbed.LEFT_OUT:
            return ()
        changes = changes_of(model, table.columns, disguise)
        if not any(changes):
            return as_they_are(cursor, table)
        return _changed(cursor, table, changes)

    return write


def changes_of(
    model: type[Model], columns: Iterable[str], disguise: Disguise
) -> list[Change | None]:
    """For each column what is done to its values; None where they stay."""
    fields = {field.column: field for field in _concrete(model) if field.column}
    return [_change(model, fields[name], disguise) for name in columns]


def _concrete(model: type[Model]) -> Sequence[Field[object, object]]:
    return model._meta.concrete_fields


def _change(model: type[Model], field: Field[object, object], disguise: Disguise) -> Change | None:
    name = f"{model._meta.label}.{field.name}"
    if name in scrubbed.ROWS_OF:
        return _rows_of(apps.get_model(scrubbed.ROWS_OF[name]), disguise)
    if name in scrubbed.DISGUISED:
        return _opened(field, getattr(disguise, scrubbed.DISGUISED[name]))
    if name in scrubbed.KEPT or _is_harmless(field):
        return None
    return _opened(field, _by_type(name, field, disguise))


def _opened(field: Field[object, object], change: Change) -> Change:
    """What is sealed with a key is opened and disguised, and left open: staging has no such key."""
    if not isinstance(field, Sealed):
        return change

    def within(value: str) -> str:
        text = field.to_text(field.opened(value))
        changed = text and field.to_text(field.from_text(change(text)))
        return changed and f"{PLAIN}:{changed}"

    return within


def _rows_of(model: type[Model], disguise: Disguise) -> Change:
    """For a row of another table as JSON, or a list of them; what is no column of it goes."""
    names = [str(field.column) for field in _concrete(model)]
    changes = dict(zip(names, changes_of(model, names, disguise), strict=True))

    def changed(row: dict[str, Any]) -> dict[str, Any]:
        return {name: _said(row[name], changes[name]) for name in row if name in changes}

    def within(value: str) -> str:
        found = json.loads(value)
        rows = [changed(row) for row in found] if isinstance(found, list) else changed(found)
        return json.dumps(rows, ensure_ascii=False)  # as PostgreSQL writes it

    return within


def _said(value: Any, change: Change | None) -> Any:
    if change is None or value is None:
        return value
    return change(value) if isinstance(value, str) else json.loads(change(json.dumps(value)))


def _is_harmless(field: Field[object, object]) -> bool:
    if field.is_relation or (field.choices and not isinstance(field, models.JSONField)):
        return True
    if isinstance(field, models.BigIntegerField):  # accounts and chats; a row's own number is none
        return field.primary_key
    return isinstance(field, _HARMLESS)


def _by_type(name: str, field: Field[object, object], disguise: Disguise) -> Change:
    if isinstance(field, models.JSONField):
        return disguise.json
    if isinstance(field, models.BigIntegerField):
        return disguise.number
    if isinstance(field, models.UUIDField):
        return disguise.uuid
    if isinstance(field, ArrayField):
        return lambda value: "{}"
    if isinstance(field, models.CharField | models.TextField):
        longest = field.max_length
        return lambda value: disguise.token(value)[:longest]
    raise UnknownColumnError(f"{name}: say in config/backups/scrubbed.py what becomes of it.")


def _changed(cursor: Cursor, table: Table, changes: Sequence[Change | None]) -> Iterator[bytes]:
    with cursor.copy(table.rows()) as copy:
        lines = []
        for row in copy.rows():
            lines.append(_line(row, changes))
            if len(lines) >= _ROWS:
                yield "".join(lines).encode()
                lines.clear()
        yield "".join(lines).encode()


def _line(row: Sequence[str | None], changes: Sequence[Change | None]) -> str:
    """A row as COPY reads it."""
    cells = [
        r"\N" if value is None else (change(value) if change else value).translate(_ESCAPES)
        for value, change in zip(row, changes, strict=True)
    ]
    return "\t".join(cells) + "\n"
