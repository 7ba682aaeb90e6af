"""The composition root as a Django app: it holds the commands that see every part."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings

from config import telemetry


class ConfigConfig(AppConfig):
    """Registered last, since it may import everything."""

    name = "config"
    verbose_name = "telbot"

    def ready(self) -> None:
        """Traces begin before the first request and the first connection."""
        telemetry.start(
            endpoint=settings.OTEL_EXPORTER_OTLP_ENDPOINT, environment=settings.ENVIRONMENT
        )
