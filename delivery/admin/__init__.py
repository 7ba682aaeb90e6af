"""The console over what is owed, what went out, and what is held back."""

from __future__ import annotations

from delivery.admin import archive, chats, deliveries, gates, queues

__all__ = ["archive", "chats", "deliveries", "gates", "queues"]
