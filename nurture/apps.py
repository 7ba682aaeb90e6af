"""Django's entry to the app."""

from __future__ import annotations

from django.apps import AppConfig


class NurtureConfig(AppConfig):
    """See docs/architecture.md for what nurture owns."""

    name = "nurture"
