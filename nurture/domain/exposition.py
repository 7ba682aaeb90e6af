"""Figures as Prometheus reads them. Every figure is a gauge: it is what the tables say now.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Sample:
    """One number under a name; `labels` say which one of several."""

    name: str
    value: float
    labels: Mapping[str, str]


def sample(name: str, value: float, /, **labels: str) -> Sample:
    """A number and its labels."""
    return Sample(name, value, labels)


def render(samples: Iterable[Sample], *, meanings: Mapping[str, str]) -> str:
    """The page: each name of `meanings` in its order, with what it means and its samples.

    A name without a sample is left out: that nothing is known is no zero. Raises KeyError for a
    sample whose name has no meaning.
    """
    lines: dict[str, list[str]] = defaultdict(list)
    for one in samples:
        if one.name not in meanings:
            raise KeyError(one.name)
        lines[one.name].append(f"{one.name}{_labels(one.labels)} {_number(one.value)}")
    return "".join(
        f"# HELP {name} {meanings[name]}\n# TYPE {name} gauge\n" + "\n".join(lines[name]) + "\n"
        for name in meanings
        if name in lines
    )


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return f"{value:d}" if isinstance(value, int) else f"{value:.6g}"
