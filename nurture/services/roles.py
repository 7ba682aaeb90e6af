"""Make the roles of domain/roles.py: groups with exactly these permissions."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from typing import Any

from django.apps import apps as installed
from django.db import transaction

from nurture.domain.roles import DEEDS, ROLES


@transaction.atomic
def set_up_roles(*, registry: Any = installed) -> list[str]:
    """Make or put right the five roles; return the permissions that do not exist (yet).

    `registry` is a migration's own where one calls. Members of the groups stay. Safe to run at any
    time and again: it sets, it does not add.
    """
    there = _ours(registry)
    for deed in DEEDS:
        if there.get(deed.permission) != (deed.model, deed.words):
            _make(registry, *deed.permission.split("."), model=deed.model, words=deed.words)
    known = _known(registry)
    missing: set[str] = set()
    for role, patterns in ROLES.items():
        found, lacking = _match(patterns, known)
        group, _ = registry.get_model("auth", "Group").objects.get_or_create(name=role)
        group.permissions.set(found)
        missing |= lacking
    return sorted(missing)


@transaction.atomic
def remove_roles(*, registry: Any = installed) -> None:
    """Undo `set_up_roles`: the groups and our own permissions go; staff stay, without a role."""
    registry.get_model("auth", "Group").objects.filter(name__in=ROLES).delete()
    for deed in DEEDS:
        app, codename = deed.permission.split(".")
        registry.get_model("auth", "Permission").objects.filter(
            content_type__app_label=app, codename=codename
        ).delete()


def _ours(registry: Any) -> dict[str, tuple[str, str]]:
    """Model and words of each permission of our own that is there, in one statement."""
    rows = registry.get_model("auth", "Permission").objects.filter(
        codename__in=[deed.permission.partition(".")[2] for deed in DEEDS]
    )
    found = rows.values_list("content_type__app_label", "codename", "content_type__model", "name")
    return {f"{app}.{codename}": (model, name) for app, codename, model, name in found}


def _make(registry: Any, app: str, codename: str, *, model: str, words: str) -> None:
    kinds = registry.get_model("contenttypes", "ContentType").objects
    kind, _ = kinds.get_or_create(app_label=app, model=model)
    registry.get_model("auth", "Permission").objects.update_or_create(
        content_type=kind, codename=codename, defaults={"name": words}
    )


def _known(registry: Any) -> dict[str, int]:
    rows = registry.get_model("auth", "Permission").objects.values_list(
        "content_type__app_label", "codename", "pk"
    )
    return {f"{app}.{codename}": pk for app, codename, pk in rows}


def _match(patterns: Iterable[str], known: dict[str, int]) -> tuple[set[int], set[str]]:
    found: set[int] = set()
    missing: set[str] = set()
    for pattern in patterns:
        fitting = {known[name] for name in fnmatch.filter(known, pattern)}
        found |= fitting
        missing |= set() if fitting else {pattern}
    return found, missing
