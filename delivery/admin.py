"""The console over what is owed, what went out, and what is held back."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter
from unfold.decorators import display

from config.console.confirmation import Question
from config.console.pages import Console, ReadOnlyInline, may
from config.console.words import link, moment, pill
from delivery import models, services
from delivery.clock import now
from delivery.domain.reasons import EXPLAIN, Reason

MOST_AGAIN = 500
TONES = {
    "pending": "info",
    "leased": "info",
    "sending": "info",
    "sent": "good",
    "unknown": "warn",
    "failed": "bad",
    "dead": "bad",
    "expired": "warn",
    "cancelled": "calm",
    "skipped": "calm",
}


@admin.display(description="chat")
def chat_of(row: Any) -> SafeString:
    """Link to the chat, by its Telegram id."""
    url = reverse("admin:delivery_chat_change", args=[row.chat_id])
    return format_html('<a href="{}">chat {}</a>', url, row.chat.telegram_id)


def why_of(row: models.Delivery) -> str:
    """The reason of a delivery in a sentence; empty while it has none."""
    return EXPLAIN[Reason(row.reason)] if row.reason in set(Reason) else row.reason


class AttemptInline(ReadOnlyInline):
    """Each try of a delivery."""

    model = models.Attempt
    fields = readonly_fields = (
        "started_at", "finished_at", "outcome", "http_status", "description", "message_id",
    )  # fmt: skip
    ordering = ("fence",)


@admin.register(models.Delivery)
class DeliveryAdmin(Console):
    """One text for one chat, once: where it stands and why."""

    list_display = ("beginning", chat_of, "state", "stream_words", "due", "sent")
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

    @admin.display(description="state", ordering="status")
    def state(self, row: models.Delivery) -> SafeString:
        """Where it stands, and why, in a sentence."""
        return pill(TONES[row.status], row.status, why_of(row))

    @admin.display(description="due", ordering="due_at")
    def due(self, row: models.Delivery) -> SafeString:
        """When it was planned for, on the learner's clock too."""
        return moment(row.due_at, row.window_zone)

    @admin.display(description="sent", ordering="sent_at")
    def sent(self, row: models.Delivery) -> SafeString:
        """When Telegram took it."""
        return moment(row.sent_at, row.window_zone)

    @admin.display(description="text")
    def beginning(self, row: models.Delivery) -> str:
        """The first words."""
        return row.text[:60]

    @admin.display(description="sequence")
    def stream_words(self, row: models.Delivery) -> str:
        """The stream without its prefix."""
        return row.stream_id.removeprefix("stream:") or "–"

    has_withdraw_permission = may("delivery.withdraw_delivery")
    has_resolve_permission = may("delivery.resolve_delivery")
    has_resend_permission = may("delivery.resend_delivery")

    def heading(self, row: models.Delivery) -> str:
        """By its first words."""
        return f"To chat {row.chat.telegram_id}: {row.text[:40]}"

    @admin.action(description="Withdraw what has not gone out", permissions=["withdraw"])
    def withdraw(
        self, request: HttpRequest, queryset: QuerySet[models.Delivery]
    ) -> HttpResponse | None:
        """Cancel pending and leased ones."""

        def act(rows: QuerySet[models.Delivery]) -> str:
            keys = list(rows.values_list("dedupe_key", flat=True))
            count = services.cancel(dedupe_keys=keys, reason=Reason.WITHDRAWN)
            return f"{count} withdrawn; {len(keys) - count} had gone out or ended already."

        return self.confirm(
            request,
            queryset,
            Question(
                title="Withdraw what has not gone out of these {count}?",
                effect="Nobody gets them; their journeys go on. What has gone out stays as it is.",
                button="Withdraw {count}",
                heads=HEADS,
                row=_cells,
                act=act,
                danger=True,
            ),
        )

    @admin.action(description="It did arrive (unknown → sent)", permissions=["resolve"])
    def confirm_arrival(
        self, request: HttpRequest, queryset: QuerySet[models.Delivery]
    ) -> HttpResponse | None:
        """Resolve unknown ones."""

        def act(rows: QuerySet[models.Delivery]) -> str:
            keys = list(rows.values_list("pk", flat=True))
            count = sum(services.resolve_by_evidence(delivery_id=key) for key in keys)
            return f"{count} now count as sent; {len(keys) - count} were not unknown."

        return self.confirm(
            request,
            queryset,
            Question(
                title="Did these {count} arrive?",
                effect="Those that are unknown count as sent from then on, and never go again.",
                button="Yes, all {count}",
                heads=HEADS,
                row=_cells,
                act=act,
            ),
        )

    @admin.action(description="Send again (unknown or given up)", permissions=["resend"])
    def again(
        self, request: HttpRequest, queryset: QuerySet[models.Delivery]
    ) -> HttpResponse | None:
        """Show which may go again and which may not, with the reason; then do it."""
        at = now()
        keys = list(queryset.values_list("pk", flat=True)[:MOST_AGAIN])
        rows = services.preview_again(delivery_ids=keys, now=at)
        going = [row.pk for row, refusal in rows if not refusal]

        def act(chosen: QuerySet[models.Delivery]) -> str:
            sent = services.send_again(
                delivery_ids=list(chosen.values_list("pk", flat=True)), now=at
            )
            return f"{len(sent)} will be sent again."

        return self.confirm(
            request,
            models.Delivery.objects.filter(pk__in=going).select_related("chat").order_by("-pk"),
            Question(
                title=f"Send {{count}} of {len(rows)} again?",
                effect="Whoever did get one of the unknown ones will get it a second time. "
                "Consent, hours, caps and gates are asked once more before each goes out.",
                button="Send {count} again",
                heads=HEADS,
                row=_cells,
                act=act,
                left=[
                    (link(row, _words(row)), EXPLAIN[Reason(code)]) for row, code in rows if code
                ],
            ),
        )


def _words(row: models.Delivery) -> str:
    return f"chat {row.chat.telegram_id}: {row.text[:40]}"


HEADS = ("Delivery", "State", "Due")


def _cells(row: models.Delivery) -> tuple[object, ...]:
    """A row as a page of confirmation shows it."""
    tone = TONES[row.status]
    return link(row, _words(row)), pill(tone, row.status, why_of(row)), moment(row.due_at)


class ConsentInline(ReadOnlyInline):
    """What a chat agreed to."""

    model = models.Consent
    fields = readonly_fields = ("category", "granted", "changed_at", "source")
    ordering = ("category",)


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

    has_switch_permission = may("delivery.switch_gate")

    def heading(self, row: models.Gate) -> str:
        """By its key."""
        return row.key

    @admin.action(description="Close until somebody opens it", permissions=["switch"])
    def close(self, request: HttpRequest, queryset: QuerySet[models.Gate]) -> HttpResponse | None:
        """Hold back what is behind the gates."""

        def act(rows: QuerySet[models.Gate]) -> str:
            by = request.user.get_username()
            for key in rows.values_list("key", flat=True):
                services.close_gate(key=key, reason="closed by staff", by=by)
            return "Closed. Nothing is lost; it waits."

        return self.confirm(
            request,
            queryset,
            Question(
                title="Close {count} gates?",
                effect="Nothing behind them goes out until somebody opens them; it waits.",
                button="Close {count}",
                heads=("Gate",),
                act=act,
                row=lambda row: (row.key,),
                undo="open_again",
                danger=True,
            ),
        )

    @admin.action(description="Open", permissions=["switch"])
    def open_again(
        self, request: HttpRequest, queryset: QuerySet[models.Gate]
    ) -> HttpResponse | None:
        """Let deliveries through again."""

        def act(rows: QuerySet[models.Gate]) -> str:
            for key in rows.values_list("key", flat=True):
                services.open_gate(key=key, by=request.user.get_username())
            return "Open."

        return self.confirm(
            request,
            queryset,
            Question(
                title="Open {count} gates?",
                effect="What waits behind them goes out at once, at the usual pace.",
                button="Open {count}",
                heads=("Gate", "Closed because"),
                row=lambda row: (row.key, row.reason or "–"),
                act=act,
            ),
        )


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

    list_display_links = ("category",)
    list_display = (chat_of, "category", "granted", "changed_at", "source")
    list_select_related = ("chat",)
    search_fields = ("=chat__telegram_id",)
    list_filter = ("granted",)
    ordering = ("-pk",)


@admin.register(models.InboundUpdate)
class InboundUpdateAdmin(Console):
    """What learners wrote and pressed, as Telegram told us."""

    personal = True

    list_display = ("update_id", "chat_key", "received_at", "handled_at", "tries", "error")
    search_fields = ("=update_id", "=chat_key")
    ordering = ("-pk",)


@admin.register(models.Installation)
class InstallationAdmin(Console):
    """Which database this is."""

    list_display = ("environment", "bot_id", "armed_at")
    ordering = ("pk",)
