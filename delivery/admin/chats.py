"""Whom we may write to, what they agreed to, and what they wrote."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from config.console.lists import of_people
from config.console.pages import Console, ReadOnlyInline
from config.console.words import moment, pill
from delivery import models
from delivery.admin.base import WHOSE, chat_of, found_chats, is_number, person_of

REACH_TONES = {"ok": "good", "never_started": "warn"}


class ConsentInline(ReadOnlyInline):
    """What a chat agreed to."""

    model = models.Consent
    fields = readonly_fields = ("category", "granted", "changed_at", "source")
    ordering = ("category",)


@admin.register(models.Chat)
class ChatAdmin(Console):
    """Whom we may write to."""

    list_display = ("whose", "telegram_id", "reach", "agreed", "quiet", "messages_link")
    list_select_related = (WHOSE,)
    list_filter = (("reachability", ChoicesDropdownFilter),)
    search_fields = (f"{WHOSE}__email",)  # shows the box; get_search_results does the search
    sortable_by = ()  # ids and names are sealed
    search_help_text = "A learner's name or address, or a Telegram id"
    empty_words = "Chats come with learners, and when somebody presses Start."
    ordering = ("-pk",)
    inlines = (ConsentInline,)

    def heading(self, row: models.Chat) -> str:
        """By whose it is."""
        return f"Chat of {person_of(row)}"

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.Chat]:
        """With consents."""
        rows: QuerySet[models.Chat] = super().get_queryset(request)
        return rows.prefetch_related("consents")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[models.Chat], search_term: str
    ) -> tuple[QuerySet[models.Chat], bool]:
        """By beginnings of names, address or id."""
        if not search_term:
            return queryset, False
        return queryset.filter(pk__in=found_chats(search_term).values("pk")), False

    @admin.display(description="whose")
    def whose(self, row: models.Chat) -> str:
        """The learner."""
        return person_of(row)

    @admin.display(description="reachable")
    def reach(self, row: models.Chat) -> SafeString:
        """Whether Telegram lets us write."""
        return pill(REACH_TONES.get(row.reachability, "bad"), row.get_reachability_display())

    @admin.display(description="agreed")
    def agreed(self, row: models.Chat) -> SafeString:
        """To everything, or to what not."""
        said = {one.category: one.granted for one in row.consents.all()}
        refused = sorted(category for category, granted in said.items() if not granted)
        if not said.get("", False):
            return pill("bad", "no")
        return pill("warn", "not to", ", ".join(refused)) if refused else pill("good", "yes")

    @admin.display(description="asked for quiet until")
    def quiet(self, row: models.Chat) -> SafeString:
        """The end of a snooze."""
        return moment(row.snoozed_until)

    @admin.display(description="deliveries")
    def messages_link(self, row: models.Chat) -> SafeString:
        """Link to what it got."""
        url = reverse("admin:delivery_delivery_changelist")
        address = f"{url}?chat__id__exact={row.pk}"
        return format_html('<a class="tb-link" href="{}">deliveries</a>', address)


@admin.register(models.Consent)
class ConsentAdmin(Console):
    """What chats agreed to."""

    list_display = (chat_of, "what", "said", "since", "source")
    list_display_links = ("what",)
    list_select_related = (f"chat__{WHOSE}",)
    search_fields = ("source",)  # shows the box; get_search_results does the search
    search_help_text = "A learner's name or address, or a Telegram id"
    list_filter = ("granted",)
    ordering = ("-pk",)

    def heading(self, row: models.Consent) -> str:
        """By whose it is."""
        return f"Consent of {person_of(row.chat)}"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[models.Consent], search_term: str
    ) -> tuple[QuerySet[models.Consent], bool]:
        """By whose it is."""
        if not search_term:
            return queryset, False
        return of_people(queryset, "chat", found_chats(search_term)), False

    @admin.display(description="to what")
    def what(self, row: models.Consent) -> str:
        """The category."""
        return row.category or "everything"

    @admin.display(description="said")
    def said(self, row: models.Consent) -> SafeString:
        """Yes or no."""
        return pill("good", "yes") if row.granted else pill("bad", "no")

    @admin.display(description="since")
    def since(self, row: models.Consent) -> SafeString:
        """When it changed last."""
        return moment(row.changed_at)


@admin.register(models.InboundUpdate)
class InboundUpdateAdmin(Console):
    """What learners wrote and pressed, as Telegram told us."""

    personal = True
    list_display = ("update_id", "received", "handled", "tries", "error")
    search_fields = ("=update_id",)
    search_help_text = "A Telegram id, or the number of an update"
    sortable_by = ()
    ordering = ("-pk",)

    def heading(self, row: models.InboundUpdate) -> str:
        """By its number, which is Telegram's."""
        return f"Update {row.update_id}"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[models.InboundUpdate], search_term: str
    ) -> tuple[QuerySet[models.InboundUpdate], bool]:
        """By either number."""
        if not search_term:
            return queryset, False
        if not is_number(search_term):
            return queryset.none(), False
        number = int(search_term)
        return queryset.filter(Q(update_id=number) | Q(chat_key=number)), False

    @admin.display(description="received")
    def received(self, row: models.InboundUpdate) -> SafeString:
        """When it came."""
        return moment(row.received_at)

    @admin.display(description="handled")
    def handled(self, row: models.InboundUpdate) -> SafeString:
        """When it was acted on."""
        return moment(row.handled_at)
