"""The choice of a time zone in a form."""

from __future__ import annotations

from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminSelect2Widget

from config.console.zone_names import known_zones


class ZoneField(forms.ChoiceField):
    """A zone that there is, by its IANA name; or none, and what holds then is said."""

    def __init__(self, *, without: str, **options: Any) -> None:
        super().__init__(
            required=False,
            choices=lambda: [("", without)] + [(zone, zone) for zone in sorted(known_zones())],
            widget=UnfoldAdminSelect2Widget,
            **options,
        )
