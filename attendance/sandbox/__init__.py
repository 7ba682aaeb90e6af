"""A loopback Google and a cohort for it, for tests, the demo and local work."""

from __future__ import annotations

from attendance.sandbox.fake import FakeGoogle, Fault, serve, service_account_key
from attendance.sandbox.shapes import Record
from attendance.sandbox.world import LearnerRow, World, build_world

__all__ = [
    "FakeGoogle",
    "Fault",
    "LearnerRow",
    "Record",
    "World",
    "build_world",
    "serve",
    "service_account_key",
]
