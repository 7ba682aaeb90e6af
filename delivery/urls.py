"""Addresses of the delivery app."""

from __future__ import annotations

urlpatterns: list[object] = []
