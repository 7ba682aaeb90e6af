"""Publish a draft, look at its history, and switch a sequence off, to pretend, or live."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from attendance.models import Learner
from config.console.confirmation import TYPED_OVER
from config.console.pages import may
from config.console.words import absolute
from delivery.clock import now
from nurture import services
from nurture.domain import wording
from nurture.domain.difference import difference
from nurture.domain.sequence import InFlight, Mode
from nurture.models import OPEN, Sequence, SequenceEdit
from nurture.sequence_files import read
from nurture.services.in_flight import InFlightReport
from nurture.services.publishing import NotPublishableError, blast_of, look_closely, publish_checked
from nurture.services.scenarios import play_scenarios
from nurture.services.simulation import BlastRadius

POLICIES = {
    InFlight.FINISH: ("Finish as they began", "Whoever is inside hears the old words to the end."),
    InFlight.MOVE: (
        "Move to the new version",
        "At once where the step they wait in is in both, else at the next step that is.",
    ),
    InFlight.EXIT: ("End now", "What is planned for them is withdrawn."),
}
MODES = {
    Mode.STOPPED: ("Off", "Nobody enters."),
    Mode.DRY_RUN: (
        "Dry run",
        "It decides about real learners and keeps what it would send for you. Nobody hears of it.",
    ),
    Mode.LIVE: ("Live", "Learners hear it."),
}
#: As many edits of a sequence are shown with what they changed.
MOST_EDITS = 50


def counted(report: InFlightReport) -> str:
    """What becomes of the journeys under way, in words."""
    said = {
        "move at once": report.moved,
        "move later": report.awaiting,
        "finish as they began": report.finishing,
        "end": report.exited,
    }
    return ", ".join(f"{count} {what}" for what, count in said.items() if count) or "nobody inside"


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

    @admin.display(description="publish and look back")
    def around(self, row: Sequence) -> SafeString:
        """Links to the pages around publishing."""
        pages = {
            "publish": "Draft and publish",
            "scenarios": "Scenarios",
            "versions": "Versions",
            "mode": "Off, dry run, live",
        }
        return format_html_join(
            " · ",
            '<a class="tb-link" href="{}">{}</a>',
            (
                (reverse(f"admin:nurture_sequence_{name}", args=[row.pk]), words)
                for name, words in pages.items()
            ),
        )

    # --- publish ----------------------------------------------------------------------------------

    def publish_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Look a draft over; then see what publishing does; then do it."""
        sequence = self._sequence(request, pk)
        if request.method == "POST" and not self.may_publish(request):
            raise PermissionDenied
        if sequence.draft_version is None:
            return self._show(request, sequence, "publish", found=None)
        step = _Publication(request, sequence)
        if (
            request.method == "POST"
            and "confirmed" in request.POST
            and self._publish(request, step)
        ):
            return HttpResponseRedirect(reverse("admin:nurture_sequence_change", args=[pk]))
        if request.method == "POST" and step.chosen:
            return self._ask(request, step)
        found = look_closely(sequence=sequence, by=_who(request), now=now())
        return self._show(
            request,
            sequence,
            "publish",
            found=found,
            missing=found.missing.items(),
            policies=[
                (policy.value, *POLICIES[policy], counted(report))
                for policy, report in found.in_flight.items()
            ],
            modes=_modes(),
            mode=_mode_after(sequence),
            problem=step.problem,
            override=request.POST.get("override", ""),
        )

    def _ask(self, request: HttpRequest, step: _Publication) -> HttpResponse:
        """Exactly what would change, and whether to do it."""
        blast = step.blast
        return self._show(
            request,
            step.sequence,
            "publish_confirm",
            policy=POLICIES[step.in_flight][0],
            mode_words=MODES[step.mode][0],
            mode_help=MODES[step.mode][1],
            chosen={name: request.POST.get(name, "") for name in _Publication.FIELDS},
            count=blast.size,
            typed=blast.size > TYPED_OVER,
            lists=_named(blast),
            problem=step.problem,
        )

    def _publish(self, request: HttpRequest, step: _Publication) -> bool:
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
        return self._show(
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
        edit = sequence.edits.filter(pk=wanted).first() if wanted.isdigit() else None
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
        return self._show(
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
        return self._show(
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

    def _show(
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


class _Publication:
    """What was chosen on the page of a draft, and whether it was confirmed."""

    FIELDS = ("checksum", "in_flight", "mode", "override")

    def __init__(self, request: HttpRequest, sequence: Sequence) -> None:
        said = request.POST
        self.sequence, self.problem, self.said = sequence, "", said
        self.chosen = said.get("in_flight") in set(InFlight) and said.get("mode") in set(Mode)
        if request.method == "POST" and not self.chosen:
            self.problem = "Choose what becomes of the journeys under way, and the mode."
        self._blast: BlastRadius | None = None

    @property
    def in_flight(self) -> InFlight:
        """The policy."""
        return InFlight(self.said["in_flight"])

    @property
    def mode(self) -> Mode:
        """The mode afterwards."""
        return Mode(self.said["mode"])

    @property
    def blast(self) -> BlastRadius:
        """What it does, as it stands now."""
        if self._blast is None:
            self._blast = blast_of(
                sequence=self.sequence, in_flight=self.in_flight, mode=self.mode, now=now()
            )
        return self._blast

    @property
    def confirmed(self) -> bool:
        """Whether as many messages were confirmed as it touches now; notes why not."""
        size = self.blast.size
        if self.said["confirmed"] != str(size):
            self.problem = f"Meanwhile it touches {size} messages. Nothing was done; look again."
        elif size > TYPED_OVER and self.said.get("typed", "").strip() != str(size):
            self.problem = f"Nothing was done. Type {size}, the number of messages, to go on."
        return not self.problem


def _who(request: HttpRequest) -> User:
    return cast(User, request.user)


def _modes() -> list[tuple[str, str, str]]:
    return [(mode.value, *words) for mode, words in MODES.items()]


def _mode_after(sequence: Sequence) -> str:
    """What it is now stays; a new sequence begins by what its file says."""
    if sequence.published_version is None and sequence.draft_version is not None:
        return read(sequence.draft_version.source).mode.value
    return sequence.mode


def _named(blast: BlastRadius) -> list[tuple[str, list[tuple[str, str]]]]:
    """The touched messages by what becomes of them: learner and step."""
    rows = [*blast.appear, *blast.vanish, *blast.move]
    emails = {email for email, _, _ in rows}
    names = dict(Learner.objects.filter(email__in=emails).values_list("email", "name"))
    return [
        (words, [(names.get(email) or email, step) for email, _, step in found])
        for words, found in (
            ("come newly", blast.appear),
            ("are withdrawn", blast.vanish),
            ("change their time or words", blast.move),
        )
        if found
    ]


def _with_changes(edits: Iterable[SequenceEdit]) -> Iterable[dict[str, Any]]:
    """Each edit with what it changed against the one before; newest first."""
    rows = list(edits)
    for row, before in zip(rows, [*rows[1:], None], strict=True):
        yield {
            "edit": row,
            "difference": difference(read(before.source) if before else None, read(row.source)),
            "first": before is None,
        }
