"""The composition root as a Django app: it holds the commands that see every part."""

from __future__ import annotations

from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """Registered last, since it may import everything."""

    name = "config"
    verbose_name = "telbot"
