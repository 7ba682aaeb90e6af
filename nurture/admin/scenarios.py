"""Scenarios: what happens to one made-up learner, and what they must hear (N10)."""

from __future__ import annotations

from typing import Any, cast
from zoneinfo import available_timezones

from django import forms
from django.contrib import messages
from django.contrib.admin import register
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.safestring import SafeString

from config.console.pages import Titled, may
from config.console.words import link, moment
from delivery.clock import now
from delivery.domain import reasons as delivery_reasons
from nurture.domain import reasons
from nurture.domain.scenario import (
    MOST_DAYS,
    Expected,
    Given,
    Happening,
    expected_to_json,
    given_to_json,
)
from nurture.models import Scenario, Sequence
from nurture.services.scenarios import Played, play_scenario

HAPPENS = {
    Happening.CLASS: "a class is planned (detail: its title)",
    Happening.MISSED: "it turns out: missed the class",
    Happening.ATTENDED: "it turns out: attended",
    Happening.LATE: "it turns out: came late",
    Happening.LEFT_EARLY: "it turns out: left early",
    Happening.PARTIAL: "it turns out: in a part of it",
    Happening.COMES: "says: I will come to the next class",
    Happening.DECLINES: "says: I will not come",
    Happening.PRESSES: "presses a button (detail: its action)",
    Happening.WRITES: "writes something",
    Happening.STOPS: "says stop",
}
#: Empty lines below those that are filled.
SPARE = 3
_TIME = forms.TimeInput(format="%H:%M", attrs={"type": "time", "class": "tb-input"})


def _reasons() -> list[tuple[str, str]]:
    """Every reason for silence, in a sentence."""
    found = {
        **{code.value: words for code, words in delivery_reasons.EXPLAIN.items()},
        **{code.value: words for code, words in reasons.EXPLAIN.items()},
    }
    sorted_ = sorted((words, code) for code, words in found.items())
    return [("", "for any reason"), *((code, words) for words, code in sorted_)]


def _day(words: str) -> forms.IntegerField:
    attrs = {"class": "tb-input tb-short", "aria-label": words}
    return forms.IntegerField(
        min_value=1, max_value=MOST_DAYS, widget=forms.NumberInput(attrs=attrs)
    )


def _time(words: str, *, required: bool = True) -> forms.TimeField:
    attrs = {"type": "time", "class": "tb-input", "aria-label": words}
    return forms.TimeField(required=required, widget=forms.TimeInput(format="%H:%M", attrs=attrs))


class GivenForm(forms.Form):
    """One thing that happens."""

    day = _day("Day on which it happens")
    at = _time("Time at which it happens")
    what = forms.ChoiceField(
        choices=[("", "–"), *((what.value, words) for what, words in HAPPENS.items())],
        widget=forms.Select(attrs={"class": "tb-input", "aria-label": "What happens"}),
    )
    detail = forms.CharField(
        required=False,
        max_length=120,
        widget=forms.TextInput(attrs={"class": "tb-input", "aria-label": "Detail"}),
    )


class ExpectedForm(forms.Form):
    """What must become of one step."""

    step = forms.ChoiceField(widget=forms.Select(attrs={"class": "tb-input", "aria-label": "Step"}))
    sent = forms.TypedChoiceField(
        choices=[("yes", "is sent"), ("no", "is not sent")],
        initial="yes",
        coerce=lambda said: said == "yes",
        widget=forms.Select(attrs={"class": "tb-input", "aria-label": "Sent or not"}),
    )
    day = _day("Day on which it is sent")
    at = _time("Time at which it is sent", required=False)
    reason = forms.ChoiceField(
        required=False,
        choices=_reasons,
        widget=forms.Select(attrs={"class": "tb-input tb-narrow", "aria-label": "Why not"}),
    )

    def __init__(self, *args: Any, keys: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["day"].required = False
        cast(forms.ChoiceField, self.fields["step"]).choices = [
            ("", "–"),
            *((key, key) for key in keys),
        ]

    def clean(self) -> dict[str, Any]:
        """What is sent is sent at a time."""
        said = super().clean() or {}
        if said.get("sent") and not (said.get("day") and said.get("at") is not None):
            raise forms.ValidationError("Say on which day and at what time it is sent.")
        return said


class ScenarioForm(forms.ModelForm):
    """Whose story it is."""

    class Meta:
        model = Scenario
        fields = (
            "name", "learner", "time_zone", "language", "quiet_opens", "quiet_closes", "first_day",
            "nothing_else",
        )  # fmt: skip
        labels = {
            "name": "What it shows",
            "learner": "The learner's name",
            "language": "Language code, such as es",
            "quiet_opens": "Quiet from",
            "quiet_closes": "Quiet until",
            "first_day": "Day 1 is",
            "nothing_else": "Nothing else is sent, up to a fortnight after the last line",
        }
        widgets = {
            "name": forms.TextInput(attrs={"class": "tb-input"}),
            "learner": forms.TextInput(attrs={"class": "tb-input"}),
            "language": forms.TextInput(attrs={"class": "tb-input tb-short"}),
            "time_zone": forms.TextInput(attrs={"class": "tb-input", "list": "zones"}),
            "quiet_opens": _TIME,
            "quiet_closes": _TIME,
            "first_day": forms.DateInput(
                format="%Y-%m-%d", attrs={"type": "date", "class": "tb-input"}
            ),
        }

    def clean_time_zone(self) -> str:
        """A zone that there is."""
        zone: str = self.cleaned_data["time_zone"]
        if zone not in available_timezones():
            raise forms.ValidationError("No such time zone; it looks like Europe/Madrid.")
        return zone

    def clean(self) -> dict[str, Any]:
        """Quiet hours have both ends, and each scenario of a sequence a name of its own."""
        said = super().clean() or {}
        others = Scenario.objects.filter(sequence=self.instance.sequence, name=said.get("name"))
        if others.exclude(pk=self.instance.pk).exists():
            self.add_error("name", "This sequence has a scenario of that name already.")
        if (said.get("quiet_opens") is None) != (said.get("quiet_closes") is None):
            raise forms.ValidationError("Quiet hours need both ends, or none.")
        return said


class Lines(forms.BaseFormSet):
    """Lines of a table; one that is ticked is left out."""

    heads: tuple[str, ...] = ()

    def add_fields(self, form: forms.Form, index: int | None) -> None:
        """The tick, named for who cannot see its column."""
        super().add_fields(form, index)
        form.fields["DELETE"].widget.attrs["aria-label"] = "Leave this line out"


class GivenBase(Lines):
    """What happens."""

    heads = ("Day", "Time", "What happens", "Detail", "Leave out")


class ExpectedBase(Lines):
    """What is expected."""

    heads = ("Step", "Sent?", "Day", "Time", "Why not", "Leave out")


GivenLines = forms.formset_factory(GivenForm, formset=GivenBase, extra=SPARE, can_delete=True)
ExpectedLines = forms.formset_factory(
    ExpectedForm, formset=ExpectedBase, extra=SPARE, can_delete=True
)


class Sheet:
    """The three parts of the page of a scenario, read from a request or from a row."""

    def __init__(self, scenario: Scenario, said: Any = None) -> None:
        version = scenario.sequence.draft_version or scenario.sequence.published_version
        self.scenario, self.version = scenario, version
        steps = version.steps.order_by("position") if version else []
        gone = {line["step"] for line in scenario.expected}
        keys = [step.key for step in steps if step.text]
        keys += sorted(gone.difference(keys))
        self.head = ScenarioForm(said, instance=scenario)
        self.given = GivenLines(said, prefix="given", initial=scenario.given)
        expected = [{**line, "sent": "yes" if line["sent"] else "no"} for line in scenario.expected]
        self.expected = ExpectedLines(
            said, prefix="expected", form_kwargs={"keys": keys}, initial=expected
        )

    def read(self) -> bool:
        """Put what was said into the scenario, not kept; return whether it makes sense."""
        valid = [part.is_valid() for part in (self.head, self.given, self.expected)]  # all are told
        if not all(valid):
            return False
        self.head.save(commit=False)
        given = [
            Given(
                day=line["day"], at=line["at"], what=Happening(line["what"]), detail=line["detail"]
            )
            for line in _filled(self.given)
        ]
        self.scenario.given = given_to_json(sorted(given, key=lambda line: (line.day, line.at)))
        self.scenario.expected = expected_to_json(
            Expected(
                step=line["step"], sent=line["sent"], day=line["day"] or 1,
                at=line["at"] or Expected.at, reason="" if line["sent"] else line["reason"],
            )
            for line in _filled(self.expected)
        )  # fmt: skip
        return True

    def play(self) -> Played | None:
        """How it comes out now; None where there is no version to play it with."""
        if self.version is None:
            return None
        return play_scenario(scenario=self.scenario, version=self.version)


def _filled(lines: Any) -> list[dict[str, Any]]:
    return [row for row in lines.cleaned_data if row and not row.get("DELETE")]


@register(Scenario)
class ScenarioAdmin(Titled):
    """One page for all of a scenario: whose story, what happens, what is expected, how it goes."""

    list_display = ("name", "of", "learner", "time_zone", "changed")
    list_select_related = ("sequence", "changed_by")
    list_filter = ("sequence",)
    search_fields = ("name", "sequence__name")
    ordering = ("sequence__name", "name")
    empty_words = (
        "A scenario says what happens to one made-up learner and what they must hear. Open a "
        "sequence and write its first."
    )

    has_add_permission = may("nurture.edit_sequence")
    _may_write = may("nurture.edit_sequence")

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Authors."""
        return self._may_write(request)

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Authors."""
        return self._may_write(request)

    def of(self, row: Scenario) -> SafeString:
        """Link to its sequence."""
        return link(row.sequence, row.sequence.name)

    def changed(self, row: Scenario) -> SafeString:
        """When it was written."""
        return moment(row.changed_at)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A new scenario, of the sequence that the address names."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        wanted = request.GET.get("sequence", "")
        sequence = Sequence.objects.filter(pk=wanted).first() if wanted.isdecimal() else None
        if sequence is None:
            rows = Sequence.objects.order_by("name")
            return self._show(request, "choose", title="A scenario of which sequence?", rows=rows)
        scenario = Scenario(sequence=sequence, changed_at=now())
        return self._write(request, scenario)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """A scenario as it is, and how it comes out now."""
        scenario = self.get_object(request, object_id)
        if scenario is None:
            raise PermissionDenied
        if not self.has_view_permission(request, scenario):
            raise PermissionDenied
        return self._write(request, scenario)

    def _write(self, request: HttpRequest, scenario: Scenario) -> HttpResponse:
        posted = request.method == "POST"
        if posted and not self._may_write(request):
            raise PermissionDenied
        sheet = Sheet(scenario, request.POST if posted else None)
        played = None
        if posted and sheet.read():
            if "try" not in request.POST:
                return self._save(request, scenario)
            played = sheet.play()
        elif not posted and scenario.pk:
            played = sheet.play()
        return self._show(
            request, "scenario",
            title=scenario.name if scenario.pk else "A new scenario",
            sheet=sheet, one=played, scenario=scenario, sequence=scenario.sequence,
            zones=sorted(available_timezones()),
            may_write=self._may_write(request), has_change_permission=self._may_write(request),
        )  # fmt: skip

    def _save(self, request: HttpRequest, scenario: Scenario) -> HttpResponse:
        is_new = scenario.pk is None
        scenario.changed_at, scenario.changed_by = now(), cast(User, request.user)
        scenario.save()
        said: list[dict[str, Any]] = [{"added" if is_new else "changed": {}}]
        (self.log_addition if is_new else self.log_change)(request, scenario, said)
        self.message_user(request, f"“{scenario.name}” is kept.", messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:nurture_scenario_change", args=[scenario.pk]))

    def _show(self, request: HttpRequest, name: str, **more: Any) -> TemplateResponse:
        context = {**self.admin_site.each_context(request), "opts": self.opts, **more}
        return TemplateResponse(request, f"admin/nurture/scenarios/{name}.html", context)
