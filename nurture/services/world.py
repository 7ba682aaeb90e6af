"""What one pass of the engine knows: everything that several journeys ask for is read once.

A `World` lives as long as one transaction; nothing in it outlives a pass. What it reads, it reads
for all learners and courses of the pass together.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from uuid import UUID

from attendance import selectors as attendance
from attendance.models import ClassSession
from attendance.selectors import RecordedFact
from delivery.models import Chat, InboundUpdate, Reachability
from delivery.selectors import bot_username
from nurture import flags
from nurture.domain.reasons import Reason
from nurture.domain.sequence import SequenceSpec
from nurture.models import Contact, ContactTag, Journey, Sequence, SequenceVersion
from nurture.services.versions import spec_of
from nurture.services.writes import Writes


@dataclass
class World:
    """The present moment, what was read at it, and what is to be written."""

    now: datetime
    writes: Writes = field(default_factory=Writes)
    contacts: dict[int, Contact] = field(default_factory=dict)  # by learner
    _tags: dict[int, set[str]] = field(default_factory=dict)  # by contact
    _specs: dict[int, SequenceSpec] = field(default_factory=dict)
    _next: dict[int, ClassSession | None] = field(default_factory=dict)  # by course
    _ahead: dict[int, list[ClassSession]] = field(default_factory=dict)  # by course
    _pledges: dict[int, set[int]] = field(default_factory=dict)  # class → who comes
    _facts: dict[int, list[RecordedFact]] = field(default_factory=dict)  # by learner
    _heard: dict[UUID | None, list[datetime]] = field(default_factory=dict)  # by chat: its words
    _oldest: datetime | None = None
    _facts_from: datetime | None = None
    _heard_from: datetime | None = None

    @cached_property
    def bot_username(self) -> str:
        """The bot's name, as Telegram told it last."""
        return bot_username()

    @cached_property
    def nurture_is_on(self) -> bool:
        """The switch `nurture`, asked once in a pass."""
        return flags.nurture_is_on()

    def read(self, journeys: Iterable[Journey]) -> None:
        """Read at once what planning these journeys will ask for."""
        rows = list(journeys)
        self._read_specs(
            {row.version_id for row in rows} | {row.moves_to_id for row in rows if row.moves_to_id}
        )
        self.load_contacts({row.learner_id for row in rows} - set(self.contacts))
        self._read_next({row.course_id for row in rows if row.course_id})
        began = [row.facts_from for row in rows]
        self._oldest = min([*began, self._oldest] if self._oldest else began, default=None)

    def load_contacts(self, learner_ids: Iterable[int], *, lock: bool = False) -> None:
        """Read the contacts of these learners, with chat and consents.

        `lock`: hold them until the transaction ends, so that what is decided about one learner
        is decided one after the other. Rows are locked in one order, so nobody waits in a ring.
        """
        wanted = set(learner_ids)
        if not wanted:
            return
        contacts = Contact.objects.filter(learner_id__in=wanted).order_by("id")
        if lock:
            contacts = contacts.select_for_update(no_key=True, of=("self",))
        found = contacts.select_related("chat", "learner").prefetch_related("chat__consents")
        self.contacts.update({contact.learner_id: contact for contact in found})

    def contact_of(self, learner_id: int) -> Contact | None:
        """The contact of a learner, if there is one."""
        if learner_id not in self.contacts:
            self.load_contacts([learner_id])
        return self.contacts.get(learner_id)

    def tags_of(self, contact: Contact) -> set[str]:
        """The tags on a contact; those of every contact are read with it. Change it with them."""
        if contact.pk not in self._tags:
            missing = {row.pk for row in self.contacts.values()} - set(self._tags) | {contact.pk}
            self._tags.update({key: set() for key in missing})
            rows = ContactTag.objects.filter(contact__in=missing)
            for key, name in rows.values_list("contact_id", "name"):
                self._tags[key].add(name)
        return self._tags[contact.pk]

    def spec(self, version_id: int) -> SequenceSpec:
        """What a version says."""
        if version_id not in self._specs:
            self._read_specs({version_id})
        return self._specs[version_id]

    def _read_specs(self, version_ids: set[int]) -> None:
        missing = version_ids - set(self._specs)
        if missing:
            rows = SequenceVersion.objects.filter(pk__in=missing).select_related("sequence")
            self._keep_specs(rows)

    def _keep_specs(self, versions: Iterable[SequenceVersion]) -> None:
        self._specs.update({version.pk: spec_of(version) for version in versions})

    def published(self) -> list[SequenceVersion]:
        """Every published version, in the order in which sequences are asked."""
        published = Sequence.objects.values("published_version")
        rows = SequenceVersion.objects.filter(pk__in=published).select_related("sequence")
        versions = list(rows)
        self._keep_specs(versions)
        return sorted(versions, key=lambda row: (row.priority, row.sequence_id))

    def next_session(
        self, course_id: int | None, *, at: datetime | None = None
    ) -> ClassSession | None:
        """The next confirmed class of a course: from now on, or as it will be at a later moment."""
        if course_id is None:
            return None
        if course_id not in self._next:
            self._read_next({course_id})
        first = self._next[course_id]
        if first is None or at is None or first.starts_at > at:
            return first
        if course_id not in self._ahead:
            courses = set(self._next) - set(self._ahead)
            found = attendance.sessions_ahead(courses, after=self.now)
            self._ahead.update({course: found.get(course, []) for course in courses})
        return next((row for row in self._ahead[course_id] if row.starts_at > at), None)

    def _read_next(self, course_ids: set[int]) -> None:
        missing = course_ids - set(self._next)
        if missing:
            found = attendance.next_sessions(missing, after=self.now)
            self._next.update({course: found.get(course) for course in missing})

    def has_pledged(self, *, learner_id: int, session_id: int) -> bool:
        """Whether a learner said that they will come to a class."""
        if session_id not in self._pledges:
            ahead = {row.pk for row in self._next.values() if row} | {session_id}
            self._pledges.update({key: set() for key in ahead})
            for learner, session in attendance.pledged(
                learner_ids={learner_id, *self.contacts}, session_ids=ahead
            ):
                self._pledges[session].add(learner)
        return learner_id in self._pledges[session_id]

    def facts_since(self, *, learner_id: int, since: datetime) -> list[RecordedFact]:
        """The facts that were recorded of a learner since a moment, oldest first."""
        if self._facts_from is None or since < self._facts_from or learner_id not in self._facts:
            self._read_facts(learner_id, since)
        return [fact for fact in self._facts[learner_id] if fact.recorded_at >= since]

    def _read_facts(self, learner_id: int, since: datetime) -> None:
        self._facts_from = min(since, self._oldest or since, self._facts_from or since)
        learners = {learner_id, *self.contacts}
        self._facts = {learner: [] for learner in learners}
        for fact in attendance.facts_since(learner_ids=learners, since=self._facts_from):
            self._facts[fact.learner_id].append(fact)

    def replied(self, *, chat: Chat, since: datetime) -> datetime | None:
        """When a chat first wrote or pressed anything after a moment; None if it did not."""
        known = self._heard_from is not None and since >= self._heard_from
        if not known or chat.telegram_key not in self._heard:
            self._listen(chat, since)
        words = self._heard[chat.telegram_key]
        place = bisect_right(words, since)
        return words[place] if place < len(words) else None

    def _listen(self, chat: Chat, since: datetime) -> None:
        self._heard_from = min(since, self._oldest or since, self._heard_from or since)
        chats = {row.chat.telegram_key for row in self.contacts.values() if row.chat}
        self._heard = {key: [] for key in {*chats, chat.telegram_key}}
        said = InboundUpdate.objects.filter(
            chat_key__in=set(self._heard),
            received_at__gt=self._heard_from,
            received_at__lte=self.now,  # a simulation knows nothing of what is still to come
        )
        for key, at in said.order_by("received_at").values_list("chat_key", "received_at"):
            self._heard[key].append(at)


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
