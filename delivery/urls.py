"""Addresses of the delivery app, below /telegram/."""

from __future__ import annotations

from django.urls import path

from delivery.views import telegram_webhook

urlpatterns = [path("webhook/", telegram_webhook, name="telegram_webhook")]
