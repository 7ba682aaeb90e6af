"""Learners: who they are, by what they are recognised, where they belong."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Max, Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from attendance import models, selectors
from attendance.admin.base import (
    OUTCOME_COLOURS,
    because,
    class_of,
    learner_of,
    minutes_of,
    person,
    spaced,
)
from attendance.domain.kinds import COURSE_IDENTITIES, SURE_IDENTITIES, IdentityKind
from attendance.services.identities import (
    IdentityError,
    forget_links,
    forget_outsider,
    normal_value,
)
from attendance.services.matching import link_known
from config.console.pages import PERSONAL, Console, ReadOnlyInline, Titled
from config.console.words import absolute as moment
from config.console.zones import ZoneField


class EnrolmentInline(TabularInline):
    """The courses of a learner; staff may change these."""

    model = models.Enrolment
    extra = 0
    tab = True
    hide_title = True


class IdentityForm(forms.ModelForm):
    """An identity in its normal form, so that it can be found."""

    def clean(self) -> dict[str, Any]:
        """Refuse what is no address where an address is meant, and what somebody else has."""
        said = super().clean() or {}
        kind, value = said.get("kind"), str(said.get("value_key", "")).strip()
        if not (kind and value):
            return said
        try:
            said["value_key"] = normal_value(kind=IdentityKind(kind), raw=value)
        except IdentityError as error:
            self.add_error("value_key", str(error))
            return said
        scoped = kind in COURSE_IDENTITIES
        if scoped != bool(said.get("course")):
            self.add_error(
                "course",
                "A name or masked address needs its course." if scoped else "Only for names.",
            )
        if said.get("status") in SURE_IDENTITIES and self._is_taken(kind, said):
            self.add_error("value_key", "Another learner surely has this already.")
        return said

    def _is_taken(self, kind: str, said: dict[str, Any]) -> bool:
        kinds = {"email", "alias"} if kind in {"email", "alias"} else {kind}
        rows = models.LearnerIdentity.objects.filter(
            kind__in=kinds,
            value_key=said["value_key"],
            course=said.get("course"),
            status__in=SURE_IDENTITIES,
        )
        return rows.exclude(learner=self.instance.learner_id or 0).exists()


class IdentityInline(TabularInline):
    """By what a learner is recognised in a call."""

    model = models.LearnerIdentity
    form = IdentityForm
    extra = 0
    tab = True
    hide_title = True
    fields = ("kind", "value_key", "course", "status", "origin")
    readonly_fields = ("origin",)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As on the pages of identities: they are nothing but personal data."""
        return request.user.has_perm(PERSONAL) and super().has_view_permission(request, obj)


class LearnerOutcomeInline(ReadOnlyInline):
    """What was concluded about a learner."""

    model = models.Outcome
    verbose_name_plural = "attendance"
    tab = True
    per_page = 10
    fields = readonly_fields = (class_of, "label", minutes_of, "effective", because)

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.Outcome]:
        """Current ones, newest class first."""
        rows = super().get_queryset(request).filter(is_current=True)
        return rows.select_related("session", "learner").order_by("-session__starts_at")

    @display(description="outcome", label=OUTCOME_COLOURS)
    def label(self, row: models.Outcome) -> str:
        """As a coloured label."""
        return spaced(row.outcome)


@admin.register(models.Learner)
class LearnerAdmin(Titled):
    """A learner with everything that leads on from here."""

    list_display = ("who", "email", "way_on")
    search_fields = ("email", "name__words", "identities__value_key")
    search_help_text = "Beginnings of names, address, or any address they join with"
    ordering = ("email_key",)
    fields: Any = ("name", "email", "since", "way_on")
    readonly_fields: Any = ("email", "since", "way_on")
    inlines: Any = (LearnerOutcomeInline, IdentityInline, EnrolmentInline)

    def heading(self, row: models.Learner) -> str:
        """By name."""
        return person(row)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Learners come in by import_learners, which checks the whole file first."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """A learner's history is not deleted with a click; end the enrolment instead."""
        return False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[models.Learner], search_term: str
    ) -> tuple[QuerySet[models.Learner], bool]:
        """By beginnings of names, parts of addresses and other marks; all words must occur."""
        if not search_term:
            return queryset, False
        return queryset.filter(pk__in=selectors.named(search_term).values("pk")), False

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Note that it was staff who added an identity; endpoints follow what is known now."""
        formset.save(commit=False)
        now, by = timezone.now(), request.user.get_username()
        for row in formset.new_objects:
            if isinstance(row, models.LearnerIdentity):
                row.created_at, row.origin, row.created_by = now, "staff", by
        changed = [row for row, _ in formset.changed_objects]
        for row in [*changed, *formset.deleted_objects]:
            if isinstance(row, models.LearnerIdentity):
                forget_links(identity=models.LearnerIdentity.objects.get(pk=row.pk), now=now)
        super().save_formset(request, form, formset, change)
        link_known(now=now)

    @admin.display(description="name")
    def who(self, row: models.Learner) -> str:
        """In words."""
        return person(row)

    @admin.display(description="known since")
    def since(self, row: models.Learner) -> str:
        """When they were imported."""
        return moment(row.created_at)

    @admin.display(description="more")
    def way_on(self, row: models.Learner) -> SafeString:
        """Links to what the other apps know; by address, since this app does not know them."""
        pages = ("nurture_contact", "nurture_journey", "nurture_decision", "delivery_delivery")
        words = ("contact", "journeys", "decisions", "deliveries")
        links = [
            format_html(
                '<a class="{}" href="{}?q={}">{}</a>',
                "tb-link", reverse(f"admin:{page}_changelist"), row.email, word,
            )
            for page, word in zip(pages, words, strict=True)
        ]  # fmt: skip
        return format_html("{} · {} · {} · {}", *links)


class KeepsItsOwner(Titled):
    """Whose row it is stays; it is made on the learner's page."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """On the learner's page."""
        return False

    def heading(self, row: Any) -> str:
        """By the learner's name."""
        return f"{row._meta.verbose_name} of {person(row.learner)}"


class EnrolmentForm(forms.ModelForm):
    """One that is open is the only open one; Django asks only where the learner is a field."""

    def clean(self) -> dict[str, Any]:
        """Refuse a second one."""
        said = super().clean() or {}
        others = models.Enrolment.objects.filter(
            learner=self.instance.learner_id, course=said.get("course"), ends_at=None
        ).exclude(pk=self.instance.pk)
        if said.get("ends_at") is None and "ends_at" in said and others.exists():
            self.add_error("ends_at", "Another enrolment of theirs in this course is open already.")
        return said


@admin.register(models.Enrolment)
class EnrolmentAdmin(KeepsItsOwner):
    """Who belongs to which course, and since when."""

    form = EnrolmentForm
    list_display = (learner_of, "course", "starts_at", "ends_at")
    list_select_related = ("learner", "course")
    list_filter = ("course",)
    search_fields = ("learner__email", "learner__name__words", "course__title")
    fields = (learner_of, "course", "starts_at", "ends_at", "noted_at")
    readonly_fields = (learner_of, "noted_at")
    list_display_links = ("course",)
    ordering = ("-pk",)


@admin.register(models.LearnerIdentity)
class LearnerIdentityAdmin(Console):
    """By what learners are recognised; they are changed on the learner's page."""

    personal = True
    list_display = (learner_of, "kind", "value_key", "course", "status", "origin")
    list_display_links = ("value_key",)
    list_select_related = ("learner", "course")
    list_filter = (("kind", ChoicesDropdownFilter), ("status", ChoicesDropdownFilter))
    search_fields = ("value_key", "learner__email", "learner__name__words")
    fields = (learner_of, "kind", "value_key", "course", "status", "origin", "created_by")
    readonly_fields = (learner_of,)
    ordering = ("-pk",)

    def heading(self, row: models.LearnerIdentity) -> str:
        """By the learner's name."""
        return f"identity of {person(row.learner)}"


@admin.register(models.Outsider)
class OutsiderAdmin(Titled):
    """Who was said to be no learner; deleting a row lets them be asked about again."""

    list_display = ("shown", "kind", "course", "created_by", "since")
    list_display_links = ("shown",)
    list_select_related = ("course",)
    list_filter = (("kind", ChoicesDropdownFilter),)
    search_fields = ("mark",)
    fields = ("shown", "kind", "course", "created_by", "since")
    readonly_fields = ("shown", "course", "created_by", "since")
    ordering = ("-pk",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """They come out of the review queue."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Decide anew instead."""
        return False

    def heading(self, row: models.Outsider) -> str:
        """What they show."""
        return self.shown(row)

    def delete_model(self, request: HttpRequest, obj: models.Outsider) -> None:
        """Their calls are looked at again."""
        forget_outsider(outsider=obj, now=timezone.now())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[models.Outsider]) -> None:
        """One by one, each with its calls."""
        for row in queryset:
            self.delete_model(request, row)

    @admin.display(description="shows", ordering="mark")
    def shown(self, row: models.Outsider) -> str:
        """Name or address."""
        return row.mark.partition(":")[2].strip("|")

    @admin.display(description="since", ordering="created_at")
    def since(self, row: models.Outsider) -> str:
        """When it was decided."""
        return moment(row.created_at)


@admin.register(models.ErasedMark)
class ErasedMarkAdmin(Console):
    """Of whom nothing is left but a hash that recognises them."""

    list_display = ("pk", "erased_on")
    fields = ("erased_on",)
    ordering = ("-pk",)


class CourseForm(forms.ModelForm):
    """A course with a zone that exists."""

    time_zone = ZoneField(
        without="as set for the whole school",
        help_text="For learners who have none of their own. What is planned for them is planned "
        "anew by it within a minute.",
    )


@admin.register(models.Course)
class CourseAdmin(Titled):
    """A calendar whose classes are watched."""

    form = CourseForm
    list_display = ("title_or_calendar", "calendar_id", "time_zone", "active", "classes")
    search_fields = ("title", "calendar_id")
    list_filter = ("active",)
    fields = ("title", "calendar_id", "time_zone", "active", "classes")
    readonly_fields = ("classes",)
    ordering = ("title", "pk")

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Switch it off instead: its classes and outcomes are history."""
        return False

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        """A new course gets the usual policy, as an imported one does."""
        super().save_model(request, obj, form, change)
        if not change:
            models.AttendancePolicy.objects.create(course=obj)

    @admin.display(description="course", ordering="title")
    def title_or_calendar(self, row: models.Course) -> str:
        """In words."""
        return row.title or row.calendar_id

    @admin.display(description="classes")
    def classes(self, row: models.Course) -> SafeString | str:
        """Link to its classes."""
        if not row.pk:
            return "–"
        url = reverse("admin:attendance_classsession_changelist")
        return format_html(
            '<a class="{}" href="{}?course__id__exact={}">its classes</a>', "tb-link", url, row.pk
        )


@admin.register(models.AttendancePolicy)
class AttendancePolicyAdmin(Titled):
    """What counts as late, early, enough; each outcome keeps the version it was judged by."""

    list_display = ("course", "version", "min_presence_seconds", "late_grace_seconds", "asks")
    list_select_related = ("course",)
    ordering = ("course", "-version")

    readonly_fields = ("version", "valid_from")

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Outcomes were judged by it."""
        return False

    @admin.display(description="asks who comes", ordering="ask_before_hours")
    def asks(self, row: models.AttendancePolicy) -> str:
        """How long before a class, if at all."""
        return f"{row.ask_before_hours} h before" if row.ask_before_hours else "no"

    def heading(self, row: models.AttendancePolicy) -> str:
        """By course."""
        return f"{row.course}, version {row.version}"

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """A change is a new version, for classes that begin from now on."""
        newest = models.AttendancePolicy.objects.filter(course=obj.course).aggregate(
            version=Max("version")
        )["version"]
        obj.pk, obj._state.adding = None, True
        obj.version, obj.valid_from = (newest or 0) + 1, timezone.now()
        super().save_model(request, obj, form, change)
