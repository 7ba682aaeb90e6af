"""What Google said: records, calls and the devices in them."""

from __future__ import annotations

from django.contrib import admin
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter

from attendance import models
from attendance.admin.base import class_of, learner_of
from config.console.pages import Console
from config.console.words import absolute as moment


@admin.register(models.Endpoint)
class EndpointAdmin(Console):
    """One device in one call."""

    personal = True
    list_display = ("name", "identifier", "kind", learner_of, "came", "minutes")
    list_select_related = ("learner",)
    list_filter = (("kind", ChoicesDropdownFilter), ("started_at", RangeDateFilter))
    search_fields = ("identifier", "display_name", "endpoint_id", "learner__email")
    search_help_text = "A name or address as it stood in the call"
    ordering = ("-pk",)

    def heading(self, row: models.Endpoint) -> str:
        """By the name in the call."""
        return self.name(row)

    @admin.display(description="name in the call", ordering="display_name")
    def name(self, row: models.Endpoint) -> str:
        """In words."""
        return row.display_name or row.identifier or "no name"

    @admin.display(description="came", ordering="started_at")
    def came(self, row: models.Endpoint) -> str:
        """When it joined."""
        return moment(row.started_at)

    @admin.display(description="minutes")
    def minutes(self, row: models.Endpoint) -> int:
        """How long it stayed."""
        return int((row.ended_at - row.started_at).total_seconds() // 60)


@admin.register(models.Conference)
class ConferenceAdmin(Console):
    """One call of Google."""

    list_display = ("conference_id", "meeting_code", "organizer_email")
    search_fields = ("conference_id", "meeting_code")
    ordering = ("-pk",)


@admin.register(models.ConferenceMatch)
class ConferenceMatchAdmin(Console):
    """Which call belongs to which class, by which rule."""

    list_display = ("call", class_of, "rule", "confidence")
    list_select_related = ("conference", "session")
    search_fields = ("conference__conference_id", "session__event_id")
    ordering = ("-pk",)

    @admin.display(description="call")
    def call(self, row: models.ConferenceMatch) -> str:
        """By Google's own name for it."""
        return row.conference.conference_id


@admin.register(models.Activity)
class ActivityAdmin(Console):
    """Google's records as they came, without addresses of machines."""

    personal = True
    list_display = ("at", "name", "unique_qualifier", "first_seen")
    search_fields = ("unique_qualifier",)
    ordering = ("-pk",)

    @admin.display(description="happened", ordering="event_time")
    def at(self, row: models.Activity) -> str:
        """By Google's clock."""
        return moment(row.event_time)

    @admin.display(description="first seen", ordering="first_seen_at")
    def first_seen(self, row: models.Activity) -> str:
        """When it was read."""
        return moment(row.first_seen_at)
