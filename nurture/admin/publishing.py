"""Publish a draft, look at its history, and switch a sequence off, to pretend, or live."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from config.console.confirmation import TYPED_OVER
from config.console.pages import may
from config.console.words import absolute
from delivery.clock import now
from nurture import services
from nurture.admin.publishing_choice import MODES, POLICIES, Publication, counted, named
from nurture.domain import wording
from nurture.domain.difference import difference
from nurture.domain.sequence import Mode
from nurture.models import OPEN, Contact, Sequence, SequenceEdit
from nurture.sequence_files import read
from nurture.services.publishing import NotPublishableError, look_closely, publish_checked
from nurture.services.scenarios import play_scenarios

#: As many edits of a sequence are shown with what they changed.
MOST_EDITS = 50
#: Up to so many linked learners each text is rendered for each of them without being asked for.
COUNTED_AT_ONCE = 2000


class PublishingPages:
    """For the admin class of sequences: its pages around publishing."""

    admin_site: Any
    opts: Any
    get_object: Callable[..., Any]
    has_view_permission: Callable[..., bool]
    log_change: Callable[..., Any]
    message_user: Callable[..., None]

    may_publish = may("nurture.publish_sequence")
    may_write = may("nurture.edit_sequence")

    def get_urls(self) -> list[URLPattern]:
        """The pages, by what one does there."""
        pages = {
            "publish": self.publish_view,
            "versions": self.versions_view,
            "scenarios": self.scenarios_view,
            "mode": self.mode_view,
        }
        ours = [
            path(
                f"<int:pk>/{name}/",
                self.admin_site.admin_view(view),
                name=f"nurture_sequence_{name}",
            )
            for name, view in pages.items()
        ]
        theirs: list[URLPattern] = super().get_urls()
        return [*ours, *theirs]

    # --- publish ----------------------------------------------------------------------------------

    def publish_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Look a draft over; then see what publishing does; then do it."""
        sequence = self._sequence(request, pk)
        if request.method == "POST" and not self.may_publish(request):
            raise PermissionDenied
        if sequence.draft_version is None:
            return self._page_of(request, sequence, "publish", found=None)
        step = Publication(request, sequence)
        if (
            request.method == "POST"
            and "confirmed" in request.POST
            and self._publish(request, step)
        ):
            return HttpResponseRedirect(reverse("admin:nurture_sequence_change", args=[pk]))
        if request.method == "POST" and step.chosen:
            return self._ask(request, step)
        found = look_closely(
            sequence=sequence, by=_who(request), now=now(), count_missing=_may_count(request)
        )
        return self._page_of(
            request,
            sequence,
            "publish",
            found=found,
            missing=found.missing,
            policies=[
                (policy.value, *POLICIES[policy], counted(report))
                for policy, report in found.in_flight.items()
            ],
            modes=_modes(),
            mode=_mode_after(sequence),
            problem=step.problem,
            override=request.POST.get("override", ""),
        )

    def _ask(self, request: HttpRequest, step: Publication) -> HttpResponse:
        """Exactly what would change, and whether to do it."""
        blast = step.blast
        return self._page_of(
            request,
            step.sequence,
            "publish_confirm",
            policy=POLICIES[step.in_flight][0],
            mode_words=MODES[step.mode][0],
            mode_help=MODES[step.mode][1],
            chosen={name: request.POST.get(name, "") for name in Publication.FIELDS},
            count=blast.size,
            typed=blast.size > TYPED_OVER,
            lists=named(blast),
            problem=step.problem,
        )

    def _publish(self, request: HttpRequest, step: Publication) -> bool:
        """Do it as it was confirmed; say why not where it cannot be done."""
        if not step.chosen or not step.confirmed:
            return False
        try:
            version = publish_checked(
                sequence=step.sequence,
                expected_checksum=request.POST.get("checksum", ""),
                in_flight=step.in_flight,
                mode=step.mode,
                by=_who(request),
                now=now(),
                override=request.POST.get("override", ""),
            )
        except NotPublishableError as refused:
            step.problem, step.chosen = f"Nothing was published. {refused}", False
            return False
        said = f"Version {version.number} of {version.name} is published."
        self.log_change(request, step.sequence, said)
        self.message_user(request, said, messages.SUCCESS)
        return True

    # --- history ----------------------------------------------------------------------------------

    def versions_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Who did what, when, and what it changed; make an older state the draft again."""
        sequence = self._sequence(request, pk)
        problem = ""
        if request.method == "POST":
            if not self.may_write(request):
                raise PermissionDenied
            problem = self._revert(request, sequence)
            if not problem:
                return HttpResponseRedirect(reverse("admin:nurture_sequence_publish", args=[pk]))
        edits = sequence.edits.select_related("by").order_by("-at", "-pk")[: MOST_EDITS + 1]
        present = sequence.draft_version or sequence.published_version
        return self._page_of(
            request,
            sequence,
            "versions",
            rows=list(_with_changes(edits))[:MOST_EDITS],
            present=present,
            problem=problem,
            checksum=services.checksum_of(present),
        )

    def _revert(self, request: HttpRequest, sequence: Sequence) -> str:
        """Make an older state the draft; return what stands in the way."""
        wanted = request.POST.get("edit", "")
        edit = sequence.edits.filter(pk=wanted).first() if wanted.isdecimal() else None
        if edit is None:
            return "Choose a state to go back to."
        try:
            services.revert(
                sequence=sequence,
                source=edit.source,
                expected_checksum=request.POST.get("checksum", ""),
                by=_who(request),
                now=now(),
            )
        except services.DraftChangedError as refused:
            return str(refused)
        said = f"Version {edit.number} as it stood on {absolute(edit.at)} is the draft again."
        self.log_change(request, sequence, said)
        self.message_user(request, said, messages.SUCCESS)
        return ""

    # --- scenarios and mode -----------------------------------------------------------------------

    def scenarios_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Play every scenario against the draft, or what is published where there is none."""
        sequence = self._sequence(request, pk)
        if request.method == "POST":
            raise PermissionDenied
        version = sequence.draft_version or sequence.published_version
        return self._page_of(
            request,
            sequence,
            "scenarios",
            add=f"{reverse('admin:nurture_scenario_add')}?sequence={pk}",
            played=play_scenarios(version=version) if version else [],
            version=version,
        )

    def mode_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Off, dry run or live; it says how many journeys end by that."""
        sequence = self._sequence(request, pk)
        problem = ""
        if request.method == "POST":
            if not self.may_publish(request):
                raise PermissionDenied
            problem = self._set_mode(request, sequence)
            if not problem:
                return HttpResponseRedirect(reverse("admin:nurture_sequence_mode", args=[pk]))
        inside = sequence.journeys.filter(status__in=OPEN).count()
        return self._page_of(
            request,
            sequence,
            "mode",
            modes=_modes(),
            mode=sequence.mode,
            inside=inside,
            typed=inside > TYPED_OVER,
            problem=problem,
        )

    def _set_mode(self, request: HttpRequest, sequence: Sequence) -> str:
        wanted = request.POST.get("mode", "")
        if wanted not in set(Mode):
            return "Choose off, dry run or live."
        inside = sequence.journeys.filter(status__in=OPEN).count()
        if inside > TYPED_OVER and request.POST.get("typed", "").strip() != str(inside):
            return f"Nothing was done. Type {inside}, the number of journeys that end, to go on."
        try:
            changed = services.set_mode(
                sequence=sequence, mode=Mode(wanted), now=now(), by=_who(request)
            )
        except services.UnknownSequenceError:
            return "It is not published yet; the mode is chosen when it is."
        if changed:
            said = f"{sequence.name}: {wording.MODES[Mode(wanted)]} from now on."
            self.log_change(request, sequence, said)
            self.message_user(request, said, messages.SUCCESS)
        return ""

    # --- all of them ------------------------------------------------------------------------------

    def _sequence(self, request: HttpRequest, pk: int) -> Sequence:
        if not self.has_view_permission(request):
            raise PermissionDenied
        rows = Sequence.objects.select_related("draft_version__created_by", "published_version")
        found = rows.filter(pk=pk).first()
        if found is None:
            raise Http404("there is no such sequence")
        return found

    def _page_of(
        self, request: HttpRequest, sequence: Sequence, name: str, **more: Any
    ) -> TemplateResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": sequence.name,
            "sequence": sequence,
            "tab": name,
            "mode_now": MODES[Mode(sequence.mode)][0],
            "may_publish": self.may_publish(request),
            "may_write": self.may_write(request),
            **more,
        }
        return TemplateResponse(request, f"admin/nurture/publish/{name}.html", context)


def _may_count(request: HttpRequest) -> bool:
    """Whether whom a draft would miss is counted at once, or only when somebody asks for it."""
    linked = Contact.objects.filter(chat__isnull=False)[: COUNTED_AT_ONCE + 1]
    return "count" in request.GET or linked.count() <= COUNTED_AT_ONCE


def _who(request: HttpRequest) -> User:
    return cast(User, request.user)


def _modes() -> list[tuple[str, str, str]]:
    return [(mode.value, *words) for mode, words in MODES.items()]


def _mode_after(sequence: Sequence) -> str:
    """What it is now stays; a new sequence begins by what its file says."""
    if sequence.published_version is None and sequence.draft_version is not None:
        return read(sequence.draft_version.source).mode.value
    return sequence.mode


def _with_changes(edits: Iterable[SequenceEdit]) -> Iterable[dict[str, Any]]:
    """Each edit with what it changed against the one before; newest first."""
    rows = list(edits)
    for row, before in zip(rows, [*rows[1:], None], strict=True):
        yield {
            "edit": row,
            "difference": difference(read(before.source) if before else None, read(row.source)),
            "first": before is None,
        }
