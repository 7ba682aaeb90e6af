"""What the bot says: every text in every language, with its default beside it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.admin import register
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from config.console.pages import Console, may
from delivery.clock import now
from nurture import voice
from nurture.models import BotText
from nurture.services import bot_texts
from nurture.words import BUTTONS, PARTS, WORDS, slots


def _allowed(key: str, language: str) -> str:
    """What a text may contain, in words."""
    if key in BUTTONS | PARTS:
        most = f", at most {voice.MOST_LABEL} characters" if key in BUTTONS else ""
        kind = f"{'a button' if key in BUTTONS else 'a part of a sentence'}: no markup{most}"
    else:
        kind = "Telegram's HTML"
    names = dict.fromkeys(slots(WORDS[language][key]))
    may = [f"{{{name}}}{' (may be left out)' if name in voice.OPTIONAL else ''}" for name in names]
    return "; ".join([kind, ", ".join(may)] if may else [kind])


@register(BotText)
class BotTextAdmin(Console):
    """Rows are changed texts only, so the list is made of the defaults and shows all."""

    has_act_permission = may("nurture.change_words")

    def get_urls(self) -> list[URLPattern]:
        """The page of one text, by language and key."""
        page = self.admin_site.admin_view(self.text_view)
        return [
            path("<str:language>/<str:key>/text/", page, name="nurture_bottext_text"),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """Every text, those that staff changed marked as such."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        changed = {(row.language, row.key): row for row in BotText.objects.all()}
        rows = [
            {"key": key, "texts": [self._cell(key, code, changed) for code in WORDS]}
            for key in next(iter(WORDS.values()))
        ]
        return self._render(
            request, "list", title="What the bot says", rows=rows, languages=list(WORDS)
        )

    @staticmethod
    def _cell(key: str, language: str, changed: dict[tuple[str, str], BotText]) -> dict[str, Any]:
        row, default = changed.get((language, key)), WORDS[language][key]
        return {
            "url": reverse("admin:nurture_bottext_text", args=[language, key]),
            "language": language,
            "text": row.text if row else default,
            "row": row,
            "fits": row is None or voice.fits(key, language, row.text),
        }

    def text_view(self, request: HttpRequest, language: str, key: str) -> HttpResponse:
        """Show one text beside its default; save it, or go back to the default."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if key not in WORDS.get(language, {}):
            raise Http404(f"the bot has no text {key!r} in {language!r}")
        row = BotText.objects.filter(key=key, language=language).first()
        text, found = row.text if row else WORDS[language][key], []
        if request.method == "POST":
            text = request.POST.get("text", "")
            found = self._save(request, language, key, text, row)
            if not found:
                return HttpResponseRedirect(reverse("admin:nurture_bottext_changelist"))
        return self._render(
            request,
            "text",
            title=f"{key} ({language})",
            text=text,
            default=WORDS[language][key],
            allowed=_allowed(key, language),
            problems=found,
            row=row,
            may_change=self.has_act_permission(request),
        )

    def _save(
        self, request: HttpRequest, language: str, key: str, text: str, row: BotText | None
    ) -> list[str]:
        """Do what was asked for; return what stands in the way."""
        if not self.has_act_permission(request):
            raise PermissionDenied
        if "restore" in request.POST:
            if row is not None:
                self.log_change(request, row, "back to the default")
                bot_texts.restore(key=key, language=language)
            self.message_user(request, f"{key}: the default again.", messages.SUCCESS)
            return []
        by = request.user.get_username()
        try:
            saved = bot_texts.change(key=key, language=language, text=text, by=by, now=now())
        except bot_texts.BotTextError as refused:
            return refused.problems
        if saved is not None:
            self.log_change(request, saved, "changed the text")
        self.message_user(request, f"{key}: the bot says so from now on.", messages.SUCCESS)
        return []

    def _render(self, request: HttpRequest, name: str, **more: Any) -> TemplateResponse:
        context = {**self.admin_site.each_context(request), "opts": self.opts, **more}
        return TemplateResponse(request, f"admin/nurture/bottext/{name}.html", context)
