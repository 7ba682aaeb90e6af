"""Fields of models whose columns are sealed, and the keyed hashes beside them.

    telegram_id = SealedInteger(purpose="chat.telegram_id", beside="telegram_key")
    telegram_key = KeyedHash(of="telegram_id", purpose="telegram", unique=True)

In Python a sealed field is what it looks like: a number, a text, a JSON value. In a query it can be
asked for `exact` and `in` where a hash stands `beside` it, names also for `words`; anything else is
refused, since the database cannot know. Whoever saves a sealed field alone (`update_fields`,
`bulk_create` with `update_fields`) names its hash, too.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.fields.array import ArrayContains  # type: ignore[attr-defined]
from django.db import models
from django.db.models.expressions import Col
from django.db.models.lookups import Exact, In, IsNull, Lookup

from config.sealed.box import box


class Sealed(models.Field):  # type: ignore[type-arg]
    """What all sealed fields are: a text column that only the keys can read."""

    lookups: dict[str, type[Lookup[Any]]] = {"isnull": IsNull}

    def __init__(self, *args: Any, purpose: str, beside: str = "", **options: Any) -> None:
        """`purpose` is part of the seal and never changes; `beside` names the field of the hash."""
        self.purpose, self.beside = purpose, beside
        super().__init__(*args, **options)

    def deconstruct(self) -> Any:
        """For migrations."""
        name, path, args, options = super().deconstruct()
        beside = {"beside": self.beside} if self.beside else {}
        return name, path, args, {**options, "purpose": self.purpose, **beside}

    def db_type(self, connection: Any) -> str:
        """A text, whatever it is in Python."""
        return "text"

    def to_text(self, value: Any) -> str:
        """The value as what is sealed."""
        return str(value)

    def from_text(self, text: str) -> Any:
        """The value again."""
        return text

    def opened(self, stored: str) -> Any:
        """The value of what a query of our own has read. Raises SealedError."""
        return self.from_text(box().open(stored, self.purpose))

    def from_db_value(self, value: str | None, *args: Any) -> Any:
        """As Django reads it."""
        return None if value is None else self.opened(value)

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        """As Django writes it."""
        if value is None or hasattr(value, "as_sql"):
            return value
        return box().seal(self.to_text(value), self.purpose)

    def _get_lookup(self, lookup_name: str) -> type[Lookup[Any]] | None:
        return self.lookups.get(lookup_name)


class _Beside:
    """A look-up that goes by the hash beside the sealed column."""

    def __init__(self, lhs: Any, rhs: Any) -> None:
        field = lhs.target
        hashed = field.model._meta.get_field(field.beside)
        super().__init__(Col(lhs.alias, hashed), self.sought(rhs, hashed.purpose))  # type: ignore[call-arg]

    def sought(self, rhs: Any, purpose: str) -> Any:
        """What the hash is compared with; its field hashes plain values by itself."""
        return rhs


class _Same(_Beside, Exact):
    pass


class _Among(_Beside, In):
    pass


class _Whole(_Beside, ArrayContains):  # type: ignore[misc]
    lookup_name = "exact"

    def sought(self, rhs: Any, purpose: str) -> list[int]:
        return box().whole(str(rhs), purpose)


class _Words(_Beside, ArrayContains):  # type: ignore[misc]
    lookup_name = "words"

    def sought(self, rhs: Any, purpose: str) -> list[int]:
        return box().sought(str(rhs), purpose)


class SealedInteger(Sealed, models.BigIntegerField):  # type: ignore[type-arg]
    """A number, found by its hash. 0 is stored as nothing at all: it was lost with its key."""

    lookups = {"isnull": IsNull, "exact": _Same, "in": _Among}

    def to_text(self, value: Any) -> str:
        """Without a number that is not known."""
        return str(value) if value else ""

    def from_text(self, text: str) -> int:
        """A number again."""
        return int(text or 0)


class SealedName(Sealed, models.CharField):  # type: ignore[type-arg]
    """A name. `name__words="ros mar"`: each of these begins one of its words, in any order."""

    lookups = {"isnull": IsNull, "exact": _Whole, "words": _Words}


class SealedJSON(Sealed, models.JSONField):
    """A JSON value; an empty object is stored as nothing at all."""

    def to_text(self, value: Any) -> str:
        """Without an empty object."""
        return json.dumps(value) if value != {} else ""

    def from_text(self, text: str) -> Any:
        """A value again."""
        return json.loads(text) if text else {}

    def get_transform(self, lookup_name: str) -> Any:
        """The database cannot look inside."""
        return None


class KeyedHash(models.UUIDField):  # type: ignore[type-arg]
    """The hash of a number or text: give it either, and it is hashed; what is read is the hash."""

    # What it may be given, for the type checker.
    _pyi_private_set_type: Any
    _pyi_lookup_exact_type: Any

    def __init__(self, *args: Any, purpose: str, of: str = "", **options: Any) -> None:
        """`of`: the sealed field of this model whose hash it is; "": given like any value."""
        self.purpose, self.of = purpose, of
        super().__init__(*args, **options)

    def deconstruct(self) -> Any:
        """For migrations."""
        name, path, args, options = super().deconstruct()
        return name, path, args, {**options, "purpose": self.purpose, "of": self.of}

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        """The hash of what is about to be saved; of what was lost, the one it had."""
        if self.of and getattr(model_instance, self.of):
            setattr(model_instance, self.attname, self.made(getattr(model_instance, self.of)))
        return super().pre_save(model_instance, add)

    def made(self, value: Any) -> uuid.UUID:
        """The hash of a value."""
        return box().hashed(str(value), self.purpose)

    def get_prep_value(self, value: Any) -> Any:
        """Hash what is no hash yet."""
        if value is None or isinstance(value, uuid.UUID) or hasattr(value, "resolve_expression"):
            return value
        return self.made(value)

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        """As PostgreSQL keeps it."""
        return self.get_prep_value(value)


class KeyedWords(ArrayField):  # type: ignore[type-arg]
    """The hashes by which a SealedName of the same row is found."""

    def __init__(self, *args: Any, purpose: str, of: str, **options: Any) -> None:
        """`of`: the field of the name."""
        self.purpose, self.of = purpose, of
        super().__init__(**{"base_field": models.BigIntegerField(), "editable": False, **options})

    def deconstruct(self) -> Any:
        """For migrations."""
        name, path, args, options = super().deconstruct()
        del options["base_field"], options["size"]
        return name, path, args, {**options, "purpose": self.purpose, "of": self.of}

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        """The hashes of what is about to be saved."""
        setattr(model_instance, self.attname, self.made(getattr(model_instance, self.of)))
        return super().pre_save(model_instance, add)

    def made(self, value: str) -> list[int]:
        """The hashes of a name."""
        return box().hashed_words(value, self.purpose)
