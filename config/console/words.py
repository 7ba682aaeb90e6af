"""Moments, states and links in words, for columns of lists and for templates alike."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

TONES = frozenset({"good", "warn", "bad", "info", "calm"})
A_MOMENT = timedelta(minutes=1)


def absolute(at: datetime | None, zone: str = "") -> str:
    """A moment on the clock of `zone`, or of whoever looks, with the clock's name."""
    if at is None:
        return "–"
    there = timezone.localtime(at, ZoneInfo(zone) if zone else None)
    return f"{there:%a %d %b %Y, %H:%M} {_clock_of(there)}"


def _clock_of(at: datetime) -> str:
    """The clock's name; a city where the zone has only a number (`-05`) for a name."""
    name, key = at.tzname() or "", getattr(at.tzinfo, "key", "")
    return name if name.isalpha() or not key else city_of(key)


def city_of(zone: str) -> str:
    """A zone as people say it: New York, UTC."""
    return zone.rpartition("/")[2].replace("_", " ")


def relative(at: datetime, *, now: datetime) -> str:
    """How far from `now`: `3 hours ago`, `in 2 days`, `just now`."""
    if abs(at - now) < A_MOMENT:
        return "just now" if at <= now else "in a moment"
    # Django joins number and unit by a no-break space; so do we, for a column breaks elsewhere.
    return f"{timesince(at, now, depth=1)} ago" if at < now else f"in {timesince(now, at, depth=1)}"


def moment(at: datetime | None, zone: str = "", *, now: datetime | None = None) -> SafeString:
    """A moment as staff read it: how far, then when on their clock, and on the learner's.

    `zone` is the learner's, an IANA name; empty where there is no learner. Where both clocks show
    the same, it is said once.
    """
    if at is None:
        return SafeString("–")
    here, there = absolute(at), absolute(at, zone) if zone else ""
    return format_html(
        '<time class="tb-time" datetime="{}" title="{}">{}<span>{}</span>{}</time>',
        at.isoformat(),
        f"{here} · {there} for the learner" if there else here,
        relative(at, now=now or timezone.now()),
        here,
        format_html('<span class="tb-there">{} there</span>', there)
        if there and there != here
        else "",
    )


def pill(tone: str, words: str, why: str = "") -> SafeString:
    """A state as a coloured word, and the reason beside it in a sentence.

    Raises ValueError for a tone that is none of TONES.
    """
    if tone not in TONES:
        raise ValueError(f"{tone!r} is no tone; there are {', '.join(sorted(TONES))}")
    said = format_html('<span class="tb-pill tb-{}">{}</span>', tone, words)
    return format_html('{} <span class="tb-why">{}</span>', said, why) if why else said


def link(obj: Any, text: str) -> SafeString:
    """A link to the admin page of `obj`, in words."""
    meta = obj._meta
    url = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[obj.pk])
    return format_html('<a class="tb-link" href="{}">{}</a>', url, text)
