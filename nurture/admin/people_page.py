"""The learner's page: who, what they got and will get, and why or why not (P26, N07, N12)."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from attendance import admin as attendance
from attendance.models import Learner
from config.console.pages import PERSONAL
from config.console.words import moment, pill
from delivery.clock import now
from delivery.models import Consent, Delivery
from delivery.selectors import bot_username
from nurture.admin import people_words as words
from nurture.domain.reasons import EXPLAIN, Reason
from nurture.models import OPEN, Journey
from nurture.services import links
from nurture.services.explain import explain
from nurture.services.learner_page import LearnerPage, learner_page
from nurture.services.simulation import forecast

INVITE = "nurture.invite_learner"

admin.site.unregister(Learner)  # attendance knows neither chats nor journeys


@admin.register(Learner)
class LearnerAdmin(attendance.LearnerAdmin):
    """Learners with all that the other apps know of them; the form is a page of its own."""

    list_display = ("who", "email", "reached", "under_way", "last_heard")
    list_select_related = ("contact__chat",)
    list_filter = ("contact__chat__reachability", "enrolments__course")
    empty_words = "Learners come from a file: manage.py import_learners FILE.csv."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Learner]:
        """With what the list says of each, looked up by index."""
        agreed = Consent.objects.filter(chat=OuterRef("contact__chat"), category="")
        sent = Delivery.objects.filter(chat=OuterRef("contact__chat"), sent_at__isnull=False)
        under_way = Journey.objects.filter(learner=OuterRef("pk"), status__in=OPEN)
        counted = under_way.order_by().values("learner").annotate(n=Count("pk"))
        rows: QuerySet[Learner] = super().get_queryset(request)
        return rows.annotate(
            agreed=Subquery(agreed.values("granted")[:1]),
            heard_at=Subquery(sent.order_by("-sent_at").values("sent_at")[:1]),
            open_journeys=Subquery(counted.values("n"), output_field=IntegerField()),
        )

    @admin.display(description="can be written to")
    def reached(self, row: Any) -> SafeString:
        """Whether, and if not, why."""
        contact = getattr(row, "contact", None)
        chat = contact.chat if contact else None
        why = None
        if chat is None:
            why = Reason.NOT_LINKED
        elif chat.reachability != "ok":
            why = Reason.UNREACHABLE
        elif not row.agreed:
            why = Reason.OPTED_OUT
        return pill("bad", "no", EXPLAIN[why]) if why else pill("good", "yes")

    @admin.display(description="journeys under way")
    def under_way(self, row: Any) -> object:
        """How many."""
        return row.open_journeys or "–"

    @admin.display(description="last message")
    def last_heard(self, row: Any) -> SafeString:
        """When something was sent to them last."""
        contact = getattr(row, "contact", None)
        return moment(row.heard_at, contact.time_zone if contact else "")

    # --- pages ----------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        """Before Django's own: form, why or why not, the next fourteen days, an invitation."""
        wrap, name = self.admin_site.admin_view, "attendance_learner"
        return [
            path("<int:pk>/edit/", wrap(self.edit_view), name=f"{name}_edit"),
            path("<int:pk>/why/", wrap(self.why_view), name=f"{name}_why"),
            path("<int:pk>/forecast/", wrap(self.forecast_view), name=f"{name}_forecast"),
            path("<int:pk>/invite/", wrap(self.invite_view), name=f"{name}_invite"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The page of one learner; every link to a learner leads here."""
        page = self._read(request, object_id)
        may = request.user.has_perm
        context = {
            "page": page,
            "reach": words.reach(page),
            "consents": words.consents(page),
            "sections": words.sections(page, personal=may(PERSONAL)),
            "personal": may(PERSONAL),
            "active": [row.pk for row in page.journeys if row.status == "active"],
            "paused": [row.pk for row in page.journeys if row.status == "paused"],
            "may_pause": may("nurture.pause_journey"),
            "has_change_permission": self.has_change_permission(request),
            "may_invite": page.chat is None and may(INVITE),
            "may_export": page.contact is not None and may("attendance.export_learner"),
            "may_erase": page.contact is not None and may("attendance.erase_learner"),
        }
        return self._render(request, "page", page, context)

    def edit_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The form: name, addresses and courses."""
        return super().change_view(request, str(pk))

    def response_post_save_change(self, request: HttpRequest, obj: Any) -> HttpResponseRedirect:
        """Back to the learner, where the change shows."""
        return HttpResponseRedirect(reverse("admin:attendance_learner_change", args=[obj.pk]))

    def why_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Why a sequence does, did or did not write to the learner: the deciding rule first."""
        page = self._read(request, pk)
        slug = request.GET.get("sequence", "")
        if not slug:
            return HttpResponseRedirect(reverse("admin:attendance_learner_change", args=[pk]))
        chosen = next((row for row in page.sequences if row.slug == slug), None)
        if chosen is None:
            raise Http404("no such sequence")
        found = explain(email=page.learner.email, slug=slug, now=now())
        context = {
            "chosen": chosen,
            "heads": ("Rule", "Answer", "Saw"),
            "answer": words.answer(found, page.zone.key),
        }
        return self._render(request, "why", page, context)

    def forecast_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """What the learner will hear in the next fourteen days, by running the engine ahead."""
        page = self._read(request, pk)
        found = forecast(learner_ids=[page.learner.pk], now=now())
        context = {
            "heads": ("When", "Sequence", "Step", "What", "State"),
            "lines": words.ahead(found, page.zone.key),
            "until": found.until,
        }
        return self._render(request, "forecast", page, context)

    def invite_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Make a link by which the learner binds their chat, and show it this once.

        Each press makes another; what was made before stays good.
        """
        if not request.user.has_perm(INVITE):
            raise PermissionDenied
        page = self._read(request, pk)
        back = HttpResponseRedirect(reverse("admin:attendance_learner_change", args=[pk]))
        if request.method != "POST":
            return back
        try:
            made = self._invite(page)
        except links.NotInvitedError as error:
            messages.error(request, f"No link was made: {error}.")
            return back
        self.log_change(request, page.learner, "made an invitation link")
        return self._render(request, "invitation", page, {"made": made})

    def _invite(self, page: LearnerPage) -> links.Invitation:
        if page.chat is not None:
            raise links.NotInvitedError("a chat is linked already")
        bot = bot_username()
        if not bot:
            raise links.NotInvitedError(
                "Telegram has not told the name of the bot yet; manage.py doctor asks for it"
            )
        return links.invite(learner=page.learner, bot=bot, now=now())

    def _read(self, request: HttpRequest, pk: int | str) -> LearnerPage:
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            return learner_page(learner_id=int(pk))
        except (Learner.DoesNotExist, ValueError) as error:
            raise Http404("no such learner") from error

    def _render(
        self, request: HttpRequest, name: str, page: LearnerPage, context: dict[str, Any]
    ) -> TemplateResponse:
        frame = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": self.heading(page.learner),
            "learner": page.learner,
            "zone": page.zone.key,
        }
        template = f"admin/attendance/learner/{name}.html"
        return TemplateResponse(request, template, {**frame, **context})
