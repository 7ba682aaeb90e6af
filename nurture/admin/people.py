"""Contacts, tags, invitations, tasks."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter
from unfold.decorators import display

from attendance.admin.base import class_of
from config.console.confirmation import Question
from config.console.pages import Console, Titled, may
from delivery.clock import now
from nurture import models
from nurture.admin.base import learner_of
from nurture.admin.privacy import PrivacyActions
from nurture.domain.reasons import EXPLAIN, Reason


@admin.register(models.Contact)
class ContactAdmin(PrivacyActions, Titled):
    """How a learner is reached."""

    list_display = ("__str__", learner_of, "linked", "time_zone", "language")
    list_select_related = ("learner", "chat")
    search_fields = ("learner__email", "learner__name", "=chat__telegram_id")
    autocomplete_fields = ("learner", "chat")
    actions = ("export_learner", "erase_learner")
    ordering = ("-pk",)
    list_per_page = 50

    @admin.display(description="linked", boolean=True)
    def linked(self, row: models.Contact) -> bool:
        """Whether there is a chat."""
        return row.chat_id is not None


@admin.register(models.StaffTask)
class StaffTaskAdmin(Console):
    """What only a person can do."""

    list_display = ("kind", learner_of, "note", "created_at", "done_at")
    list_select_related = ("learner",)
    list_filter = (("kind", ChoicesDropdownFilter),)
    search_fields = ("learner__email", "note")
    ordering = ("-pk",)
    actions = ("done",)

    has_finish_permission = may("nurture.finish_stafftask")

    @admin.action(description="Done", permissions=["finish"])
    def done(
        self, request: HttpRequest, queryset: QuerySet[models.StaffTask]
    ) -> HttpResponse | None:
        """Mark as done by whoever is logged in."""

        def act(rows: QuerySet[models.StaffTask]) -> str:
            return f"{rows.update(done_at=now(), done_by=request.user)} done."

        return self.confirm(
            request,
            queryset.filter(done_at=None),
            Question(
                title="Are these {count} tasks done?",
                button="Yes, {count} are done",
                heads=("Task", "Learner", "Note"),
                row=lambda row: (row.kind, learner_of(row), row.note),
                act=act,
            ),
        )


@admin.register(models.ContactTag)
class ContactTagAdmin(Titled):
    """Tags that sequences put on contacts."""

    list_display = ("name", "contact", "created_at")
    list_select_related = ("contact",)
    search_fields = ("name", "contact__learner__email")
    autocomplete_fields = ("contact",)
    ordering = ("name", "pk")


@admin.register(models.LinkToken)
class LinkTokenAdmin(Console):
    """Invitations; the token itself is known to nobody but its receiver."""

    list_display = (learner_of, "created_at", "expires_at", "used_at")
    list_display_links = ("created_at",)
    list_select_related = ("learner",)
    search_fields = ("learner__email",)
    exclude = ("token_hash",)
    ordering = ("-pk",)


@admin.register(models.HoldoutAssignment)
class HoldoutAssignmentAdmin(Console):
    """Who was left alone for comparison."""

    list_display = ("sequence", learner_of, "held_out", "assigned_at")
    list_select_related = ("sequence", "learner")
    list_filter = ("held_out", "sequence")
    search_fields = ("learner__email",)
    ordering = ("-pk",)


@admin.register(models.PledgeQuestion)
class PledgeQuestionAdmin(Console):
    """Who was asked before a class whether they come, and why the others were not."""

    list_display = (learner_of, class_of, "asked", "because", "decided_at")
    list_display_links = ("asked",)
    list_select_related = ("learner", "session", "delivery")
    list_filter = ("code", ("decided_at", RangeDateTimeFilter))
    search_fields = ("learner__email", "learner__name", "session__title")
    fields = readonly_fields = (
        learner_of, class_of, "asked", "because", "delivery", "inputs", "round", "decided_at",
    )  # fmt: skip
    ordering = ("-pk",)

    @display(description="asked", label={"asked": "success", "not asked": "warning"})
    def asked(self, row: models.PledgeQuestion) -> str:
        """Whether."""
        return "asked" if row.code == Reason.ASKED else "not asked"

    @admin.display(description="because", ordering="code")
    def because(self, row: models.PledgeQuestion) -> str:
        """The reason in a sentence."""
        return EXPLAIN[Reason(row.code)]
