"""What benches have in common: figures, expectations, a table."""

from __future__ import annotations

import sys
from collections.abc import Iterable

Figures = dict[str, float | int]


class WrongResultError(Exception):
    """A count is not what it must be; the message says which."""


def expect(what: str, found: object, expected: object) -> None:
    """Raise WrongResultError where they differ."""
    if found != expected:
        raise WrongResultError(f"{what}: {found!r}, expected {expected!r}")


def table(lines: Iterable[tuple[str, float | int, str]]) -> None:
    """Print what was measured, with what is aimed at."""
    for name, value, aim in lines:
        number = f"{value:>12,.1f}" if isinstance(value, float) else f"{value:>12,}"
        sys.stdout.write(f"  {name:<44}{number}   {aim}\n")
