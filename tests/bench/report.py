"""What benches have in common: figures, expectations, a table."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

Figures = dict[str, float | int]
Line = tuple[str, float | int, str]


class WrongResultError(Exception):
    """A count is not what it must be; the message says which."""


def expect(what: str, found: object, expected: object) -> None:
    """Raise WrongResultError where they differ."""
    if found != expected:
        raise WrongResultError(f"{what}: {found!r}, expected {expected!r}")


def share(values: Sequence[float], part: float) -> float:
    """The value below which `part` of them are, such as 0.95."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def table(lines: Iterable[Line]) -> None:
    """Print what was measured, with what is aimed at."""
    for name, value, aim in lines:
        number = f"{value:>12,.2f}" if isinstance(value, float) else f"{value:>12,}"
        sys.stdout.write(f"  {name:<56}{number}   {aim}\n")
    sys.stdout.flush()
