"""Actions on many rows: first a page with counts and a sample, then the deed, then its result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

SAMPLE = 10
TYPED_OVER = 100  # more than this is confirmed by typing the number
UNDONE_AT_ONCE = 900  # each is a field of the form that undoes it


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked before something is done to many rows.

    `{count}` in `title` and `button` is how many there are. `row` gives the cells of one sampled
    row under `heads`; `left` names rows that stay as they are, each with its reason. `act` does it
    and returns what to say; what it did may be undone by the action named `undo`. `why` asks for a
    reason, which is in the POST as `why`.
    """

    title: str
    button: str
    act: Callable[[QuerySet[Any]], str]
    effect: str = ""
    heads: Sequence[str] = ("",)
    row: Callable[[Any], Sequence[object]] = lambda row: (row,)
    left: Sequence[tuple[object, str]] = ()
    undo: str = ""
    why: str = ""
    danger: bool = False


class Confirmed:
    """For admin classes; an action returns `self.confirm(request, rows, Question(…))`."""

    admin_site: admin.AdminSite
    opts: Any
    message_user: Callable[..., None]
    get_actions: Callable[[HttpRequest], dict[str, Any]]

    def confirm(
        self, request: HttpRequest, rows: QuerySet[Any], ask: Question
    ) -> HttpResponse | None:
        """Ask, or do it once it was confirmed for as many rows as there are now, and log it.

        Safe to send twice: the second time `act` finds what the first has left.
        """
        count = rows.count()
        confirmed = "confirmed" in request.POST
        problem = _problem(request, count) if confirmed else ""
        if confirmed and not problem:
            return self._do(request, rows, ask)
        context = {
            "title": ask.title.format(count=count),
            "button": ask.button.format(count=count),
            "ask": ask,
            "problem": problem,
            "count": count,
            "sample": [ask.row(row) for row in rows[:SAMPLE]],
            "more": max(count - SAMPLE, 0),
            "typed": count > TYPED_OVER,
        }
        return self._page(request, "console/confirm.html", context)

    def _do(self, request: HttpRequest, rows: QuerySet[Any], ask: Question) -> HttpResponse | None:
        chosen = list(rows)
        said = ask.act(rows)
        self._log(request, chosen)
        if not ask.undo or len(chosen) > UNDONE_AT_ONCE:
            self.message_user(request, said, messages.SUCCESS)
            return None
        context = {"title": said, "said": said, "undo": ask.undo, "undo_words": "Undo"}
        keys = [row.pk for row in chosen]
        return self._page(request, "console/done.html", {**context, "chosen": keys})

    def _log(self, request: HttpRequest, rows: Sequence[Any]) -> None:
        """A line of the audit log for each row, with what was chosen from the list."""
        _, _, words = self.get_actions(request)[request.POST["action"]]
        user: Any = request.user
        LogEntry.objects.log_actions(user.pk, rows, CHANGE, str(words))

    def _page(
        self, request: HttpRequest, template: str, context: dict[str, Any]
    ) -> TemplateResponse:
        frame = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "action": request.POST.get("action", ""),
            "across": request.POST.get("select_across", "0"),
            "chosen": request.POST.getlist("_selected_action"),
            "back": request.get_full_path(),
            "undo_at": request.path,  # a filter of the list may not show them any more
        }
        return TemplateResponse(request, template, {**frame, **context})


def _problem(request: HttpRequest, count: int) -> str:
    """Why a confirmation does not hold; empty if it does."""
    if request.POST["confirmed"] != str(count):
        return f"Meanwhile there are {count}. Nothing was done; look again."
    if count > TYPED_OVER and request.POST.get("typed", "").strip() != str(count):
        return f"Nothing was done. Type {count}, the number of rows, to go on."
    return ""
