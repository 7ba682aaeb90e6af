"""Learners and the identities by which they are recognised in a call."""

from __future__ import annotations

from django.db import models
from django.db.models import Case, Q, TextField, Value, When
from django.db.models.functions import Cast, Concat

from attendance.domain.kinds import (
    COURSE_IDENTITIES,
    OUTSIDER_KINDS,
    SURE_IDENTITIES,
    IdentityKind,
    IdentityStatus,
)
from config.sealed.box import box
from config.sealed.fields import KeyedWords, SealedName

_SEALED_AS = "learner.name"


class Learner(models.Model):
    """A person who is enrolled in courses."""

    email = models.CharField(max_length=320)  # as imported
    email_key = models.CharField(max_length=320, unique=True)  # normal form
    name = SealedName(
        purpose=_SEALED_AS, beside="name_words", max_length=200, blank=True, default=""
    )
    name_words = KeyedWords(of="name", purpose="name")
    created_at = models.DateTimeField()
    # Nothing personal is left; the row stays, so that totals do.
    erased_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        permissions = [
            ("export_learner", "Can export everything about a learner"),
            ("erase_learner", "Can erase everything personal about a learner"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=~Q(email_key=""), name="attendance_learner_email_key_given"
            ),
        ]

    def __str__(self) -> str:
        return f"learner {self.pk}"

    @staticmethod
    def opened_name(stored: str) -> str:
        """The name that a query of our own has read. Raises SealedError."""
        return box().open(stored, _SEALED_AS)


class LearnerIdentity(models.Model):
    """One mark by which a learner may be recognised, and how sure that is."""

    learner = models.ForeignKey(Learner, models.CASCADE, related_name="identities")
    kind = models.CharField(max_length=16, choices=[(k.value, k.value) for k in IdentityKind])
    value_key = models.CharField(max_length=320)
    status = models.CharField(max_length=16, choices=[(s.value, s.value) for s in IdentityStatus])
    # Names and masked addresses mean somebody in one course only.
    course = models.ForeignKey(
        "attendance.Course", models.CASCADE, null=True, blank=True, related_name="identities"
    )
    origin = models.CharField(max_length=32, default="import")
    created_by = models.CharField(max_length=150, blank=True, default="", db_default="")
    created_at = models.DateTimeField()
    # An address is one address, whether it is somebody's first or an alias.
    mark = models.GeneratedField(
        expression=Concat(
            Case(
                When(kind__in=["email", "alias"], then=Value("email:")),
                When(
                    course__isnull=False,
                    then=Concat(
                        "kind",
                        Value(":"),
                        Cast("course_id", TextField()),
                        Value(":"),
                        output_field=TextField(),
                    ),
                ),
                default=Concat("kind", Value(":"), output_field=TextField()),
                output_field=TextField(),
            ),
            "value_key",
            output_field=TextField(),
        ),
        output_field=TextField(),
        db_persist=True,
    )

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
            models.CheckConstraint(
                condition=Q(kind__in=sorted(k.value for k in COURSE_IDENTITIES))
                ^ Q(course__isnull=True),
                name="attendance_learneridentity_course",
            ),
            # Two learners never share a sure identity. Also read by the linking of endpoints.
            models.UniqueConstraint(
                fields=["mark"],
                condition=Q(status__in=sorted(s.value for s in SURE_IDENTITIES)),
                name="attendance_learneridentity_one_sure_owner",
            ),
            models.UniqueConstraint(
                fields=["learner", "mark"],
                name="attendance_learneridentity_once_per_learner",
            ),
        ]

    def __str__(self) -> str:
        return f"identity {self.pk} of learner {self.learner_id}: {self.kind} {self.status}"


class Outsider(models.Model):
    """Somebody (or something) in calls of whom staff said once that it is no learner."""

    kind = models.CharField(max_length=8, choices=[(k.value, k.value) for k in OUTSIDER_KINDS])
    mark = models.CharField(max_length=340)  # as on endpoints: email:… phone:… display_name:…
    # Null: everywhere. Names and masked addresses are settled for one course.
    course = models.ForeignKey(
        "attendance.Course", models.CASCADE, null=True, blank=True, related_name="outsiders"
    )
    created_by = models.CharField(max_length=150, blank=True, default="")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["mark", "course"], nulls_distinct=False, name="attendance_outsider_once"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=[k.value for k in OUTSIDER_KINDS]),
                name="attendance_outsider_kind",
            ),
            models.CheckConstraint(condition=~Q(mark=""), name="attendance_outsider_mark_given"),
        ]

    def __str__(self) -> str:
        return f"outsider {self.pk}: {self.kind}"


class ErasedMark(models.Model):
    """An address, number or account of somebody who was erased, as a keyed hash."""

    mark_hash = models.CharField(max_length=64, unique=True)
    person = models.UUIDField()  # the same for all marks of one person; no key of anything else
    erased_on = models.DateField()  # no moment, which would lead to the learner's row

    def __str__(self) -> str:
        return f"erased mark {self.pk}"
