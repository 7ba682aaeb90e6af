"""The pages of the editor: a new sequence, and the draft of one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.decorators import action

import delivery.tasks
from delivery import selectors as delivery_selectors
from delivery.clock import now
from nurture import services
from nurture.admin.editor import beginning
from nurture.admin.editor.document import state_of
from nurture.admin.editor.fields import ACTIONS
from nurture.admin.editor.looking import Look
from nurture.admin.editor.operations import Done, operate
from nurture.admin.editor.page import Page
from nurture.admin.editor.state import State, from_fields, part, said
from nurture.models import Sequence
from nurture.services import DraftChangedError, trying
from nurture.texts import SAMPLE, VARIABLES

EDIT, TEST = "nurture.edit_sequence", "nurture.test_sequence"
#: What the script asks for instead of a whole page.
PARTS = {"part": "part", "live": "live"}
TAGS = [
    ("b", "Bold", "format_bold"), ("i", "Italic", "format_italic"),
    ("u", "Underlined", "format_underlined"), ("s", "Struck out", "strikethrough_s"),
    ("tg-spoiler", "Spoiler", "visibility_off"), ("code", "Code", "code"),
    ("blockquote", "Quote", "format_quote"), ("a", "Link", "link"),
]  # fmt: skip


@dataclass
class Turn:
    """One request to the editor: whose, about which sequence, and what came of it."""

    request: HttpRequest
    sequence: Sequence
    state: State
    checksum: str
    may_edit: bool
    done: Done = field(default_factory=Done)
    refused: DraftChangedError | None = None
    link: str = ""
    said: str = ""
    tried: bool = False  # to save: then every problem is told


class EditorPages:
    """For the admin of sequences: the addresses of the editor."""

    admin_site: AdminSite
    opts: Any
    message_user: Any
    log_change: Any
    log_addition: Any
    has_view_permission: Any
    actions_list = ("begin",)
    actions_detail = ("write", "begin_alike")
    empty_words = "Nothing is written yet. Begin with one of ours and change its words."

    def get_urls(self) -> list[URLPattern]:
        """The editor's pages come before Django's own."""
        wrap = self.admin_site.admin_view
        ours = [
            path("new/", wrap(self.new_view), name="nurture_sequence_new"),
            path("<int:pk>/edit/", wrap(self.edit_view), name="nurture_sequence_edit"),
        ]
        return ours + super().get_urls()

    def has_edit_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        """Whether they write drafts."""
        return request.user.has_perm(EDIT)

    @action(description="New sequence", url_path="begin", permissions=["edit"])  # type: ignore[operator]  # unfold says that it is none
    def begin(self, request: HttpRequest) -> HttpResponse:
        """To the page on which a sequence begins."""
        return HttpResponseRedirect(reverse("admin:nurture_sequence_new"))

    @action(description="Open the editor", url_path="write")  # type: ignore[operator]  # unfold says that it is none
    def write(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """To the editor; who may not edit reads it there."""
        return HttpResponseRedirect(reverse("admin:nurture_sequence_edit", args=[object_id]))

    @action(description="Duplicate", url_path="duplicate", permissions=["edit"])  # type: ignore[operator]  # unfold says that it is none
    def begin_alike(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """To the page on which a sequence begins, like this one."""
        url = reverse("admin:nurture_sequence_new")
        return HttpResponseRedirect(f"{url}?like=row:{object_id}")

    # --- a new one ----------------------------------------------------------------------------

    def new_view(self, request: HttpRequest) -> HttpResponse:
        """Begin a sequence: blank, from one of ours, or like one that there is."""
        if not self.has_edit_permission(request):
            raise PermissionDenied
        asked = {name: str(request.POST.get(name, "")) for name in ("name", "slug", "like")}
        problems: list[str] = []
        if request.method == "POST":
            made = beginning.begin(**asked, by=_user(request), now=now())
            if isinstance(made, Sequence):
                self.log_addition(request, made, "began a draft")
                return HttpResponseRedirect(_address("edit", made))
            problems = made
        elif "like" in request.GET:
            asked["like"] = str(request.GET["like"])
        return self._render(
            request, "new", title="A new sequence", asked=asked, problems=problems,
            origins=beginning.origins(),
        )  # fmt: skip

    # --- the draft ----------------------------------------------------------------------------

    def edit_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show the draft; change, look at, try or save what stands in the form."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        sequence = get_object_or_404(
            Sequence.objects.select_related("draft_version", "published_version"), pk=pk
        )
        may_edit = self.has_edit_permission(request)
        if request.method == "POST" and not may_edit:
            raise PermissionDenied
        if request.method != "POST":
            present = sequence.draft_version or sequence.published_version
            source = present.source if present else beginning.blank(sequence.slug, sequence.name)
            state = state_of(source)
            state["look"] = {"step": str(request.GET.get("step", ""))}
            seen = services.checksum_of(present)
            return self._show_turn(Turn(request, sequence, state, seen, may_edit))
        state = from_fields(request.POST) | {"sequence": sequence.slug}
        turn = Turn(request, sequence, state, said(state, "checksum"), may_edit)
        return self._act(turn, str(request.POST.get("do", "save")))

    def _act(self, turn: Turn, do: str) -> HttpResponse:
        verb, _, rest = do.partition(" ")
        if verb in {"save", "over"}:
            turn.tried = True
            if verb == "over":
                turn.checksum = said(turn.state, "theirs")
            return self._save(turn)
        if verb == "show":
            turn.state.setdefault("look", {})["step"] = rest
        elif verb in {"test", "link"}:
            self._try(turn, verb)
        else:
            turn.done = operate(turn.state, do)
        return self._show_turn(turn)

    def _save(self, turn: Turn) -> HttpResponse:
        page = Page(turn.state, now())
        if page.draft.problems:
            turn.said = "Nothing was saved. Put right what is named below."
            return self._show_turn(turn)
        try:
            version = services.save_draft(
                sequence=turn.sequence,
                source=page.draft.source,
                expected_checksum=turn.checksum,
                by=_user(turn.request),
                now=page.now,
            )
        except DraftChangedError as refused:
            turn.refused = refused
            return self._show_turn(turn)
        if version.checksum != turn.checksum:
            self.log_change(
                turn.request, turn.sequence, f"saved the draft, version {version.number}"
            )
        words = f"Saved as version {version.number}, a draft. Nobody gets it until it is published."
        if version == turn.sequence.published_version:
            words = "Nothing to save: it says what is published."
        self.message_user(turn.request, words, messages.SUCCESS)
        to = f"{_address('edit', turn.sequence)}?step={said(part(turn.state, 'look'), 'step')}"
        if turn.request.headers.get("X-Part"):  # the script goes there; see save() in editor.js
            return HttpResponse(headers={"X-To": to})
        return HttpResponseRedirect(to)

    def _try(self, turn: Turn, verb: str) -> None:
        """Send a test, or make a link by which staff link their own chat."""
        if not turn.request.user.has_perm(TEST):
            raise PermissionDenied
        if verb == "link":
            token = trying.offer_link(user=_user(turn.request), now=now())
            turn.link, name = f"/start {token}", delivery_selectors.bot_username()
            turn.link = f"https://t.me/{name}?start={token}" if name else turn.link
            return
        look = self._look(turn)
        try:
            with transaction.atomic():
                key = look.send(said(look.asked, "chat"))
                transaction.on_commit(delivery.tasks.ring)
        except ValueError as refused:
            turn.said = str(refused)
            return
        turn.state.setdefault("look", {})["test"] = key
        self.log_change(turn.request, turn.sequence, "sent a test to a chat of staff")
        turn.done = Done(words="The test is on its way.", focus="test")

    def _look(self, turn: Turn, page: Page | None = None) -> Look:
        return Look(
            page=page or Page(turn.state, now()),
            asked=part(turn.state, "look"),
            now=now(),
            may_see_learners=turn.request.user.has_perm("attendance.view_learner"),
        )

    def _show_turn(self, turn: Turn) -> HttpResponse:
        page = Page(turn.state, now())
        look = self._look(turn, page)
        sequence = turn.sequence
        return self._render(
            turn.request,
            PARTS.get(turn.request.headers.get("X-Part", ""), "edit"),
            title=sequence.name,
            turn=turn,
            sequence=sequence,
            page=page,
            look=look,
            seen=look.preview(),
            draft=sequence.draft_version,
            published=sequence.published_version,
            changed=turn.request.method == "POST",
            may_test=turn.request.user.has_perm(TEST),
            tags=TAGS,
            actions=ACTIONS,
            variables=[(name, words, SAMPLE[name]) for name, words in VARIABLES.items()],
        )

    def _render(self, request: HttpRequest, name: str, **more: Any) -> TemplateResponse:
        context = {**self.admin_site.each_context(request), "opts": self.opts, **more}
        return TemplateResponse(request, f"admin/nurture/editor/{name}.html", context)


def _user(request: HttpRequest) -> Any:
    return request.user


def _address(page: str, sequence: Sequence) -> str:
    return reverse(f"admin:nurture_sequence_{page}", args=[sequence.pk])
