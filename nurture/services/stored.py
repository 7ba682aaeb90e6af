"""Everything that is stored about a learner: as values, and as texts for their chat."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

from django.core.serializers.json import DjangoJSONEncoder

from attendance import selectors as attendance
from attendance.models import Learner
from delivery import selectors as delivery
from delivery.models import Chat
from nurture import markup
from nurture.models import Contact, Decision, HoldoutAssignment, Journey, LinkToken, StaffTask
from nurture.voice import Voice

#: Texts of an export in the chat, at most; the school can give all of it as a file.
MOST_TEXTS = 20
_MOST = 3500  # characters of a text; 4096 are allowed after Telegram has read the markup
#: The parts of an export, each a list, in the order in which somebody would look for them.
_LISTS = (
    "identities", "courses", "outcomes", "pledges", "records", "facts", "reviews", "journeys",
    "decisions", "tasks", "deliveries", "said",
)  # fmt: skip


def chats_of(*, learner: Learner) -> set[int]:
    """The chats (ids of rows) that are or were this learner's, and nobody else's now."""
    written = Chat.objects.filter(deliveries__decisions__learner=learner)
    decided = Decision.objects.filter(learner=learner, delivery__isnull=False)
    archived = Chat.objects.filter(archived__in=decided.values("delivery_id"))
    linked = Chat.objects.filter(contact__learner=learner)
    # A chat that was unlinked before any sequence wrote to it: what it got were answers alone.
    used = LinkToken.objects.filter(learner=learner, used_at__isnull=False)
    once = Chat.objects.filter(pk__in=used.values("asked_chat"))
    others = Contact.objects.exclude(learner=learner).filter(chat__isnull=False)
    found = {
        pk for rows in (written, archived, linked, once) for pk in rows.values_list("pk", flat=True)
    }
    return found - set(others.filter(chat__in=found).values_list("chat_id", flat=True))


def stored_about(*, learner: Learner) -> dict[str, Any]:
    """Everything stored about a learner as plain values; moments are datetimes in UTC."""
    return {
        **attendance.stored_about(learner=learner),
        **_contact(Contact.objects.filter(learner=learner).first()),
        **_decided(learner),
        **delivery.stored_about(chats=chats_of(learner=learner)),
    }


def _contact(contact: Contact | None) -> dict[str, Any]:
    quiet = (contact.quiet_opens, contact.quiet_closes) if contact else (None, None)
    return {
        "time_zone": contact.time_zone if contact else "",
        "language": contact.language if contact else "",
        "quiet_hours": [f"{hour:%H:%M}" for hour in quiet if hour],
        "tags": sorted(contact.tags.values_list("name", flat=True)) if contact else [],
    }


def _decided(learner: Learner) -> dict[str, Any]:
    journeys = Journey.objects.filter(learner=learner).select_related("sequence")
    decisions = Decision.objects.filter(learner=learner).select_related("sequence")
    tasks = StaffTask.objects.filter(learner=learner).order_by("-pk")
    holdouts = HoldoutAssignment.objects.filter(learner=learner).select_related("sequence")
    links = LinkToken.objects.filter(learner=learner).order_by("-pk")
    return {
        "journeys": [
            {
                "sequence": row.sequence.name,
                "status": row.status,
                "reason": row.exit_reason,
                "started": row.started_at,
                "ended": row.ended_at,
            }
            for row in journeys.order_by("-pk")
        ],
        "decisions": [
            {
                "at": row.decided_at,
                "sequence": row.sequence.name if row.sequence else "",
                "step": row.step_key,
                "code": row.code,
                "inputs": row.inputs,
            }
            for row in decisions.order_by("-pk")
        ],
        "tasks": [
            {"at": row.created_at, "kind": row.kind, "note": row.note, "done": row.done_at}
            for row in tasks
        ],
        "left_alone": [row.sequence.name for row in holdouts if row.held_out],
        "links": [{"made": row.created_at, "used": row.used_at} for row in links],
    }


def as_json(data: Mapping[str, Any]) -> dict[str, Any]:
    """The same values as JSON knows them: moments in ISO 8601."""
    found: dict[str, Any] = json.loads(json.dumps(data, cls=DjangoJSONEncoder))
    return found


def as_texts(data: Mapping[str, Any], *, voice: Voice, language: str, zone: ZoneInfo) -> list[str]:
    """The same values to read in a chat, in texts that Telegram takes; values are as stored.

    Newest first in each part. Where it would be more than MOST_TEXTS, the last one says so.
    """
    lines = list(_lines(data, voice, language, zone))
    pages = [""]
    for line in lines:
        if len(pages[-1]) + len(line) + 1 > _MOST:
            pages.append("")
        pages[-1] += f"{line}\n"
    whole = len(pages) <= MOST_TEXTS
    end = voice.say("export_end" if whole else "export_more", language)
    return [page.strip() for page in (*pages[:MOST_TEXTS], end) if page.strip()]


def _lines(data: Mapping[str, Any], voice: Voice, language: str, zone: ZoneInfo) -> Iterator[str]:
    yield voice.say("export_you", language)
    said = {
        "name": data["name"],
        "email": data["email"],
        "zone": data["time_zone"],
        "language": data["language"],
        "quiet": "–".join(data["quiet_hours"]),
        "chat": ", ".join(str(chat["id"]) for chat in data["chats"]),
        "consent": "; ".join(_words(row, zone) for row in data["consents"]),
        "tags": ", ".join(data["tags"]),
    }
    for key, value in said.items():
        yield from _cut(voice.say(f"export_{key}", language, value=value or "–"))
    for part in _LISTS:
        if data[part]:
            yield f"\n{voice.say(f'export_{part}', language)}"
        for row in data[part]:
            yield from _cut(escape(f"• {_words(row, zone)}", quote=False))


def _words(row: Mapping[str, Any], zone: ZoneInfo) -> str:
    """A row in one line: what is empty is left out."""
    return "; ".join(
        f"{key.replace('_', ' ')}: {_value(key, value, zone)}"
        for key, value in row.items()
        if value not in (None, "", [], {})
    )


def _value(key: str, value: Any, zone: ZoneInfo) -> str:
    if isinstance(value, datetime):
        return f"{value.astimezone(zone):%Y-%m-%d %H:%M}"
    if key == "text":
        return markup.plain(str(value))
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, cls=DjangoJSONEncoder)
    return str(value)


def _cut(line: str) -> Iterator[str]:
    """A line in pieces that fit, none of which ends within an entity."""
    while len(line) > _MOST - 1:
        at = _MOST - 1
        if "&" in line[at - 10 : at]:
            at = line.rindex("&", at - 10, at)
        yield line[:at]
        line = line[at:]
    yield line
