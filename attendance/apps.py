"""Django's entry to the app."""

from __future__ import annotations

from django.apps import AppConfig


class AttendanceConfig(AppConfig):
    """See docs/architecture.md for what attendance owns."""

    name = "attendance"
