"""What a simulation decided, a line for each learner."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from nurture.domain.reasons import Reason
from nurture.domain.schedule import zone_of
from nurture.models import Decision

_FIELDS = (
    "learner_id",
    "learner__email",
    "learner__contact__time_zone",
    "journey__course__time_zone",
    "sequence__slug",
    "step_key",
    "code",
    "delivery__status",
    "delivery__reason",
    "delivery__sent_at",
    "delivery__run_at",
    "delivery__text",
)


def learner_lines(*, of: QuerySet[Decision]) -> list[dict[str, Any]]:
    """For each learner, by e-mail: the messages in their order, and what else was decided.

    A message has its moment in UTC and on the learner's clock. Two equal simulations give equal
    lines: there is nothing in them that a run makes up, such as the number of a row.
    """
    messages: dict[str, list[dict[str, Any]]] = defaultdict(list)
    codes: dict[str, Counter[str]] = defaultdict(Counter)
    for row in of.order_by("learner__email", "id").values(*_FIELDS):
        email = row["learner__email"]
        codes[email][row["code"]] += 1
        if row["code"] == Reason.STEP_PLANNED and row["delivery__status"]:
            messages[email].append(_message(row))
    return [
        {
            "email": email,
            "messages": sorted(
                messages[email], key=lambda line: (line["at"], line["sequence"], line["step"])
            ),
            "decisions": dict(sorted(found.items())),
        }
        for email, found in sorted(codes.items())
    ]


def _message(row: dict[str, Any]) -> dict[str, Any]:
    at: datetime = row["delivery__sent_at"] or row["delivery__run_at"]
    zone = zone_of(
        row["learner__contact__time_zone"] or "",
        row["journey__course__time_zone"] or "",
        settings.TIME_ZONE,
    )
    return {
        "sequence": row["sequence__slug"],
        "step": row["step_key"],
        "at": at.isoformat(),
        "local": at.astimezone(zone).strftime("%a %d %b %Y %H:%M %Z"),
        "status": row["delivery__status"],
        "reason": row["delivery__reason"],
        "text": row["delivery__text"],
    }
