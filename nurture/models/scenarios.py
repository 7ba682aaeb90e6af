"""What staff expect of a sequence, and what was done to it."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import models
from django.db.models import Q

from nurture.domain import scenario as values
from nurture.models.sequences import Sequence


class Scenario(models.Model):
    """One story that must come out as told before its sequence may be published (N10)."""

    sequence = models.ForeignKey(Sequence, models.CASCADE, related_name="scenarios")
    name = models.CharField(max_length=120)
    learner = models.CharField(max_length=120, default=values.LEARNER)
    time_zone = models.CharField(max_length=64, default=values.ZONE)
    language = models.CharField(max_length=16, blank=True, default="")
    quiet_opens = models.TimeField(null=True, blank=True)
    quiet_closes = models.TimeField(null=True, blank=True)
    first_day = models.DateField(default=values.FIRST_DAY)
    given = models.JSONField(default=list, blank=True)
    expected = models.JSONField(default=list, blank=True)
    nothing_else = models.BooleanField(default=True)
    changed_at = models.DateTimeField()
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["sequence", "name"], name="nurture_scenario_name"),
            models.CheckConstraint(
                condition=~(Q(quiet_opens__isnull=True) ^ Q(quiet_closes__isnull=True)),
                name="nurture_scenario_quiet_whole",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def value(self) -> values.Scenario:
        """As the core knows it."""
        quiet = None
        if self.quiet_opens is not None and self.quiet_closes is not None:
            quiet = (self.quiet_opens, self.quiet_closes)
        return values.Scenario(
            name=self.name,
            first_day=self.first_day,
            zone=ZoneInfo(self.time_zone),
            learner=self.learner,
            language=self.language,
            quiet=quiet,
            given=values.given_from_json(self.given),
            expected=values.expected_from_json(self.expected),
            nothing_else=self.nothing_else,
        )

    @value.setter
    def value(self, said: values.Scenario) -> None:
        self.name, self.learner, self.time_zone = said.name, said.learner, said.zone.key
        self.language, self.first_day = said.language, said.first_day
        self.quiet_opens, self.quiet_closes = said.quiet or (None, None)
        self.given = values.given_to_json(said.given)
        self.expected = values.expected_to_json(said.expected)
        self.nothing_else = said.nothing_else


class EditKind(models.TextChoices):
    """What somebody did to a sequence."""

    SAVED = "saved", "saved a draft"
    IMPORTED = "imported", "imported a draft"
    REVERTED = "reverted", "made an older state the draft again"
    PUBLISHED = "published", "published"
    MODE = "mode", "changed the mode"


class SequenceEdit(models.Model):
    """Who did what to a sequence, with the whole of it afterwards. Only ever added to (P29)."""

    sequence = models.ForeignKey(Sequence, models.CASCADE, related_name="edits")
    kind = models.CharField(max_length=10, choices=EditKind)
    number = models.PositiveIntegerField(help_text="of the version")
    source = models.TextField(help_text="the file, as it stood afterwards")
    checksum = models.CharField(max_length=64)
    #: What was chosen, such as the policy for journeys under way; why rules were overridden.
    inputs = models.JSONField(default=dict, blank=True)
    note = models.CharField(max_length=500, blank=True, default="")
    at = models.DateTimeField()
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=EditKind.values), name="nurture_edit_kind"),
        ]
        indexes = [
            # Read by the history of a sequence, newest first.
            models.Index(fields=["sequence", "-at", "-id"], name="nurture_edit_of_sequence"),
        ]

    def __str__(self) -> str:
        return f"edit {self.pk}: {self.kind}"

    @property
    def kind_words(self) -> str:
        """What was done: published version 3."""
        return f"{EditKind(self.kind).label}, version {self.number}"
