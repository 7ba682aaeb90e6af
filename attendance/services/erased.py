"""Who was erased: recognised by a keyed hash, so that nobody comes back from a log or a file.

The hash is worth nothing without SECRET_KEY. Where that key changes, the old one has to stay among
SECRET_KEY_FALLBACKS for as long as the erased are to be recognised.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime

from django.conf import settings
from django.utils.crypto import salted_hmac

from attendance.domain.identity import email_key
from attendance.models import ErasedMark

_SALT = "attendance.erased"


def remember(*, marks: Iterable[str], now: datetime) -> None:
    """Recognise these marks of one person from now on. Safe to run twice."""
    person = uuid.uuid4()
    ErasedMark.objects.bulk_create(
        [
            ErasedMark(
                mark_hash=_hash(mark, settings.SECRET_KEY), person=person, erased_on=now.date()
            )
            for mark in sorted(set(marks))
        ],
        ignore_conflicts=True,
    )


def erased_among(*, marks: Iterable[str]) -> frozenset[str]:
    """Those of these marks (`email:…`, `phone:…`, `google_user_id:…`) that were erased."""
    if not ErasedMark.objects.exists():
        return frozenset()
    by_hash = _hashes(marks)
    found = ErasedMark.objects.filter(mark_hash__in=by_hash).values_list("mark_hash", flat=True)
    return frozenset(by_hash[digest] for digest in found)


def readmit(*, email: str) -> bool:
    """Let whoever had an erased address be imported and seen again; return whether it was erased.

    Their other addresses, numbers and accounts count again, too. What was erased does not come
    back. Safe to run twice.
    """
    by_hash = _hashes([f"email:{email_key(email)}"])
    people = ErasedMark.objects.filter(mark_hash__in=by_hash).values_list("person", flat=True)
    return bool(ErasedMark.objects.filter(person__in=list(people)).delete()[0])


def _hashes(marks: Iterable[str]) -> dict[str, str]:
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return {_hash(mark, key): mark for mark in set(marks) for key in keys}


def _hash(mark: str, key: str | bytes) -> str:
    return salted_hmac(_SALT, mark, secret=key, algorithm="sha256").hexdigest()
