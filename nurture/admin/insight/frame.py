"""What these pages share: the sequence, the version looked at, reasons in words, pages of rows."""

from __future__ import annotations

from collections.abc import Sequence as Rows
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from django.http import Http404, HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode

from delivery.domain import reasons as of_delivery
from nurture.domain import reasons as of_nurture
from nurture.domain.schedule import zone_of
from nurture.domain.wording import duration
from nurture.models import Sequence, SequenceVersion

ROWS = 50
LEAST = 0.0005  # a share this small, or this near to all, would be rounded to none, or to all
_EXPLAIN = {
    **{reason.value: words for reason, words in of_nurture.EXPLAIN.items()},
    **{reason.value: words for reason, words in of_delivery.EXPLAIN.items()},
}


def explained(code: str) -> str:
    """A reason in a sentence, whoever gave it."""
    return _EXPLAIN.get(code, code.replace("_", " "))


def percent(share: float) -> str:
    """A share without false precision; never rounded to all or to none."""
    if 0 < share < LEAST:
        return f"under {0.001:.1%}"
    if 1 - LEAST <= share < 1:
        return f"over {0.999:.1%}"
    return f"{share:.1%}" if 0 < share < 0.1 or 0.99 < share < 1 else f"{share:.0%}"


def between(interval: tuple[float, float]) -> str:
    """Where a share truly lies."""
    return f"{interval[0]:.1%} to {interval[1]:.1%}"


def known_zone(name: str) -> str:
    """A zone's name, or "" where there is none of that name."""
    return name if name and zone_of(name, "", "UTC").key == name else ""


def long_words(length: timedelta) -> str:
    """A length as one says it: 40 min, 13 h 20 min, 2 d 4 h."""
    minutes = round(length.total_seconds() / 60)
    days, rest = divmod(minutes, 24 * 60)
    hours, left = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (left, "min")]
    said = [f"{number} {unit}" for number, unit in parts if number]
    return " ".join(said[:2]) or duration(timedelta(0))


@dataclass
class Page:
    """One request for a page about a sequence."""

    admin: Any
    request: HttpRequest
    pk: int | None = None

    @cached_property
    def sequence(self) -> Sequence:
        """The sequence; 404 where there is none."""
        rows = Sequence.objects.select_related("published_version", "draft_version")
        found = rows.filter(pk=self.pk).first()
        if found is None:
            raise Http404("there is no such sequence")
        return found

    @cached_property
    def versions(self) -> list[SequenceVersion]:
        """Its versions, the newest first."""
        rows = SequenceVersion.objects.filter(sequence=self.sequence).order_by("-number")
        return list(rows.defer("source"))

    def version(self, name: str = "version") -> SequenceVersion | None:
        """The version that is asked for; else what is published, else the newest."""
        number = self.asked(name)
        for row in self.versions:
            if str(row.number) == number:
                row.sequence = self.sequence
                return row
        present = self.sequence.published_version or self.sequence.draft_version
        return present or (self.versions[0] if self.versions else None)

    def asked(self, name: str, default: str = "") -> str:
        """A parameter of the address."""
        return self.request.GET.get(name, default).strip()

    def may(self, permission: str) -> bool:
        """Whether whoever looks has a permission."""
        return bool(self.request.user.has_perm(permission))

    def url(self, page: str, **query: Any) -> str:
        """The address of another page of this sequence; empty parameters are left out."""
        address = reverse(f"admin:nurture_sequence_{page}", args=[self.sequence.pk])
        kept = {name: value for name, value in query.items() if value not in {"", None}}
        return f"{address}?{urlencode(kept)}" if kept else address

    def cut(self, rows: Rows[Any]) -> dict[str, Any]:
        """One page of many rows, with the way to the others."""
        first = self.offset
        return {"rows": rows[first : first + ROWS], **self.ways(len(rows))}

    @property
    def offset(self) -> int:
        """How many rows come before this page."""
        number = self.asked("page", "1")
        return ROWS * (max(int(number), 1) - 1) if number.isdecimal() and len(number) < 7 else 0

    def ways(self, total: int) -> dict[str, Any]:
        """Where this page stands among all rows."""
        first, kept = self.offset, self.request.GET.copy()
        ways = {}
        for name, start in (("newer", first - ROWS), ("older", first + ROWS)):
            if 0 <= start < total:
                kept["page"] = str(start // ROWS + 1)
                ways[name] = f"?{kept.urlencode()}"
        last = min(first + ROWS, total)
        return {"ways": {"first": min(first + 1, total), "last": last, "total": total, **ways}}

    def show(self, template: str, **more: Any) -> TemplateResponse:
        """The page in the frame of the admin."""
        sequence = self.sequence if self.pk is not None else None
        context = {
            **self.admin.admin_site.each_context(self.request),
            "opts": self.admin.opts,
            "sequence": sequence,
            "tab": template,
            "title": sequence.name if sequence else "Who leaves after what",
            **more,
        }
        return TemplateResponse(self.request, f"admin/nurture/{template}.html", context)
