"""Charts drawn by the server: no script, printable, each with its figures as a table beneath."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, GAP = 700.0, 180.0, 0.25
TONES = ("info", "good", "warn", "bad", "calm")


@dataclass(frozen=True, slots=True)
class Series:
    """One row of figures under a name; `tone` is one of TONES."""

    name: str
    values: Sequence[float]
    tone: str = "info"


@dataclass(frozen=True, slots=True)
class Bar:
    """One rectangle, in the box's own units, and what it says when pointed at."""

    x: float
    y: float
    width: float
    height: float
    tone: str
    words: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Figures by label, stacked; all series are as long as `labels`."""

    title: str
    labels: Sequence[str]
    series: Sequence[Series]
    unit: str = ""

    def table(self) -> list[tuple[str, list[float]]]:
        """A row for each label, as the table shows it."""
        rows = zip(*(series.values for series in self.series), strict=True)
        return [(label, list(row)) for label, row in zip(self.labels, rows, strict=True)]

    def top(self) -> float:
        """The highest stack, never 0, so that one may divide by it."""
        return max((sum(row) for _, row in self.table()), default=0) or 1.0

    def bars(self) -> list[Bar]:
        """Rectangles in a box of WIDTH by HEIGHT, the first series at the bottom."""
        step, top, drawn = WIDTH / max(len(self.labels), 1), self.top(), []
        for column, (label, row) in enumerate(self.table()):
            x, floor = round(step * (column + GAP / 2), 2), HEIGHT
            for series, value in zip(self.series, row, strict=True):
                height = HEIGHT * value / top
                floor -= height
                words = f"{label}: {value:g} {series.name}"
                drawn.append(
                    Bar(x, round(floor, 2), round(step * (1 - GAP), 2), round(height, 2),
                        series.tone, words)
                )  # fmt: skip
        return drawn


def points(values: Sequence[float], *, width: float = 120, height: float = 28) -> str:
    """A line through `values` as SVG wants it, 2 px from the edges; empty for fewer than two."""
    if len(values) < 2:
        return ""
    low, span = min(values), (max(values) - min(values)) or 1.0
    step = (width - 4) / (len(values) - 1)
    return " ".join(
        f"{2 + step * place:.1f},{height - 2 - (height - 4) * (value - low) / span:.1f}"
        for place, value in enumerate(values)
    )
