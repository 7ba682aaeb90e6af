"""Forms of rows that a colleague or the bot may change while a page of them stands open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.http import HttpRequest


class SeenForm(forms.ModelForm):  # type: ignore[type-arg]  # Django has no such brackets
    """Refused where the row says something else by now than the page showed that was sent.

    `sees` names what counts. The form writes all its fields, so that an old page would bring back
    what it had shown.
    """

    sees: Sequence[str] = ()
    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Before what was sent is put into the row.
        self.stands = " ".join(str(getattr(self.instance, name)) for name in self.sees)
        if "seen" in self.fields:
            self.fields["seen"].initial = self.stands

    def clean(self) -> dict[str, Any]:
        """Write over nothing that the page did not show."""
        said = super().clean() or {}
        if said.get("seen") not in {None, "", self.stands}:
            raise forms.ValidationError(
                "This was changed meanwhile by somebody else. Nothing was saved: open the page"
                " again."
            )
        return said


class Seen:
    """For admin classes with such a form: who only reads has no use for what was seen."""

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Without it for readers, and for what is new."""
        view: Any = super()
        writes = obj is not None and view.has_change_permission(request, obj)
        return [name for name in view.get_fields(request, obj) if writes or name != "seen"]
