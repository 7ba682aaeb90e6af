"""Stays in a class drawn as bars, by the server; whatever they show is said in words as well."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from attendance.domain.bars import WIDTH, Frame, lanes
from attendance.domain.presence import Window
from attendance.selectors import Device

LANE, MOST_LANES = 12, 6


def stays_svg(devices: Sequence[Device], *, frame: Frame, window: Window, tone: str) -> SafeString:
    """One bar for each device over the window that counts; those at the same time are stacked.

    `tone` is `sure`, `guest` (hatched by a dashed outline) or `other`.
    """
    placed = lanes([(seen.started_at, seen.ended_at) for seen in devices])
    height = LANE * min(max([*placed, 0]) + 1, MOST_LANES)
    left, width = frame.bar((window.starts_at, window.ends_at))
    bars = format_html_join(
        "",
        '<rect class="at-{}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>',
        (
            (tone, x, LANE * min(lane, MOST_LANES - 1) + 2, wide, LANE - 4, stay_words(seen))
            for seen, lane in zip(devices, placed, strict=True)
            for x, wide in [frame.bar((seen.started_at, seen.ended_at))]
        ),
    )
    return format_html(
        '<svg class="at-bars" role="img" aria-label="{}" viewBox="0 0 {} {}" height="{}" '
        'preserveAspectRatio="none"><rect class="at-window" x="{}" y="0" width="{}" height="{}"/>'
        "{}</svg>",
        "; ".join(map(stay_words, devices)) or "Not seen", WIDTH, height, height * 1.5, left,
        width, height, bars,
    )  # fmt: skip


def stay_words(seen: Device) -> str:
    """One stay: from when to when, on what."""
    start, end = timezone.localtime(seen.started_at), timezone.localtime(seen.ended_at)
    return f"{start:%H:%M}–{end:%H:%M} on {device_words(seen)}"


def device_words(seen: Device) -> str:
    """What sort of device it was."""
    return (seen.device_type or "a device").replace("_", " ").lower()


def axis(frame: Frame) -> SafeString:
    """The times under the line, on the clock of whoever looks."""
    return format_html(
        '<span class="at-axis" aria-hidden="true">{}</span>',
        format_html_join(
            "", "<span>{}</span>", ((f"{timezone.localtime(at):%H:%M}",) for at in frame.ticks())
        ),
    )
