"""Lists of large tables: how far they count, and what they say of the rest (P26)."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection

from config.console import lists
from config.console.lists import CappedPaginator

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "MOST", 4)
    monkeypatch.setattr(lists, "MOST_NARROWED", 2)


def people(count: int) -> None:
    """So many users."""
    User.objects.bulk_create(User(username=f"user{n}") for n in range(count))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE auth_user")


@pytest.mark.parametrize(
    ("count", "pages", "said", "capped"),
    [(0, 0, "0", False), (4, 2, "4", False), (5, 2, "about 5", True)],
)
def test_a_list_counts_as_far_as_it_can_be_leafed_through(
    count: int, pages: int, said: str, capped: bool
) -> None:
    people(count)
    found = CappedPaginator(User.objects.order_by("-pk"), 2, allow_empty_first_page=False)
    assert (found.num_pages, found.said, found.is_capped) == (pages, said, capped)


def test_a_narrowed_list_says_over_how_many_there_are() -> None:
    people(5)
    rows = User.objects.filter(username__startswith="user").order_by("-pk")
    found = CappedPaginator(rows, 2)
    assert (found.count, found.num_pages, found.said) == (2, 1, "over 2")


def test_an_estimate_is_on_three_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    people(5)
    monkeypatch.setattr(lists, "MOST", 3)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE pg_class SET reltuples = 1234567 WHERE relname = 'auth_user'")
    assert CappedPaginator(User.objects.order_by("pk"), 2).said == "about 1,230,000"


def test_a_list_in_memory_is_counted() -> None:
    assert CappedPaginator([1, 2, 3], 2).said == "3"
