"""In which order tables are filled, so that no row comes before the one that it points at."""

from __future__ import annotations

from collections.abc import Collection, Iterable


def load_order(
    *, tables: Iterable[str], references: Collection[tuple[str, str]]
) -> list[list[str]]:
    """Return groups of tables; each row points into its own group or an earlier one.

    `references` are pairs (table, table that it points at). A group has more than one table only
    where these point at each other. Equal input gives equal output.
    """
    rest = set(tables)
    groups = []
    while rest:
        # Whatever needs the least is complete in itself: it is alone, or a circle.
        group = min((_needed(table, references, rest) for table in sorted(rest)), key=len)
        groups.append(sorted(group))
        rest -= group
    return groups


def _needed(table: str, references: Collection[tuple[str, str]], rest: Collection[str]) -> set[str]:
    """This table and all of the rest that must be there with it."""
    found = {table}
    while True:
        more = {to for of, to in references if of in found and to in rest} - found
        if not more:
            return found
        found |= more
