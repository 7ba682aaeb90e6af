"""Learners and the identities by which they are recognised in a call."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from attendance.domain.kinds import SURE_IDENTITIES, IdentityKind, IdentityStatus


class Learner(models.Model):
    """A person who is enrolled in courses."""

    email = models.CharField(max_length=320)  # as imported
    email_key = models.CharField(max_length=320, unique=True)  # normal form
    name = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~Q(email_key=""), name="attendance_learner_email_key_given"
            ),
        ]

    def __str__(self) -> str:
        return f"learner {self.pk}"


class LearnerIdentity(models.Model):
    """One mark by which a learner may be recognised, and how sure that is."""

    learner = models.ForeignKey(Learner, models.CASCADE, related_name="identities")
    kind = models.CharField(max_length=16, choices=[(k.value, k.value) for k in IdentityKind])
    value_key = models.CharField(max_length=320)
    status = models.CharField(max_length=16, choices=[(s.value, s.value) for s in IdentityStatus])
    origin = models.CharField(max_length=32, default="import")
    created_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "learner identities"
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=[k.value for k in IdentityKind]),
                name="attendance_learneridentity_kind",
            ),
            models.CheckConstraint(
                condition=Q(status__in=[s.value for s in IdentityStatus]),
                name="attendance_learneridentity_status",
            ),
            models.CheckConstraint(
                condition=~Q(value_key=""), name="attendance_learneridentity_value_given"
            ),
            # Two learners never share a sure identity. Also read by the linking of endpoints.
            models.UniqueConstraint(
                fields=["kind", "value_key"],
                condition=Q(status__in=sorted(s.value for s in SURE_IDENTITIES)),
                name="attendance_learneridentity_one_sure_owner",
            ),
            models.UniqueConstraint(
                fields=["learner", "kind", "value_key"],
                name="attendance_learneridentity_once_per_learner",
            ),
        ]

    def __str__(self) -> str:
        return f"identity {self.pk} of learner {self.learner_id}: {self.kind} {self.status}"
