"""A drawing of what was measured: plain SVG, readable in light and in dark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

from tests.bench.report import Figures, share

WIDTH, ROW, LEFT, SPAN = 720, 26, 150, 490
_STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.head { font-weight: 600 } .small { font-size: 11px; fill: #59636e }
.other { fill: #8c959f } .ours { fill: #0969da } .line { stroke: #d1d9e0 }
.curve { fill: none; stroke: #0969da; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .small { fill: #9198a1 }
  .other { fill: #656c76 } .ours { fill: #4493f8 } .line { stroke: #3d444d }
  .curve { stroke: #4493f8 }
}
"""


def draw(path: Path, *, races: Mapping[str, Figures], late: Sequence[float]) -> None:
    """Write both: messages a second of everybody, and which part came how late at most."""
    top = 60 + ROW * len(races)
    body = [*_bars(races), *_curve(late, top=top)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top + 240}" role="img">\n'
        f"<title>Messages a second, and how late they come</title>\n<style>{_STYLE}</style>\n"
        + "\n".join(body)
        + "\n</svg>\n"
    )


def _bars(races: Mapping[str, Figures]) -> Iterator[str]:
    yield _text(0, 16, "Messages a second, the same receiver for all", "head")
    most = max(one["per_second"] for one in races.values())
    fastest_first = sorted(races.items(), key=lambda item: -item[1]["per_second"])
    for row, (name, one) in enumerate(fastest_first):
        y = 32 + row * ROW
        width = SPAN * one["per_second"] / most
        is_ours = name.startswith("telbot")
        kind = "ours" if is_ours else "other"
        yield _text(0, y + 14, name, "head" if is_ours else "")
        yield f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{width:.1f}" height="18" rx="3"/>'
        yield _text(LEFT + width + 8, y + 14, f"{one['per_second']:,.0f}", "small")


def _curve(late: Sequence[float], *, top: int) -> Iterator[str]:
    yield _text(
        0, top + 16, "How late a message is, at 20 a second: part of all by seconds", "head"
    )
    base, height = top + 210, 170
    most = max(1.0, share(late, 0.999))
    for part in (0, 0.25, 0.5, 0.75, 1):
        y = base - height * part
        yield f'<line class="line" x1="{LEFT}" x2="{LEFT + SPAN}" y1="{y:.1f}" y2="{y:.1f}"/>'
        if part:
            yield _text(LEFT - 44, y + 4, f"{part:.0%}", "small")
    for tick in range(6):
        yield _text(LEFT + SPAN * tick / 5 - 8, base + 18, f"{most * tick / 5:.1f}", "small")
    points = [(share(late, n / 200), n / 200) for n in range(200)]
    drawn = (
        f"{LEFT + SPAN * min(1.0, max(0.0, at) / most):.1f},{base - height * part:.1f}"
        for at, part in points
    )
    yield f'<polyline class="curve" points="{" ".join(drawn)}"/>'


def _text(x: float, y: float, said: str, kind: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(said)}</text>'
