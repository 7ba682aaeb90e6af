"""What the pages of delivery share: states, people and evidence in words."""

from __future__ import annotations

from html import unescape
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import strip_tags
from django.utils.safestring import SafeString

from config.console.lists import of_people
from config.console.pages import Console
from config.console.words import absolute, link, pill
from delivery import models
from delivery.domain.reasons import EXPLAIN, Reason

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
#: To whom a chat belongs is a relation that nurture declares; this app does not know it.
WHOSE = "contact__learner"
TRIES = {
    "": "is under way",
    "sent": "Telegram took it",
    "rejected": "Telegram refused it",
    "not_sent": "it certainly did not go out",
    "unknown": "no word whether Telegram took it",
}


def found_chats(words: str) -> QuerySet[models.Chat]:
    """The chats that a search may mean: beginnings of names, address, or Telegram id."""
    rows = models.Chat.objects.order_by("pk")
    for word in words.split():
        named = Q(**{f"{WHOSE}__name__words": word}) | Q(**{f"{WHOSE}__email__icontains": word})
        rows = rows.filter(named | Q(telegram_id=int(word)) if is_number(word) else named)
    return rows


def is_number(word: str) -> bool:
    """Whether a word may be the number of a chat or an update."""
    return word.removeprefix("-").isdecimal() and len(word) < 19


def person_of(chat: models.Chat) -> str:
    """Whose chat it is: a learner's name or address; its Telegram id where nobody's."""
    contact = getattr(chat, "contact", None)
    if contact is None:
        return f"chat {chat.telegram_id}"
    return str(contact.learner.name or contact.learner.email)


@admin.display(description="to")
def chat_of(row: Any) -> SafeString:
    """Link to the learner of a row, or to its chat where it is nobody's."""
    contact = getattr(row.chat, "contact", None)
    return link(contact.learner if contact else row.chat, person_of(row.chat))


class ToChats(Console):
    """Texts to chats, found by whom they are for or by their key."""

    list_select_related = (f"chat__{WHOSE}",)
    search_fields = ("=dedupe_key",)
    search_help_text = "A learner's name or address, a Telegram id, or the key of a delivery"
    sortable_by = ()  # the newest first; no other order has an index

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By whom it is for, found first, or by its key."""
        if not search_term:
            return queryset, False
        chats = found_chats(search_term)
        if not chats.exists():
            return queryset.filter(dedupe_key=search_term), False
        return of_people(queryset, "chat", chats), False

    def heading(self, row: Any) -> str:
        """By whom it is for and its first words."""
        return f"To {words_of(row)}"

    @admin.display(description="text")
    def beginning(self, row: Any) -> str:
        """The first words, without their markup."""
        return opening(row, most=60)


def opening(row: Any, *, most: int) -> str:
    """The first words of a text, without their markup."""
    return unescape(strip_tags(row.text))[:most] or "–"


def why_of(row: models.Delivery) -> str:
    """The reason of a delivery in a sentence; empty while it has none."""
    return EXPLAIN[Reason(row.reason)] if row.reason in set(Reason) else row.reason


def state_of(row: models.Delivery) -> SafeString:
    """Where a delivery stands, and why."""
    return pill(TONES[row.status], row.status, why_of(row))


def words_of(row: Any) -> str:
    """A delivery in words."""
    return f"{person_of(row.chat)}: {opening(row, most=40)}"


def try_words(one: models.Attempt) -> str:
    """A try as evidence: when, how long, and what came back."""
    said = f"{absolute(one.started_at)}: {TRIES[one.outcome]}"
    if one.finished_at:
        said += f" after {(one.finished_at - one.started_at).total_seconds():.1f} s"
    answer = f"{one.http_status or ''} {one.description}".strip()
    return f"{said} ({answer})" if answer else said
