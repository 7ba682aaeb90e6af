"""Which backups stay, and which table is filled before which (S11)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from config.backups.order import load_order
from config.backups.retention import moments, name_of, superfluous

NOW = datetime(2026, 11, 25, 2, tzinfo=UTC)
DAY = timedelta(days=1)


def kept(*ages: timedelta) -> list[float]:
    """How old in days those are that stay, youngest first."""
    backups = {name_of(environment="production", taken_at=NOW - age): NOW - age for age in ages}
    gone = superfluous(backups=backups)
    stay = sorted((NOW - at) / DAY for name, at in backups.items() if name not in gone)
    assert len(stay) + len(gone) == len(backups)
    return stay


def test_two_years_of_nights_become_days_weeks_and_months() -> None:
    """Seven days, four weeks, twelve months; the newest of each."""
    assert kept(*(n * DAY for n in range(730))) == [
        0, 1, 2, 3, 4, 5, 6,  # Wednesday 25 back to Thursday 19
        10, 17,  # Sundays 15 and 8; Sunday 22 is among the days
        25, 56, 86, 117, 148, 178, 209, 239, 270, 298, 329,  # the last days of months
    ]  # fmt: skip


def test_what_is_young_stays_and_where_backups_stop_nothing_goes() -> None:
    """Three deploys in a day; and a storage that nobody has filled for a year."""
    assert len(kept(*(timedelta(hours=n) for n in range(48)))) == 48
    assert kept(365 * DAY, 366 * DAY) == [365, 366]
    assert kept() == []


def test_only_backups_of_this_environment_are_ours() -> None:
    """Whatever else is in the bucket is never deleted."""
    name = name_of(environment="production", taken_at=NOW)
    others = [
        "readme.txt", name_of(environment="staging", taken_at=NOW), f"{name}.part",
        f"old/{name}", "telbot-production-2026.zip",
    ]  # fmt: skip

    assert name == "telbot-production-20261125T020000Z.zip"
    assert moments(environment="production", names=[*others, name]) == {name: NOW}


def test_no_row_comes_before_the_one_it_points_at() -> None:
    """Two that point at each other come together, one that points at itself comes alone."""
    references = {
        ("step", "version"), ("version", "sequence"), ("sequence", "version"),
        ("journey", "version"), ("journey", "learner"), ("learner", "learner"),
        ("learner", "not in the file"),
    }  # fmt: skip

    order = load_order(
        tables=["journey", "step", "version", "sequence", "learner"], references=references
    )

    assert order == [["learner"], ["sequence", "version"], ["journey"], ["step"]]
