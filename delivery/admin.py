"""The console over what is owed, what went out, and what is held back."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter
from unfold.decorators import display

from delivery import models, services
from delivery.clock import now
from delivery.domain.reasons import EXPLAIN, Reason

MOST_AGAIN = 500
STATUS_COLOURS = {
    "pending": "info",
    "leased": "info",
    "sending": "info",
    "sent": "success",
    "unknown": "warning",
    "failed": "danger",
    "dead": "danger",
    "expired": "warning",
    "cancelled": "warning",
    "skipped": "warning",
}


class Console(ModelAdmin):
    """Read-only: rows of the engine. They change through services, never through a form."""

    list_per_page = 50
    show_full_result_count = False
    list_filter_submit = True

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds these by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody edits them in a form; see the actions."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody deletes them."""
        return False

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Whether somebody may use the actions: the right to change, though there is no form."""
        meta = self.opts
        return bool(request.user.has_perm(f"{meta.app_label}.change_{meta.model_name}"))


@admin.display(description="chat")
def chat_of(row: Any) -> SafeString:
    """Link to the chat, by its Telegram id."""
    url = reverse("admin:delivery_chat_change", args=[row.chat_id])
    return format_html('<a href="{}">chat {}</a>', url, row.chat.telegram_id)


class AttemptInline(TabularInline):
    """Each try of a delivery."""

    model = models.Attempt
    extra = 0
    can_delete = False
    fields = readonly_fields = (
        "started_at", "finished_at", "outcome", "http_status", "description", "message_id",
    )  # fmt: skip
    ordering = ("fence",)

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Tries are written by the sender."""
        return False


@admin.register(models.Delivery)
class DeliveryAdmin(Console):
    """One text for one chat, once: where it stands and why."""

    list_display = ("pk", chat_of, "label", "why", "beginning", "stream_words", "due_at", "sent_at")
    list_select_related = ("chat", "stream")
    list_filter = (
        ("status", ChoicesDropdownFilter),
        ("due_at", RangeDateTimeFilter),
        "diverted",
        "is_test",
    )
    search_fields = ("dedupe_key", "=chat__telegram_id", "chat__contact__learner__email")
    search_help_text = "A learner's address, a Telegram id, or the key of a delivery"
    ordering = ("-pk",)
    inlines = (AttemptInline,)
    actions = ("withdraw", "confirm_arrival", "again")

    @display(description="state", label=STATUS_COLOURS)
    def label(self, row: models.Delivery) -> str:
        """As a coloured label."""
        return row.status

    @admin.display(description="why")
    def why(self, row: models.Delivery) -> str:
        """The reason in a sentence."""
        return EXPLAIN[Reason(row.reason)] if row.reason in set(Reason) else row.reason or "–"

    @admin.display(description="text")
    def beginning(self, row: models.Delivery) -> str:
        """The first words."""
        return row.text[:60]

    @admin.display(description="sequence")
    def stream_words(self, row: models.Delivery) -> str:
        """The stream without its prefix."""
        return row.stream_id.removeprefix("stream:") or "–"

    @admin.action(description="Withdraw what has not gone out", permissions=["act"])
    def withdraw(self, request: HttpRequest, queryset: QuerySet[models.Delivery]) -> None:
        """Cancel pending and leased ones."""
        keys = list(queryset.values_list("dedupe_key", flat=True))
        count = services.cancel(dedupe_keys=keys, reason=Reason.WITHDRAWN)
        said = f"{count} withdrawn; {len(keys) - count} had gone out or ended already."
        self.message_user(request, said, messages.SUCCESS)

    @admin.action(description="It did arrive (unknown → sent)", permissions=["act"])
    def confirm_arrival(self, request: HttpRequest, queryset: QuerySet[models.Delivery]) -> None:
        """Resolve unknown ones."""
        keys = list(queryset.values_list("pk", flat=True))
        count = sum(services.resolve_by_evidence(delivery_id=key) for key in keys)
        said = f"{count} now count as sent; {len(keys) - count} were not unknown."
        self.message_user(request, said, messages.SUCCESS)

    @admin.action(description="Send again (unknown or given up)", permissions=["act"])
    def again(
        self, request: HttpRequest, queryset: QuerySet[models.Delivery]
    ) -> HttpResponse | None:
        """Show which may go again and which may not, with the reason; then do it."""
        keys, at = list(queryset.values_list("pk", flat=True)[:MOST_AGAIN]), now()
        if request.POST.get("confirmed"):
            going = services.send_again(delivery_ids=keys, now=at)
            for row in going:
                self.log_change(request, row, "sent again")
            self.message_user(request, f"{len(going)} will be sent again.", messages.SUCCESS)
            return None
        rows = services.preview_again(delivery_ids=keys, now=at)
        count = sum(not refusal for _, refusal in rows)
        return TemplateResponse(
            request,
            "admin/delivery/delivery/again.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": f"Send {count} of {len(rows)} again?",
                "rows": [(row, EXPLAIN[Reason(code)] if code else "") for row, code in rows],
                "count": count,
            },
        )


class ConsentInline(TabularInline):
    """What a chat agreed to."""

    model = models.Consent
    extra = 0
    can_delete = False
    fields = readonly_fields = ("category", "granted", "changed_at", "source")

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Consent comes from the learner."""
        return False


@admin.register(models.Chat)
class ChatAdmin(Console):
    """Whom we may write to."""

    list_display = ("telegram_id", "whose", "label", "snoozed_until", "messages_link")
    list_select_related = ("contact__learner",)
    list_filter = (("reachability", ChoicesDropdownFilter),)
    search_fields = ("=telegram_id", "contact__learner__email", "contact__learner__name")
    ordering = ("-pk",)
    inlines = (ConsentInline,)

    @display(
        description="reachable",
        label={
            "ok": "success", "never_started": "info", "blocked": "danger",
            "deactivated": "danger", "gone": "danger",
        },
    )  # fmt: skip
    def label(self, row: models.Chat) -> str:
        """As a coloured label."""
        return row.reachability

    @admin.display(description="whose")
    def whose(self, row: models.Chat) -> str:
        """The learner, by a relation that nurture declares; this app does not know it."""
        contact = getattr(row, "contact", None)
        return str(contact.learner.name or contact.learner.email) if contact else "–"

    @admin.display(description="deliveries")
    def messages_link(self, row: models.Chat) -> SafeString:
        """Link to what it got."""
        url = reverse("admin:delivery_delivery_changelist")
        return format_html('<a href="{}?q={}">deliveries</a>', url, row.telegram_id)


@admin.register(models.Gate)
class GateAdmin(Console):
    """What is held back, and by whom."""

    list_display = ("key", "label", "reason", "closed_by", "closed_until", "rate")
    list_filter = (("scope", ChoicesDropdownFilter),)
    search_fields = ("key",)
    ordering = ("scope", "key")
    actions = ("close", "open_again")

    @display(description="state", label={"open": "success", "closed": "danger"})
    def label(self, row: models.Gate) -> str:
        """As a coloured label."""
        return "closed" if row.closed_until > now() else "open"

    @admin.action(description="Close until somebody opens it", permissions=["act"])
    def close(self, request: HttpRequest, queryset: QuerySet[models.Gate]) -> None:
        """Hold back what is behind the gates."""
        for key in queryset.values_list("key", flat=True):
            services.close_gate(key=key, reason="closed by staff", by=request.user.get_username())
        self.message_user(request, "Closed. Nothing is lost; it waits.", messages.SUCCESS)

    @admin.action(description="Open", permissions=["act"])
    def open_again(self, request: HttpRequest, queryset: QuerySet[models.Gate]) -> None:
        """Let deliveries through again."""
        for key in queryset.values_list("key", flat=True):
            services.open_gate(key=key, by=request.user.get_username())
        self.message_user(request, "Open.", messages.SUCCESS)


@admin.register(models.Attempt)
class AttemptAdmin(Console):
    """Tries."""

    list_display = ("delivery", "started_at", "outcome", "http_status", "description")
    list_select_related = ("delivery",)
    list_filter = (("outcome", ChoicesDropdownFilter),)
    search_fields = ("delivery__dedupe_key",)
    ordering = ("-pk",)


@admin.register(models.Consent)
class ConsentAdmin(Console):
    """What chats agreed to."""

    list_display = (chat_of, "category", "granted", "changed_at", "source")
    list_select_related = ("chat",)
    search_fields = ("=chat__telegram_id",)
    list_filter = ("granted",)
    ordering = ("-pk",)


@admin.register(models.InboundUpdate)
class InboundUpdateAdmin(Console):
    """What learners wrote and pressed, as Telegram told us."""

    list_display = ("update_id", "chat_key", "received_at", "handled_at", "tries", "error")
    search_fields = ("=update_id", "=chat_key")
    ordering = ("-pk",)


@admin.register(models.Installation)
class InstallationAdmin(Console):
    """Which database this is."""

    list_display = ("environment", "bot_id", "armed_at")
    ordering = ("pk",)
