"""On the page of one row: the actions that fit it as it stands, each with what it does."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


class WithChoices:
    """For admin classes whose actions ask first (`confirm`): the page of a row offers them, too."""

    change_form_outer_before_template = "console/choices.html"

    def choices(self, request: HttpRequest, row: Any) -> list[tuple[str, str, str]]:
        """(name of an action, words of its button, what it does), of those that fit `row`."""
        raise NotImplementedError

    def changeform_view(
        self, request: HttpRequest, object_id: Any = None, form_url: str = "", extra: Any = None
    ) -> Any:
        """With the choices. The row is read once more; that costs one look-up by key."""
        view: Any = super()
        row = view.get_object(request, object_id) if object_id else None
        allowed = view.get_actions(request) if row is not None else {}
        fit = [one for one in self.choices(request, row) if one[0] in allowed] if allowed else []
        context = {**(extra or {}), "choices": fit, "chosen": object_id}
        return view.changeform_view(request, object_id, form_url, context)
