"""Who was asked before a class whether they come, and why the others were not."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from attendance.models import ClassSession, Learner
from delivery.models import Delivery


class PledgeQuestion(models.Model):
    """What was decided for one learner and one class; it is asked once."""

    learner = models.ForeignKey(Learner, models.CASCADE, related_name="pledge_questions")
    session = models.ForeignKey(ClassSession, models.CASCADE, related_name="pledge_questions")
    code = models.CharField(max_length=32)  # domain/reasons.py
    inputs = models.JSONField(default=dict, blank=True)
    # No constraint: it may have moved to the archive, under the same key.
    delivery = models.OneToOneField(
        Delivery, models.SET_NULL, null=True, blank=True, db_constraint=False,
        related_name="pledge_question",
    )  # fmt: skip
    round = models.PositiveSmallIntegerField(default=1)  # rises where one is planned anew
    decided_at = models.DateTimeField()

    class Meta:
        constraints = [
            # Read by the pass: who is undecided. Also by moves and cancellations of a class.
            models.UniqueConstraint(
                fields=["session", "learner"], name="nurture_pledgequestion_once"
            ),
            models.CheckConstraint(condition=~Q(code=""), name="nurture_pledgequestion_code"),
        ]

    def __str__(self) -> str:
        return f"question to learner {self.learner_id} about class {self.session_id}: {self.code}"
