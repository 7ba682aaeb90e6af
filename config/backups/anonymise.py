"""Every row, but of nobody: the way in which a dump for staging writes its tables."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence

from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Field, Model

from config.backups import scrubbed
from config.backups.catalogue import Cursor, Table
from config.backups.disguise import Disguise
from config.backups.dump import Blocks, Way, as_they_are

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
    if name in scrubbed.DISGUISED:
        return _opened(field, getattr(disguise, scrubbed.DISGUISED[name]))
    if name in scrubbed.KEPT or _is_harmless(field):
        return None
    return _opened(field, _by_type(name, field, disguise))


def _opened(field: Field[object, object], change: Change) -> Change:
    """What is sealed with a key is opened and disguised, and left open: staging has no such key."""
    opened = getattr(field, "opened", None)
    if opened is None:
        return change
    return lambda value: value and f"plain:{change(str(opened(value)))}"


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
