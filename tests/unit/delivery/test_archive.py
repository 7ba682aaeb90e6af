"""The months of the archive."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from delivery.domain.archive import Month, months_between


def test_a_month_is_one_of_utc() -> None:
    late = datetime(2026, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=2)))

    month = Month.of(late)

    assert (str(month), month.table) == ("2025-12", "delivery_archive_2025_12")
    assert (month.begins, month.ends) == (
        datetime(2025, 12, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    assert Month.of_table(month.table) == month


def test_months_between_are_in_order_and_whole() -> None:
    found = months_between(datetime(2025, 11, 30, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))

    assert [str(month) for month in found] == ["2025-11", "2025-12", "2026-01", "2026-02"]


def test_another_table_is_no_month() -> None:
    with pytest.raises(ValueError, match="no month of the archive"):
        Month.of_table("delivery_archive_2026_1; --")
