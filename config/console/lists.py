"""Lists of millions of rows: pages that cost what they show, and a search for people first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time
from functools import cached_property
from typing import Any

from django.core.paginator import Page, Paginator
from django.db import connection
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_time
from unfold.contrib.filters.admin import RangeDateTimeFilter

#: How many rows can be leafed through; whoever looks for an older one searches or filters.
MOST = 10_000
#: The same of a search or a filter, whose rows may lie far apart: twenty pages.
MOST_NARROWED = 1_000


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts no further than can be leafed through, in the order of the list: no table is read
    through for it.

    Beyond that it says about how many there are, if nothing is filtered: as PostgreSQL counted
    them last.
    """

    template_name = "console/pagination.html"

    @cached_property
    def count(self) -> int:
        """How many rows can be leafed through."""
        return min(self._counted, self.most)

    @property
    def is_narrowed(self) -> bool:
        """Whether rows are searched or filtered."""
        rows: Any = self.object_list
        return isinstance(rows, QuerySet) and bool(rows.query.where)

    @property
    def most(self) -> int:
        """How many rows can be leafed through at most."""
        return MOST_NARROWED if self.is_narrowed else MOST

    @cached_property
    def _counted(self) -> int:
        rows: Any = self.object_list
        if not isinstance(rows, QuerySet):
            return len(rows)
        return int(rows.values("pk")[: self.most + 1].count())

    @property
    def said(self) -> str:
        """How many there are, in words."""
        if not self.is_capped:
            return f"{self._counted:,}"
        rows: Any = self.object_list
        return f"over {self.most:,}" if self.is_narrowed else f"about {_estimate(rows):,}"

    @property
    def is_capped(self) -> bool:
        """Whether there are more than can be leafed through."""
        return self._counted > self.most


def _estimate(rows: QuerySet[Any]) -> int:
    """About how many rows a table has, on three figures."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass",
            [f'"{rows.model._meta.db_table}"'],
        )
        counted = max(int(cursor.fetchone()[0]), MOST)
    return round(counted, 3 - len(str(counted)))


#: Rows of a table within a page, which may be one of several tables.
PER_LEAF = 50


def leaf(rows: Sequence[Any], number: object) -> Page[Any]:
    """So many of rows that are read already; the first or the last where there is no such page.

    `{% leaves page "p" "anchor" %}` under the table leads to the others.
    """
    return Paginator(rows, PER_LEAF).get_page(number or 1)  # type: ignore[arg-type]


def leaf_of(place: int) -> int:
    """On which of them the row at this place (from 0) stands."""
    return place // PER_LEAF + 1


def of_people(rows: QuerySet[Any], field: str, people: QuerySet[Any]) -> QuerySet[Any]:
    """The rows whose `field` is one of these people, who are found first.

    In one statement the planner might read a large table through and look at each row's person.
    With their keys it goes by index: by theirs if they are few, by that of the list if many.
    """
    return rows.filter(**{f"{field}__in": list(people.order_by().values_list("pk", flat=True))})


class SpanFilter(RangeDateTimeFilter):
    """From a day to a day, on the clock of whoever looks; times are optional.

    unfold's own compares moments without a zone, and ignores a day without a time.
    """

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The rows within the span; a date that is none counts as none."""
        begins, ends = self._moment("from", time.min), self._moment("to", time.max)
        if begins:
            queryset = queryset.filter(**{f"{self.field_path}__gte": begins})
        return queryset.filter(**{f"{self.field_path}__lte": ends}) if ends else queryset

    def _moment(self, end: str, otherwise: time) -> datetime | None:
        day, at = (
            str(self.used_parameters.get(f"{self.parameter_name}_{end}_{part}") or "")
            for part in (0, 1)
        )
        try:
            date, clock = parse_date(day), parse_time(at)
        except ValueError:  # 31 February
            return None
        return timezone.make_aware(datetime.combine(date, clock or otherwise)) if date else None
