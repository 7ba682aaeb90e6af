"""Rules about tables that no linter sees."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.db import connection
from django.db.models import ForeignKey

OWN = ("attendance", "delivery", "nurture")
# Who may point at whom: the direction of imports (docs/architecture.md).
MAY_POINT_AT = {
    "attendance": {"attendance", "auth"},
    "delivery": {"delivery", "auth"},
    "nurture": {"nurture", "attendance", "delivery", "auth"},
}


def own_foreign_keys() -> list[tuple[str, str, str]]:
    """Every foreign key of ours as (app, model.field, app it points at)."""
    return [
        (label, f"{model.__name__}.{field.name}", field.related_model._meta.app_label)
        for label in OWN
        for model in apps.get_app_config(label).get_models()
        for field in model._meta.get_fields()
        if isinstance(field, ForeignKey)
    ]


def test_foreign_keys_point_the_way_imports_point() -> None:
    """A key named by a string escapes the import linter."""
    wrong = [key for key in own_foreign_keys() if key[2] not in MAY_POINT_AT[key[0]]]

    assert wrong == []
    assert len(own_foreign_keys()) > 20  # the scan itself works


@pytest.mark.django_db
@pytest.mark.parametrize(
    "table",
    [
        "nurture_sequences",
        "user_nurture_journeys",
        "nurture_messages",
        "nurture_deliveries",
        "attendance_triggers",
    ],
)
def test_the_launch_plans_tables_exist(table: str) -> None:
    """S04."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")

        assert cursor.fetchone() == (0,)
