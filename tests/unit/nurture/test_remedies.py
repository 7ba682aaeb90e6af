"""What would change a verdict (N07, N08)."""

from __future__ import annotations

from delivery.domain import reasons as of_delivery
from nurture.domain import reasons as of_nurture
from nurture.domain.remedies import REMEDIES, remedy

#: What explanations name beside reasons: states, holds of a journey and of a chat.
STATES = {"pending", "unknown", "dead", "paused", "snoozed", "fact_answered", "held_by_gate"}


def test_every_remedy_is_for_a_code_that_there_is() -> None:
    known = {*of_nurture.Reason, *of_delivery.Reason, *STATES}

    assert {str(code) for code in REMEDIES} <= {str(code) for code in known}


def test_what_needs_no_change_has_none() -> None:
    assert remedy("chat_blocked").startswith("Only the learner can change this")
    assert remedy("sent") == ""
