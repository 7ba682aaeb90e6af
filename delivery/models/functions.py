"""SQL functions of ours, for querysets."""

from __future__ import annotations

from django.db.models import DateTimeField
from django.db.models.expressions import Func


class BusinessNow(Func):
    """telbot_now(): the database's clock, or the simulated moment of this session."""

    function = "telbot_now"
    output_field = DateTimeField()
