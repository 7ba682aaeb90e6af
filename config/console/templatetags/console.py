"""`{% load console %}`: the parts that our pages are put together from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import template
from django.core.paginator import Page

from config.console import charts, words

register = template.Library()
register.simple_tag(words.pill)
register.filter(words.city_of)


@register.simple_tag
def moment(at: datetime | None, zone: str = "") -> str:
    """Relative, then absolute on the clock of whoever looks, then on the learner's."""
    return words.moment(at, zone)


@register.inclusion_tag("console/stat.html")
def stat(
    label: str,
    value: object,
    *,
    target: str = "",
    verdict: str = "",
    trend: Sequence[float] = (),
    url: str = "",
    note: str = "",
) -> dict[str, Any]:
    """A figure with its target, whether it holds (`pass`, `fail`, `not_yet`), and its last days."""
    said = {"pass": "on target", "fail": "off target", "not_yet": "too little to say"}
    tones = {"pass": "good", "fail": "bad", "not_yet": "calm"}
    return {
        "label": label,
        "value": value,
        "target": target,
        "verdict": said.get(verdict, ""),
        "tone": tones.get(verdict, ""),
        "trend": trend,
        "url": url,
        "note": note,
    }


@register.inclusion_tag("console/sparkline.html")
def sparkline(values: Sequence[float], label: str) -> dict[str, Any]:
    """A small line; `label` says what it shows, for who cannot see it."""
    first_to_last = f", {values[0]:g} to {values[-1]:g}" if values else ""
    return {"points": charts.points(values), "label": f"{label}{first_to_last}"}


@register.inclusion_tag("console/chart.html")
def chart(drawn: charts.Chart) -> dict[str, Any]:
    """Stacked bars, a legend, and the table beneath."""
    return {"chart": drawn, "width": charts.WIDTH, "height": charts.HEIGHT}


@register.inclusion_tag("console/bubble.html")
def bubble(
    text: str,
    *,
    buttons: Sequence[Sequence[str]] = (),
    at: str = "",
    theme: str = "",
    sender: str = "",
) -> dict[str, Any]:
    """A message as Telegram shows it; `text` is escaped unless it is marked safe.

    `buttons` are rows of words, `at` the time in the corner, `theme` is `light`, `dark` or empty
    for that of the page.
    """
    return {"text": text, "buttons": buttons, "at": at, "theme": theme, "sender": sender}


@register.inclusion_tag("console/empty.html")
def empty(sentence: str, url: str = "", button: str = "") -> dict[str, Any]:
    """Nothing here: one sentence that teaches, and what to press."""
    return {"sentence": sentence, "url": url, "button": button}


@register.inclusion_tag("console/leaves.html", takes_context=True)
def leaves(context: dict[str, Any], page: Page[Any], key: str, anchor: str) -> dict[str, Any]:
    """Which rows these are of how many, and links to the others; nothing where these are all.

    `key` names the page in the address, beside what the address says already.
    """

    def to(number: int) -> str:
        asked = context["request"].GET.copy()
        asked[key] = str(number)
        return f"?{asked.urlencode()}#{anchor}"

    return {
        "page": page,
        "before": to(page.number - 1) if page.has_previous() else "",
        "after": to(page.number + 1) if page.has_next() else "",
    }
