"""The months of the archive, in UTC."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

_TABLE = re.compile(r"delivery_archive_(\d{4})_(\d{2})")


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """One month, by which the archive is cut."""

    year: int
    number: int  # from 1

    @property
    def table(self) -> str:
        """The name of its part of the archive."""
        return f"delivery_archive_{self.year:04}_{self.number:02}"

    @property
    def begins(self) -> datetime:
        """Its first instant."""
        return datetime(self.year, self.number, 1, tzinfo=UTC)

    @property
    def ends(self) -> datetime:
        """The first instant of the month after it."""
        return self.following.begins

    @property
    def following(self) -> Month:
        """The month after it."""
        december = self.number == 12
        return Month(self.year + december, 1 if december else self.number + 1)

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"

    @classmethod
    def of(cls, at: datetime) -> Month:
        """The month of a moment."""
        there = at.astimezone(UTC)
        return cls(there.year, there.month)

    @classmethod
    def of_table(cls, name: str) -> Month:
        """The month of a part of the archive. Raises ValueError for another name."""
        found = _TABLE.fullmatch(name)
        if found is None:
            raise ValueError(f"{name!r} is no month of the archive")
        return cls(int(found[1]), int(found[2]))


def months_between(first: datetime, last: datetime) -> Iterator[Month]:
    """Every month from that of `first` to that of `last`, both included."""
    month = Month.of(first)
    while month <= Month.of(last):
        yield month
        month = month.following
