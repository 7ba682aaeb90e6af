"""What all admin pages share; it knows none of them."""

from __future__ import annotations

from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    """No models: classes, template tags, one stylesheet, one script."""

    name = "config.console"
    label = "console"
