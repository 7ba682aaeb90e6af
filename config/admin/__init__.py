"""The admin's own pages: frame, overview, rollout, staff, and others' models."""

from __future__ import annotations

from config import staff_admin
from config.admin import system
from config.admin.frame import environment_badge, navigation
from config.admin.overview import dashboard

__all__ = ["dashboard", "environment_badge", "navigation", "staff_admin", "system"]
