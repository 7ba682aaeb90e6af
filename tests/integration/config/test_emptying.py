"""What a test that commits leaves to the next one: nothing, in no table."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission

from tests.emptying import KEPT, empty_tables
from tests.factories.everything import make_everything

pytestmark = pytest.mark.django_db


def test_nothing_is_left_but_what_django_keeps() -> None:
    """Also what a guard would keep: the steps of a version that was published."""
    make_everything()
    permissions = Permission.objects.count()

    empty_tables()

    tables = [model for model in apps.get_models() if model._meta.db_table not in KEPT]
    assert {model.__name__ for model in tables if model._base_manager.exists()} == set()
    assert Permission.objects.count() == permissions > 0
