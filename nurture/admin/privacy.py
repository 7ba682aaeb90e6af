"""Actions on a contact: hand out everything, and erase everything."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from config.console.pages import may
from delivery.clock import now
from nurture import models
from nurture.services import privacy, stored

#: What stays of somebody who was erased.
STAYS = (
    "how many journeys, deliveries, outcomes, pledges and facts there were, of which sequence or "
    "class, in which state and when",
    "that somebody was in a call, from when to when",
    "a keyed hash of each address, so that no import and no log of Google's brings them back",
)


class PrivacyActions:
    """For one learner at a time, each with a permission of its own."""

    admin_site: Any
    opts: Any
    message_user: Any
    log_change: Any

    has_export_permission = may("attendance.export_learner")
    has_erase_permission = may("attendance.erase_learner")

    @admin.action(description="Export everything as JSON", permissions=["export"])
    def export_learner(
        self, request: HttpRequest, queryset: QuerySet[models.Contact]
    ) -> HttpResponse | None:
        """A file with all that is stored."""
        contact = self._one(request, queryset)
        if contact is None:
            return None
        data = stored.as_json(stored.stored_about(learner=contact.learner))
        self.log_change(request, contact, "exported everything")
        answer = HttpResponse(
            json.dumps(data, ensure_ascii=False, indent=2), content_type="application/json"
        )
        answer["Content-Disposition"] = f'attachment; filename="learner-{contact.learner_id}.json"'
        return answer

    @admin.action(description="Erase everything personal…", permissions=["erase"])
    def erase_learner(
        self, request: HttpRequest, queryset: QuerySet[models.Contact]
    ) -> HttpResponse | None:
        """Show what goes and what stays; then, where the address was typed, do it."""
        contact = self._one(request, queryset)
        if contact is None:
            return None
        learner, typed = contact.learner, request.POST.get("typed", "").strip()
        if typed and typed == learner.email:
            privacy.erase(learner=learner, now=now())
            self.log_change(request, contact, "erased everything personal")
            self.message_user(request, "Erased. It cannot be undone.", messages.SUCCESS)
            return None
        rows = privacy.foresee(learner=learner, now=now()).rows
        return TemplateResponse(
            request,
            "admin/nurture/contact/erase.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": f"Erase everything personal of {learner.name or learner.email}?",
                "contact": contact,
                "goes": [(kind.replace("_", " "), n) for kind, n in rows.items() if n],
                "stays": STAYS,
                "mistyped": bool(typed),
            },
        )

    def _one(
        self, request: HttpRequest, queryset: QuerySet[models.Contact]
    ) -> models.Contact | None:
        found = list(queryset.select_related("learner")[:2])
        if len(found) != 1:
            self.message_user(request, "Choose one learner; nothing was done.", messages.ERROR)
        elif found[0].learner.erased_at is not None:
            self.message_user(request, "This learner was erased before.", messages.WARNING)
        else:
            return found[0]
        return None
