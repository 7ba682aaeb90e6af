"""What one pass of the engine knows: everything that several journeys ask for is read once.

A `World` lives as long as one transaction; nothing in it outlives a pass.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from attendance import selectors as attendance
from attendance.models import ClassSession
from delivery.models import Chat, Reachability
from delivery.selectors import bot_username
from nurture import flags
from nurture.domain.reasons import Reason
from nurture.domain.sequence import SequenceSpec
from nurture.models import Contact, Sequence, SequenceVersion
from nurture.services.notes import Notes
from nurture.services.sequences import spec_of


@dataclass
class Tally:
    """How much a pass did."""

    journeys: int = 0
    deliveries: int = 0


@dataclass
class World:
    """The present moment, and what was read at it."""

    now: datetime
    notes: Notes = field(default_factory=Notes)
    tally: Tally = field(default_factory=Tally)
    contacts: dict[int, Contact] = field(default_factory=dict)  # by learner
    _specs: dict[int, SequenceSpec] = field(default_factory=dict)
    _next: dict[int, ClassSession | None] = field(default_factory=dict)

    @cached_property
    def bot_username(self) -> str:
        """The bot's name, as Telegram told it last."""
        return bot_username()

    @cached_property
    def nurture_is_on(self) -> bool:
        """The switch `nurture`, asked once in a pass."""
        return flags.nurture_is_on()

    def load_contacts(self, learner_ids: Iterable[int], *, lock: bool = False) -> None:
        """Read the contacts of these learners, with chat, consents and tags.

        `lock`: hold them until the transaction ends, so that what is decided about one learner
        is decided one after the other. Rows are locked in one order, so nobody waits in a ring.
        """
        contacts = Contact.objects.filter(learner_id__in=set(learner_ids)).order_by("id")
        if lock:
            contacts = contacts.select_for_update(no_key=True, of=("self",))
        found = contacts.select_related("chat", "learner").prefetch_related(
            "tags", "chat__consents"
        )
        self.contacts.update({contact.learner_id: contact for contact in found})

    def contact_of(self, learner_id: int) -> Contact | None:
        """The contact of a learner, if there is one."""
        if learner_id not in self.contacts:
            self.load_contacts([learner_id])
        return self.contacts.get(learner_id)

    def spec(self, version: SequenceVersion) -> SequenceSpec:
        """What a version says."""
        if version.pk not in self._specs:
            self._specs[version.pk] = spec_of(version)
        return self._specs[version.pk]

    def next_session(self, course_id: int | None) -> ClassSession | None:
        """The next confirmed class of a course."""
        if course_id is None:
            return None
        if course_id not in self._next:
            self._next[course_id] = attendance.next_session(course_id=course_id, after=self.now)
        return self._next[course_id]

    def published(self) -> list[SequenceVersion]:
        """Every published version, in the order in which sequences are asked."""
        sequences = (
            Sequence.objects.filter(published_version__isnull=False)
            .select_related("published_version")
            .prefetch_related("published_version__steps", "published_version__triggers")
        )
        versions = []
        for sequence in sequences:
            version = sequence.published_version
            assert version is not None
            version.sequence = sequence
            versions.append(version)
        return sorted(versions, key=lambda row: (row.priority, row.sequence_id))


def consents(chat: Chat, category: str) -> bool:
    """Whether a chat agreed to a category; the default category answers where it said nothing."""
    said = {consent.category: consent.granted for consent in chat.consents.all()}
    return said.get(category, said.get("", False))


def why_silent(contact: Contact | None, category: str) -> Reason | None:
    """Why nothing may be sent to a contact; None if it may."""
    if contact is None:
        return Reason.NO_CONTACT
    if contact.chat is None:
        return Reason.NOT_LINKED
    if contact.chat.reachability != Reachability.OK:
        return Reason.UNREACHABLE
    return None if consents(contact.chat, category) else Reason.OPTED_OUT
