"""Erase a learner: each app scrubs its own tables, all in one transaction.

docs/privacy.md says what goes and what stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.contrib.admin.models import LogEntry
from django.db import transaction
from django.db.models import Q

from attendance import services as attendance
from attendance.models import Learner
from delivery import services as delivery
from delivery.models import DRY_STREAMS, ArchivedDelivery, Chat, Delivery
from nurture.domain.reasons import Reason
from nurture.models import Contact, ContactTag, Decision, LinkToken, StaffChat, StaffTask
from nurture.services import journeys, stored
from nurture.services.endings import exit_journey
from nurture.services.world import World


@dataclass(frozen=True)
class Erased:
    """How many rows of each kind were scrubbed, or ended; nothing where it was done before."""

    learner_id: int
    rows: dict[str, int] = field(default_factory=dict)


@transaction.atomic
def erase(*, learner: Learner, now: datetime, last_reply: bool = False) -> Erased:
    """Erase everything personal about a learner; the rows stay, so that totals do.

    Journeys end and what is owed is cancelled, both as `erased`; the chat cannot be written to any
    more. With `last_reply` the chat's id lives on until the reply that the caller is about to give
    has come to its end. Safe to run twice.
    """
    row = Learner.objects.select_for_update(no_key=True).get(pk=learner.pk)
    if row.erased_at is not None:
        return Erased(row.pk)
    Contact.objects.get_or_create(learner=row)
    contact = Contact.objects.select_for_update(no_key=True).get(learner=row)
    chats = list(Chat.objects.filter(pk__in=stored.chats_of(learner=row)).order_by("pk"))
    done = {"log_entries": _log_entries(_named_in_logs(row, chats))}
    tests = _shown_in_tests(row)
    done |= attendance.erase_learner(learner=row, now=now)
    done |= _nurture(row, contact, now)
    elsewhere = Delivery.objects.filter(decisions__learner=row).exclude(chat__in=chats)
    counts = [delivery.scrub(deliveries=Delivery.objects.filter(pk__in=elsewhere.values("pk")))]
    counts.append(delivery.scrub(deliveries=Delivery.objects.filter(pk__in=tests)))
    past = [*_planned_for(row), *tests]
    counts.append({"archived": delivery.scrub_archive(delivery_ids=past)})
    for chat in chats:
        stays = last_reply and chat.pk == contact.chat_id
        counts.append(delivery.forget_chat(chat=chat, now=now, last_reply=stays))
    for count in counts:
        done |= {kind: done.get(kind, 0) + number for kind, number in count.items()}
    Contact.objects.filter(pk=contact.pk).update(
        chat=None, time_zone="", language="", quiet_opens=None, quiet_closes=None
    )
    return Erased(row.pk, done)


def _planned_for(learner: Learner) -> list[int]:
    rows = Decision.objects.filter(learner=learner, delivery__isnull=False)
    return [pk for pk in rows.values_list("delivery_id", flat=True) if pk is not None]


def _shown_in_tests(learner: Learner) -> list[int]:
    """Tests in chats of staff, of now and of the archive, that read as they would to this learner.

    Nothing else tells whose values are in them.
    """
    words = _whole({learner.email, *re.findall(r"\w{2,}", learner.name)})
    staff = StaffChat.objects.filter(chat__isnull=False)  # by whose chats the archive is read
    past = ArchivedDelivery.objects.filter(chat__in=staff.values("chat"))
    # A dry run counts as a test, too, but what it says is another learner's.
    present = Delivery.objects.exclude(stream__key__startswith=DRY_STREAMS)
    return [
        pk
        for rows in (present, past)
        for pk in rows.filter(is_test=True, text__iregex=words).values_list("pk", flat=True)
    ]


def foresee(*, learner: Learner, now: datetime) -> Erased:
    """What `erase` would do; nothing is kept."""
    with transaction.atomic():
        found = erase(learner=learner, now=now)
        transaction.set_rollback(True)
    return found


def _nurture(learner: Learner, contact: Contact, now: datetime) -> dict[str, int]:
    """Journeys end; what was noted of their reasons, tags, links and tasks is emptied."""
    world = World(now=now)
    rows = journeys.locked(journeys.open_journeys().filter(learner=learner))
    ended = sum(exit_journey(journey=row, reason=Reason.ERASED, world=world) for row in rows)
    world.writes.write()
    tasks = StaffTask.objects.filter(learner=learner)
    tasks.filter(done_at=None).update(done_at=now)
    decisions = Decision.objects.filter(learner=learner).exclude(inputs={})
    return {
        "journeys": ended,
        "tags": ContactTag.objects.filter(contact=contact).delete()[0],
        "links": LinkToken.objects.filter(learner=learner).delete()[0],
        "tasks": tasks.exclude(note="").update(note=""),
        "decisions": decisions.update(inputs={}),
    }


def _named_in_logs(learner: Learner, chats: Iterable[Chat]) -> set[str]:
    words = {learner.name, learner.email, learner.email_key}
    words |= set(learner.identities.values_list("value_key", flat=True))
    return {*words, *(str(chat.telegram_id) for chat in chats)} - {"", "0"}


def _whole(words: Iterable[str]) -> str:
    """A pattern of PostgreSQL's for any of these words, not as a part of another."""
    named = "|".join(re.escape(word) for word in sorted(words))
    return rf"(^|[^[:alnum:]])({named})($|[^[:alnum:]])"


def _log_entries(words: Iterable[str]) -> int:
    """The admin's log keeps who did what and when, but names nobody who was erased."""
    whole = _whole(words)
    rows = LogEntry.objects.filter(Q(object_repr__iregex=whole) | Q(change_message__iregex=whole))
    return rows.update(object_repr="erased", change_message="")
