"""What a learner chooses: silence for a while, their time zone, their language."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, timedelta

from config.console.zone_names import known_zones
from delivery import services as delivery
from delivery.models import Chat
from nurture.models import Contact
from nurture.services.replanning import plan_anew

LONGEST_SNOOZE = timedelta(days=30)
_SPAN = re.compile(r"(\d{1,4})\s*([mhd]?)", re.IGNORECASE)
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def read_span(text: str) -> timedelta | None:
    """A length of time as people write it: 45m, 2h, 3d, or days as a bare number; else None."""
    found = _SPAN.fullmatch(text.strip())
    if found is None or int(found[1]) == 0:
        return None
    return int(found[1]) * _UNITS[found[2].lower() or "d"]


def find_zone(text: str) -> str | None:
    """The time zone that somebody means: "Europe/Madrid", or "madrid" where it is the only one.

    Accents are no matter: the names of zones have none, and "Bogotá" has.
    "GMT+2" is none of them: the zone that ends so, Etc/GMT+2, is two hours behind UTC, not ahead.
    """
    wanted = "_".join(_without_accents(text).split()).casefold()
    zones = {zone.casefold(): zone for zone in known_zones()}
    if wanted in zones:
        return zones[wanted]
    cities = [
        zone
        for name, zone in zones.items()
        if name.rpartition("/")[2] == wanted and not name.startswith("etc/")
    ]
    return cities[0] if len(cities) == 1 else None


def _without_accents(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def snooze(*, chat: Chat, span: timedelta, now: datetime) -> datetime:
    """Hold what is owed to a chat for a while, 30 days at most; return until when (UTC).

    Replies still go out. Safe to run twice: the latest word counts.
    """
    until = now + min(span, LONGEST_SNOOZE)
    delivery.snooze(chat=chat, until=until)
    return until


def wake(*, chat: Chat) -> None:
    """What was held by a snooze may go out now. Safe to run twice."""
    delivery.snooze(chat=chat, until=None)


def set_zone(*, contact: Contact, zone: str, now: datetime) -> None:
    """Count a learner's hours in this zone from now on; what is planned is planned anew.

    `zone` as `find_zone` gives it. Safe to run twice.
    """
    contact.time_zone = zone
    contact.save(update_fields=["time_zone"])
    plan_anew(learners=[contact.learner_id], now=now)


def set_language(*, contact: Contact, language: str, now: datetime) -> None:
    """Write to a learner in this language from now on, also what is planned. Safe to run twice."""
    contact.language = language
    contact.save(update_fields=["language"])
    plan_anew(learners=[contact.learner_id], now=now)
