"""Contacts, tags, invitations, tasks."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import pluralize
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from attendance.admin.base import class_of
from config.console.confirmation import Question
from config.console.lists import SpanFilter
from config.console.pages import Console, Titled, may
from config.console.seen import SeenForm
from config.console.words import absolute, link, moment, pill
from config.console.zones import ZoneField
from delivery.clock import now
from nurture import models
from nurture.admin.base import OfLearner, learner_of, name_of, zone_of
from nurture.admin.people_words import seen
from nurture.admin.privacy import PrivacyActions
from nurture.domain.reasons import EXPLAIN, Reason
from nurture.services.replanning import leave_chat, plan_anew

#: What of a contact decides when and in which words something is said.
DECIDES = frozenset({"time_zone", "language", "quiet_opens", "quiet_closes"})


class ContactForm(SeenForm):
    """How a learner is reached, and when."""

    time_zone = ZoneField(without="that of the course")
    sees = ("chat_id", "time_zone", "language", "quiet_opens", "quiet_closes")

    class Meta:
        labels = {"quiet_opens": "Quiet from", "quiet_closes": "Quiet until"}
        help_texts = {
            "language": "A code such as es.",
            "quiet_opens": "On their clock. Another zone, language or other quiet hours count for "
            "what is planned, too, unless it is due.",
            "quiet_closes": "",
        }

    def clean(self) -> dict[str, Any]:
        """Quiet hours have both ends."""
        said = super().clean()
        if (said.get("quiet_opens") is None) != (said.get("quiet_closes") is None):
            raise forms.ValidationError("Quiet hours need both ends, or none.")
        return said


@admin.register(models.Contact)
class ContactAdmin(PrivacyActions, OfLearner, Titled):
    """How a learner is reached."""

    form = ContactForm
    list_display = ("of", "linked", "time_zone", "language", "quiet")
    list_select_related = ("learner", "chat")
    autocomplete_fields = ("learner", "chat")
    actions = ("export_learner", "erase_learner")
    empty_words = "Contacts come with learners: manage.py import_learners FILE.csv."
    ordering = ("-pk",)

    def get_fields(self, request: HttpRequest, obj: models.Contact | None = None) -> Any:
        """Whose it is never changes."""
        whose = learner_of if obj else "learner"
        said = ("chat", "time_zone", "language", "quiet_opens", "quiet_closes")
        writes = obj is not None and self.has_change_permission(request)
        return (whose, *said, "seen") if writes else (whose, *said)

    def get_readonly_fields(self, request: HttpRequest, obj: models.Contact | None = None) -> Any:
        """As there."""
        return (learner_of,) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """A learner is erased, with all that is personal."""
        return False

    def heading(self, row: models.Contact) -> str:
        """By whose it is."""
        return f"Contact of {name_of(row.learner)}"

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """With another zone, language, quiet hours or chat what is planned is decided anew."""
        super().save_model(request, obj, form, change)
        count, left = 0, form.initial.get("chat")
        if "chat" in form.changed_data and left:
            count = leave_chat(learner=obj.learner_id, chat=left, now=now())
        if not DECIDES.isdisjoint(form.changed_data):
            count += plan_anew(learners=[obj.learner_id], now=now())
        if count:
            messages.info(request, f"Planned anew: {count} message{pluralize(count)}.")

    @admin.display(description="of")
    def of(self, row: models.Contact) -> str:
        """The learner's name; the link of the list."""
        return name_of(row.learner)

    @admin.display(description="linked")
    def linked(self, row: models.Contact) -> SafeString:
        """Whether there is a chat."""
        return pill("good", "yes") if row.chat_id else pill("warn", "no")

    @admin.display(description="quiet there")
    def quiet(self, row: models.Contact) -> str:
        """The hours the learner asked for."""
        if row.quiet_opens is None or row.quiet_closes is None:
            return "–"
        return f"{row.quiet_opens:%H:%M} to {row.quiet_closes:%H:%M}"


@admin.register(models.StaffTask)
class StaffTaskAdmin(OfLearner, Console):
    """What only a person can do."""

    list_display = ("words", learner_of, "note", "since", "state")
    list_select_related = ("learner", "done_by")
    list_filter = (("kind", ChoicesDropdownFilter), ("done_at", admin.EmptyFieldListFilter))
    empty_words = "No task is open. Sequences hand over here, and so do doubts about what was said."
    ordering = ("-pk",)
    actions = ("done",)
    fields = readonly_fields = ("words", learner_of, "note", "since", "state")

    def heading(self, row: models.StaffTask) -> str:
        """By what it is and whom it is about."""
        return f"{row.get_kind_display()}: {name_of(row.learner)}"

    @admin.display(description="task")
    def words(self, row: models.StaffTask) -> str:
        """Its kind in words."""
        return row.get_kind_display()

    @admin.display(description="since")
    def since(self, row: models.StaffTask) -> SafeString:
        """When it came up."""
        return moment(row.created_at)

    @admin.display(description="state")
    def state(self, row: models.StaffTask) -> SafeString:
        """Open, or by whom it was done and when."""
        if row.done_at is None:
            return pill("warn", "open")
        by = row.done_by.get_username() if row.done_by else "somebody"
        return pill("good", "done", f"by {by}, {absolute(row.done_at)}")

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

    list_display = ("name", "of", "since")
    list_select_related = ("contact__learner",)
    search_fields = ("name", "contact__learner__email")
    search_help_text = "A tag, or a learner's address"
    autocomplete_fields = ("contact",)
    ordering = ("name", "pk")

    def heading(self, row: models.ContactTag) -> str:
        """By name and whose."""
        return f"{row.name}, on {name_of(row.contact.learner)}"

    @admin.display(description="on")
    def of(self, row: models.ContactTag) -> SafeString:
        """The learner."""
        return link(row.contact.learner, name_of(row.contact.learner))

    @admin.display(description="since")
    def since(self, row: models.ContactTag) -> SafeString:
        """When it was put on."""
        return moment(row.created_at)


@admin.register(models.LinkToken)
class LinkTokenAdmin(OfLearner, Console):
    """Invitations; the token itself is known to nobody but its receiver."""

    list_display = ("of", "made", "state")
    list_select_related = ("learner",)
    fields = readonly_fields = (learner_of, "made", "state")
    ordering = ("-pk",)

    def heading(self, row: models.LinkToken) -> str:
        """By whom it is for."""
        return f"Invitation of {name_of(row.learner)}"

    @admin.display(description="for")
    def of(self, row: models.LinkToken) -> str:
        """The learner's name; the link of the list."""
        return name_of(row.learner)

    @admin.display(description="made")
    def made(self, row: models.LinkToken) -> SafeString:
        """When it was handed out."""
        return moment(row.created_at)

    @admin.display(description="state")
    def state(self, row: models.LinkToken) -> SafeString:
        """Used, or until when it holds."""
        if row.used_at:
            return pill("good", "used", absolute(row.used_at))
        return pill("info", "not used", f"holds until {absolute(row.expires_at)}")


@admin.register(models.HoldoutAssignment)
class HoldoutAssignmentAdmin(OfLearner, Console):
    """Who was left alone for comparison."""

    list_display = ("which", learner_of, "drawn", "since")
    list_select_related = ("sequence", "learner")
    list_filter = ("held_out", "sequence")
    ordering = ("-pk",)

    def heading(self, row: models.HoldoutAssignment) -> str:
        """By learner and sequence."""
        return f"{name_of(row.learner)} and {row.sequence.name}"

    @admin.display(description="sequence")
    def which(self, row: models.HoldoutAssignment) -> str:
        """Its name; the link of the list."""
        return row.sequence.name

    @admin.display(description="drawn")
    def drawn(self, row: models.HoldoutAssignment) -> SafeString:
        """To which group."""
        return pill("calm", "left alone") if row.held_out else pill("info", "written to")

    @admin.display(description="since")
    def since(self, row: models.HoldoutAssignment) -> SafeString:
        """When it was drawn."""
        return moment(row.assigned_at)


@admin.register(models.PledgeQuestion)
class PledgeQuestionAdmin(OfLearner, Console):
    """Who was asked before a class whether they come, and why the others were not."""

    list_display = (learner_of, class_of, "asked", "because", "when")
    list_display_links = ("asked",)
    list_select_related = ("learner__contact", "session", "delivery")
    list_filter = ("code", ("decided_at", SpanFilter))
    fields = readonly_fields = (
        learner_of, class_of, "asked", "because", "question", "saw", "when",
    )  # fmt: skip
    ordering = ("-pk",)

    def heading(self, row: models.PledgeQuestion) -> str:
        """By learner and class."""
        return f"Whether {name_of(row.learner)} comes"

    @admin.display(description="question")
    def question(self, row: models.PledgeQuestion) -> SafeString | str:
        """Link to what went out."""
        return link(row.delivery, row.delivery.text[:40]) if row.delivery else "–"

    @admin.display(description="saw")
    def saw(self, row: models.PledgeQuestion) -> str:
        """What it was decided from."""
        return seen(row.inputs, zone_of(row.learner))

    @admin.display(description="when")
    def when(self, row: models.PledgeQuestion) -> SafeString:
        """When it was decided."""
        return moment(row.decided_at, zone_of(row.learner))

    @display(description="asked", label={"asked": "success", "not asked": "warning"})
    def asked(self, row: models.PledgeQuestion) -> str:
        """Whether."""
        return "asked" if row.code == Reason.ASKED else "not asked"

    @admin.display(description="because", ordering="code")
    def because(self, row: models.PledgeQuestion) -> str:
        """The reason in a sentence."""
        return EXPLAIN[Reason(row.code)]
