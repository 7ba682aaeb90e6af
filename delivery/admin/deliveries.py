"""What is owed and what became of it: the list, the page of one, and what staff may do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from config.console.choices import WithChoices
from config.console.confirmation import Question
from config.console.lists import SpanFilter
from config.console.pages import Console, ReadOnlyInline, may
from config.console.words import link, moment
from delivery import models, services
from delivery.admin.base import (
    TRIES,
    WHOSE,
    ToChats,
    chat_of,
    is_number,
    state_of,
    words_of,
)
from delivery.clock import now
from delivery.domain.again import AGAIN
from delivery.domain.reasons import EXPLAIN, Reason
from delivery.domain.states import UNSENT, Status

#: How many are looked at one by one, to say of each why it may not go again.
MOST_AGAIN = 500
HEADS = ("Delivery", "State", "Due")


class AttemptInline(ReadOnlyInline):
    """Each try of a delivery."""

    model = models.Attempt
    verbose_name_plural = "tries"
    fields = readonly_fields = ("began", "ended", "came_back", "http_status", "description")
    ordering = ("fence",)

    @admin.display(description="began")
    def began(self, row: models.Attempt) -> SafeString:
        """When its intent was written."""
        return moment(row.started_at)

    @admin.display(description="ended")
    def ended(self, row: models.Attempt) -> SafeString:
        """When its answer was recorded."""
        return moment(row.finished_at)

    @admin.display(description="what came back")
    def came_back(self, row: models.Attempt) -> str:
        """In words."""
        return TRIES[row.outcome]


class SetApartFilter(admin.SimpleListFilter):
    """What never went to a learner by Telegram."""

    title = "set apart"
    parameter_name = "apart"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Tests, and what was diverted."""
        return [("test", "tests"), ("diverted", "went to the sandbox inbox")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """By the index of what is set apart."""
        chosen = {"test": Q(is_test=True), "diverted": Q(diverted=True)}.get(self.value() or "")
        return queryset if chosen is None else queryset.filter(chosen)


class Decided(WithChoices, Console):
    """What staff may decide about deliveries; of the list of all, and of the work queues."""

    actions = ("withdraw", "take_back", "confirm_arrival", "again", "drop")
    has_withdraw_permission = may("delivery.withdraw_delivery")
    has_resolve_permission = may("delivery.resolve_delivery")
    has_resend_permission = may("delivery.resend_delivery")

    def _ask(
        self,
        request: HttpRequest,
        rows: QuerySet[models.Delivery],
        act: Callable[[list[int]], str],
        **question: Any,
    ) -> HttpResponse | None:
        """Show what would be done to these rows; do it once it is confirmed."""
        # Of the concrete model, so that there is one log of a delivery, wherever it was done.
        chosen = models.Delivery.objects.filter(pk__in=rows.order_by().values("pk"))
        shown = chosen.select_related(f"chat__{WHOSE}").order_by("-pk")
        return self.confirm(
            request,
            shown,
            Question(
                heads=HEADS,
                row=lambda row: (link(row, words_of(row)), state_of(row), moment(row.due_at)),
                act=lambda done: act(list(done.values_list("pk", flat=True))),
                **question,
            ),
        )

    @admin.action(description="Withdraw what has not gone out", permissions=["withdraw"])
    def withdraw(
        self, request: HttpRequest, queryset: QuerySet[models.Delivery]
    ) -> HttpResponse | None:
        """Cancel pending and leased ones."""

        def act(keys: list[int]) -> str:
            count = services.withdraw(delivery_ids=keys)
            return f"{count} withdrawn; {len(keys) - count} had gone out or ended meanwhile."

        return self._ask(
            request,
            queryset.filter(status__in=UNSENT),
            act,
            title="Withdraw {count} that have not gone out?",
            effect="Nobody gets them; their journeys go on with the next step. What has gone out"
            " or ended stays as it is. Until they are due, this can be taken back.",
            button="Withdraw {count}",
            left=_left(queryset.exclude(status__in=UNSENT), "It has gone out or ended."),
            undo="take_back",
            danger=True,
        )

    @admin.action(description="Take back a withdrawal", permissions=["withdraw"])
    def take_back(
        self, request: HttpRequest, queryset: QuerySet[models.Delivery]
    ) -> HttpResponse | None:
        """Owe once more what staff withdrew, before it was due."""
        at, keys = now(), list(queryset.values_list("pk", flat=True))
        rows = services.preview_back(delivery_ids=keys, now=at)
        going = [row.pk for row, refusal in rows if not refusal]

        def act(chosen: list[int]) -> str:
            return f"{services.take_back(delivery_ids=chosen, now=at)} go out at their times."

        return self._ask(
            request,
            models.Delivery.objects.filter(pk__in=going),
            act,
            title=f"Let {{count}} of {len(rows)} go out after all?",
            effect="They go out at the times they were planned for, also where their journeys have"
            " gone on meanwhile.",
            button="Let {count} go out",
            left=_refused(rows),
        )

    @admin.action(description="It did arrive (unknown → sent)", permissions=["resolve"])
    def confirm_arrival(
        self, request: HttpRequest, queryset: QuerySet[models.Delivery]
    ) -> HttpResponse | None:
        """Resolve unknown ones."""

        def act(keys: list[int]) -> str:
            count = sum(services.resolve_by_evidence(delivery_id=key) for key in keys)
            return f"{count} now count as sent; {len(keys) - count} were not unknown any more."

        return self._ask(
            request,
            queryset.filter(status=Status.UNKNOWN),
            act,
            title="Did these {count} arrive?",
            effect="They count as sent from then on, and never go again.",
            button="Yes, all {count}",
            left=_left(queryset.exclude(status=Status.UNKNOWN), EXPLAIN[Reason.NOT_IN_DOUBT]),
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

        def act(chosen: list[int]) -> str:
            return f"{len(services.send_again(delivery_ids=chosen, now=at))} will be sent again."

        return self._ask(
            request,
            models.Delivery.objects.filter(pk__in=going),
            act,
            title=f"Send {{count}} of {len(rows)} again?",
            effect="Whoever did get one of the unknown ones will get it a second time. "
            "Consent, hours, caps and gates are asked once more before each goes out.",
            button="Send {count} again",
            left=_refused(rows),
        )

    @admin.action(description="Drop (unknown or given up)", permissions=["resolve"])
    def drop(
        self, request: HttpRequest, queryset: QuerySet[models.Delivery]
    ) -> HttpResponse | None:
        """Settle that they were not sent."""

        def act(keys: list[int]) -> str:
            return f"{services.drop(delivery_ids=keys)} dropped."

        return self._ask(
            request,
            queryset.filter(status__in=AGAIN),
            act,
            title="Drop {count}?",
            effect="They count as not sent and never go again; their journeys go on without them."
            " This cannot be undone.",
            button="Drop {count}",
            left=_left(queryset.exclude(status__in=AGAIN), EXPLAIN[Reason.NOT_IN_DOUBT]),
            danger=True,
        )


def _left(rows: QuerySet[models.Delivery], why: str) -> list[tuple[object, str]]:
    """Some of the rows that stay as they are, with the reason."""
    some = rows.select_related(f"chat__{WHOSE}").order_by("-pk")[:10]
    return [(link(row, words_of(row)), why) for row in some]


def _refused(rows: Iterable[tuple[models.Delivery, str]]) -> list[tuple[object, str]]:
    return [(link(row, words_of(row)), EXPLAIN[Reason(code)]) for row, code in rows if code]


@admin.register(models.Delivery)
class DeliveryAdmin(ToChats, Decided):
    """One text for one chat, once: where it stands and why."""

    list_display = ("beginning", chat_of, "state", "stream_words", "due", "sent")
    list_filter = (
        ("status", ChoicesDropdownFilter),
        ("due_at", SpanFilter),
        SetApartFilter,
    )
    empty_words = "Nothing is owed to anybody yet. Journeys plan what goes out, when and to whom."
    ordering = ("-pk",)
    inlines = (AttemptInline,)
    fields = readonly_fields = (
        chat_of, "text", "state", "stream_words", "due", "sent", "expires", "created", "last_error",
    )  # fmt: skip

    def _get_obj_does_not_exist_redirect(
        self, request: HttpRequest, opts: Any, object_id: str
    ) -> HttpResponseRedirect:
        """Whatever leads to a delivery of the past leads into the archive."""
        key = unquote(object_id)
        if is_number(key) and models.ArchivedDelivery.objects.filter(pk=key).exists():
            at = reverse("admin:delivery_archiveddelivery_change", args=[object_id])
            return HttpResponseRedirect(at)
        return super()._get_obj_does_not_exist_redirect(request, opts, object_id)

    def choices(self, request: HttpRequest, row: models.Delivery) -> list[tuple[str, str, str]]:
        """What may be decided about a delivery as it stands."""
        known = {
            "withdraw": (row.status in UNSENT, "Withdraw…", "Nobody gets it; its journey goes on."),
            "take_back": (
                row.reason == Reason.WITHDRAWN_BY_STAFF and row.due_at > now(),
                "Take back…",
                "It goes out at its time after all.",
            ),
            "confirm_arrival": (row.status == Status.UNKNOWN, "It arrived…", "It counts as sent."),
            "again": (
                row.status in AGAIN,
                "Send again…",
                "It is owed once more; consent, hours, caps and gates are asked again.",
            ),
            "drop": (row.status in AGAIN, "Drop…", "It counts as not sent and never goes again."),
        }
        return [(name, words, does) for name, (fits, words, does) in known.items() if fits]

    @admin.display(description="state")
    def state(self, row: models.Delivery) -> SafeString:
        """Where it stands, and why, in a sentence."""
        return state_of(row)

    @admin.display(description="due")
    def due(self, row: models.Delivery) -> SafeString:
        """When it was planned for, on the learner's clock too."""
        return moment(row.due_at, row.window_zone)

    @admin.display(description="sent")
    def sent(self, row: models.Delivery) -> SafeString:
        """When Telegram took it."""
        return moment(row.sent_at, row.window_zone)

    @admin.display(description="of no use after")
    def expires(self, row: models.Delivery) -> SafeString:
        """When it would be too late."""
        return moment(row.expires_at, row.window_zone)

    @admin.display(description="planned")
    def created(self, row: models.Delivery) -> SafeString:
        """When it was decided that it is owed."""
        return moment(row.created_at)

    @admin.display(description="sequence")
    def stream_words(self, row: models.Delivery) -> str:
        """The stream without its prefix."""
        if row.stream_id.startswith(models.DRY_STREAMS):
            return f"{row.stream_id.removeprefix(models.DRY_STREAMS)} (dry run)"
        return row.stream_id.removeprefix("stream:") or "–"


@admin.register(models.Attempt)
class AttemptAdmin(Console):
    """Tries."""

    list_display = ("of", "began", "came_back", "http_status", "description")
    list_select_related = (f"delivery__chat__{WHOSE}",)
    search_fields = ("=delivery__dedupe_key",)
    search_help_text = "The key of a delivery"
    sortable_by = ()
    ordering = ("-pk",)

    def heading(self, row: models.Attempt) -> str:
        """By its delivery."""
        return f"Try {row.fence} of: {words_of(row.delivery)}"

    @admin.display(description="of")
    def of(self, row: models.Attempt) -> str:
        """Its delivery."""
        return words_of(row.delivery)

    @admin.display(description="began")
    def began(self, row: models.Attempt) -> SafeString:
        """When its intent was written."""
        return moment(row.started_at)

    @admin.display(description="what came back")
    def came_back(self, row: models.Attempt) -> str:
        """In words."""
        return TRIES[row.outcome]
