"""What staff write: sequences, their immutable versions, steps and triggers."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from nurture.domain.sequence import Again, Capped, EntryKey, Fact, Hours, Mode, StepKind


class VersionStatus(models.TextChoices):
    """A version is edited as a draft, then published for good, then followed by another."""

    DRAFT = "draft", "draft"
    PUBLISHED = "published", "published"
    RETIRED = "retired", "retired"


class Sequence(models.Model):
    """A named sequence; what it says is in its versions."""

    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=120)
    mode = models.CharField(
        max_length=8,
        choices=[(m.value, m.value.replace("_", " ")) for m in Mode],
        default=Mode.LIVE,
    )
    draft_version = models.ForeignKey(
        "SequenceVersion", models.SET_NULL, null=True, blank=True, related_name="+"
    )
    published_version = models.ForeignKey(
        "SequenceVersion", models.PROTECT, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "nurture_sequences"
        constraints = [
            models.CheckConstraint(
                condition=Q(mode__in=[m.value for m in Mode]), name="nurture_sequence_mode"
            ),
        ]

    def __str__(self) -> str:
        return self.slug


class SequenceVersion(models.Model):
    """One state of a sequence. Once published it never changes (trigger)."""

    sequence = models.ForeignKey(Sequence, models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    status = models.CharField(max_length=10, choices=VersionStatus, default=VersionStatus.DRAFT)
    source = models.TextField(help_text="the file, in its canonical form")
    checksum = models.CharField(max_length=64)
    name = models.CharField(max_length=120)
    category = models.CharField(max_length=64, blank=True, default="")
    entry_key = models.CharField(max_length=8, choices=[(k.value, k.value) for k in EntryKey])
    again = models.CharField(max_length=10, choices=[(a.value, a.value) for a in Again])
    again_after = models.DurationField(null=True, blank=True)
    open_limit = models.PositiveSmallIntegerField(default=1)
    window_opens = models.TimeField(null=True, blank=True)
    window_closes = models.TimeField(null=True, blank=True)
    window_days = models.PositiveSmallIntegerField(default=127)
    exit_when = models.JSONField(default=list, blank=True)
    priority = models.PositiveSmallIntegerField(default=100)
    cap_per_day = models.PositiveSmallIntegerField(null=True, blank=True)
    capped = models.CharField(
        max_length=5,
        choices=[(c.value, c.value) for c in Capped],
        default=Capped.DROP,
        db_default=Capped.DROP.value,
    )
    outside_hours = models.CharField(
        max_length=4,
        choices=[(h.value, h.value) for h in Hours],
        default=Hours.HOLD,
        db_default=Hours.HOLD.value,
    )
    holdout = models.PositiveSmallIntegerField(default=0, help_text="percent")
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    published_at = models.DateTimeField(null=True, blank=True)
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["sequence", "number"], name="nurture_version_number"),
            models.UniqueConstraint(
                fields=["sequence"],
                condition=Q(status=VersionStatus.DRAFT),
                name="nurture_version_one_draft",
            ),
            models.UniqueConstraint(
                fields=["sequence"],
                condition=Q(status=VersionStatus.PUBLISHED),
                name="nurture_version_one_published",
            ),
            models.CheckConstraint(
                condition=Q(status=VersionStatus.DRAFT) ^ Q(published_at__isnull=False),
                name="nurture_version_published_at",
            ),
            models.CheckConstraint(
                condition=Q(again=Again.AFTER) ^ Q(again_after__isnull=True),
                name="nurture_version_again_after",
            ),
            models.CheckConstraint(condition=Q(open_limit__gte=1), name="nurture_version_open"),
            models.CheckConstraint(condition=Q(holdout__lte=100), name="nurture_version_holdout"),
        ]

    def __str__(self) -> str:
        return f"version {self.number} of sequence {self.sequence_id}"


class Step(models.Model):
    """One element of a version. `key` stays the same across versions."""

    version = models.ForeignKey(SequenceVersion, models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField()
    key = models.SlugField(max_length=64)
    kind = models.CharField(
        max_length=8, choices=[(k.value, k.value) for k in StepKind], default=StepKind.MESSAGE
    )
    enabled = models.BooleanField(default=True)
    wait = models.JSONField(default=dict, blank=True)
    when = models.JSONField(null=True, blank=True)
    text = models.TextField(blank=True, default="")
    texts = models.JSONField(default=dict, blank=True, help_text="by language code")
    buttons = models.JSONField(default=list, blank=True)
    expires = models.DurationField(null=True, blank=True)
    options = models.JSONField(default=dict, blank=True)

    class Meta:
        db_table = "nurture_messages"
        constraints = [
            models.UniqueConstraint(fields=["version", "key"], name="nurture_step_key"),
            models.UniqueConstraint(fields=["version", "position"], name="nurture_step_position"),
            models.CheckConstraint(
                condition=Q(kind__in=[k.value for k in StepKind]), name="nurture_step_kind"
            ),
            models.CheckConstraint(
                condition=~Q(kind=StepKind.MESSAGE) | ~Q(text=""), name="nurture_step_has_text"
            ),
        ]

    def __str__(self) -> str:
        return f"step {self.key} of version {self.version_id}"


class AttendanceTrigger(models.Model):
    """The fact that starts a version's journeys; the first that matches wins."""

    version = models.ForeignKey(SequenceVersion, models.CASCADE, related_name="triggers")
    position = models.PositiveSmallIntegerField()
    fact = models.CharField(max_length=16, choices=[(f.value, f.value) for f in Fact])
    course = models.CharField(max_length=320, default="any", help_text="any, or a calendar id")
    times = models.PositiveSmallIntegerField(default=1, help_text="in a row; 0: each time")

    class Meta:
        db_table = "attendance_triggers"
        constraints = [
            models.UniqueConstraint(
                fields=["version", "position"], name="nurture_trigger_position"
            ),
            models.CheckConstraint(
                condition=Q(fact__in=[f.value for f in Fact]), name="nurture_trigger_fact"
            ),
        ]

    def __str__(self) -> str:
        return f"trigger {self.position} of version {self.version_id}"
