"""The frame of the admin: badge, navigation, and third-party models in our clothes."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest

COLOURS = {"local": "info", "staging": "warning", "production": "danger"}


def environment_badge(request: HttpRequest) -> list[str]:
    """Say in which world this page lives: text and colour of the badge."""
    return [settings.ENVIRONMENT.capitalize(), COLOURS[settings.ENVIRONMENT]]


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar, in the order in which staff think: who, what, what went out."""
    return []
