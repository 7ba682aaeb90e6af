"""Django's entry to the app."""

from __future__ import annotations

from django.apps import AppConfig


class DeliveryConfig(AppConfig):
    """See docs/architecture.md for what delivery owns."""

    name = "delivery"
