"""All that staff see of one learner at a glance, in a handful of statements. Nothing is written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import (
    Case,
    CharField,
    Count,
    Exists,
    F,
    IntegerField,
    OuterRef,
    QuerySet,
    Subquery,
    Value,
    When,
    Window,
)
from django.db.models.functions import Coalesce, JSONObject, Now

from attendance.models import Enrolment, Learner, LearnerIdentity, Outcome, Pledge, ReviewItem
from delivery.domain.states import ENDS, Status
from delivery.models import (
    ArchivedDelivery,
    BusinessNow,
    Chat,
    Consent,
    Delivery,
    Gate,
    Reachability,
    Scope,
)
from nurture.domain.reasons import Reason
from nurture.domain.schedule import zone_of
from nurture.models import OPEN, Contact, ContactTag, Decision, Journey, Sequence, StaffTask

#: How many of each the page shows; the rest is a link away.
DELIVERIES, JOURNEYS, CLASSES, DECISIONS, TO_DO = 40, 15, 20, 12, 20
_OWED = sorted(status.value for status in set(Status) - ENDS)


@dataclass(frozen=True, kw_only=True)
class ClassLine:
    """One class: what was promised, and what was concluded."""

    session_id: int
    title: str
    starts_at: datetime
    outcome_id: int | None = None
    outcome: str = ""
    reason: str = ""
    minutes: int = 0
    pledge: str = ""


@dataclass(frozen=True, kw_only=True)
class ToDo:
    """Something about the learner that waits for a person: a task or a review item."""

    model: str  # of the page: nurture_stafftask, attendance_reviewitem
    pk: int
    kind: str
    note: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class LearnerPage:
    """What there is to see. Moments are UTC; `zone` is the clock on the learner's wall."""

    learner: Learner
    contact: Contact | None
    chat: Chat | None
    zone: ZoneInfo
    snoozed_until: datetime | None = None  # None also where that is over
    consents: list[dict[str, Any]] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    courses: list[dict[str, Any]] = field(default_factory=list)
    identities: list[dict[str, Any]] = field(default_factory=list)
    owed: list[Delivery] = field(default_factory=list)  # soonest first; `held_by` names a gate
    past: list[Delivery] = field(default_factory=list)  # newest first; `at` is its moment
    past_in_all: int = 0
    has_archive: bool = False  # older ones are there
    journeys: list[Journey] = field(default_factory=list)  # open ones first
    classes: list[ClassLine] = field(default_factory=list)  # newest first
    to_do: list[ToDo] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)  # newest first
    sequences: list[Sequence] = field(default_factory=list)

    @property
    def silent(self) -> Reason | None:
        """Why nobody can write to the learner at all; None where somebody may."""
        if self.contact is None:
            return Reason.NO_CONTACT
        if self.chat is None:
            return Reason.NOT_LINKED
        if self.chat.reachability != Reachability.OK:
            return Reason.UNREACHABLE
        return None if self.agreed else Reason.OPTED_OUT

    @property
    def agreed(self) -> bool:
        """Whether the learner agreed to be written to: the answer for every category."""
        return any(row["granted"] for row in self.consents if not row["category"])

    @property
    def open_journeys(self) -> list[Journey]:
        """The journeys that are under way or held."""
        return [row for row in self.journeys if row.status in OPEN]


def learner_page(*, learner_id: int) -> LearnerPage:
    """Read the page of one learner: eight statements, however much there is.

    Raises Learner.DoesNotExist.
    """
    learner = _who().get(pk=learner_id)
    contact: Contact | None = getattr(learner, "contact", None)
    chat = contact.chat if contact else None
    past = _past(chat)
    return LearnerPage(
        learner=learner,
        contact=contact,
        chat=chat,
        zone=_zone(contact, learner.courses),  # type: ignore[attr-defined]
        snoozed_until=learner.snoozed_until,  # type: ignore[attr-defined]
        consents=learner.consents,  # type: ignore[attr-defined]
        tags=learner.tags,  # type: ignore[attr-defined]
        courses=learner.courses,  # type: ignore[attr-defined]
        identities=learner.known_by,  # type: ignore[attr-defined]
        owed=_owed(chat),
        past=past,
        past_in_all=past[0].in_all if past else 0,  # type: ignore[attr-defined]
        has_archive=learner.has_archive,  # type: ignore[attr-defined]
        journeys=_journeys(learner),
        classes=_classes(learner),
        to_do=_to_do(learner),
        decisions=_decisions(learner),
        sequences=list(Sequence.objects.only("slug", "name", "mode").order_by("name")),
    )


def _who() -> QuerySet[Learner]:
    """The learner with what belongs to them one by one, in one statement."""
    consents = Consent.objects.filter(chat=OuterRef("contact__chat")).order_by("category")
    tags = ContactTag.objects.filter(contact=OuterRef("contact")).order_by("name")
    courses = Enrolment.objects.filter(learner=OuterRef("pk")).order_by("-ends_at", "course_id")
    known_by = LearnerIdentity.objects.filter(learner=OuterRef("pk")).order_by("kind", "value_key")
    until = "contact__chat__snoozed_until"
    return Learner.objects.select_related("contact__chat").annotate(
        snoozed_until=Case(When(**{f"{until}__gt": BusinessNow()}, then=F(until))),
        consents=_several(consents, "category", "granted", "changed_at", "source"),
        tags=ArraySubquery(tags.values("name")),
        courses=_several(
            courses, "course_id", "course__title", "course__time_zone", "starts_at", "ends_at"
        ),
        known_by=_several(known_by, "kind", "value_key", "status", "origin", "course__title"),
        has_archive=Exists(ArchivedDelivery.objects.filter(chat=OuterRef("contact__chat"))),
    )


def _several(rows: QuerySet[Any], *names: str) -> ArraySubquery:
    """These columns of rows as a list of mappings; `course__title` is called `course_title`."""
    columns = {name.replace("__", "_"): F(name) for name in names}
    return ArraySubquery(rows.values(json=JSONObject(**columns)))


def _zone(contact: Contact | None, courses: Iterable[dict[str, Any]]) -> ZoneInfo:
    """The learner's clock: contact, the course that ends last or never, TIME_ZONE."""
    of_course = next((row["course_time_zone"] for row in courses), "")
    return zone_of(contact.time_zone if contact else "", of_course, settings.TIME_ZONE)


def _planned_by() -> Subquery:
    """Of a delivery: which journey planned it, and which step it is."""
    rows = Decision.objects.filter(delivery=OuterRef("pk"), code=Reason.STEP_PLANNED)
    seen = JSONObject(
        journey="journey_id", step="step_key", sequence="sequence__name", slug="sequence__slug"
    )
    return Subquery(rows.values(json=seen)[:1])


def _owed(chat: Chat | None) -> list[Delivery]:
    """What is owed, soonest first, each with the gate that holds everything, if one does."""
    closed = Gate.objects.filter(scope=Scope.BOT, closed_until__gt=Now()).order_by("key")
    rows = Delivery.objects.filter(chat=chat, status__in=_OWED).select_related("stream")
    known = rows.annotate(
        held_by=Subquery(closed.values("reason")[:1]),
        planned_by=_planned_by(),
        # What a snooze holds back is not due before its end.
        at=Case(
            When(chat__snoozed_until__gt=F("run_at"), then=F("chat__snoozed_until")),
            default=F("run_at"),
        ),
    )
    return list(known.order_by("at", "due_at", "id")[:DELIVERIES]) if chat else []


def _past(chat: Chat | None) -> list[Delivery]:
    """What came to its end, newest first, each with how many there are in all."""
    ended = Delivery.objects.filter(chat=chat, status__in=sorted(ENDS))
    known = ended.select_related("stream").annotate(
        at=Coalesce("sent_at", "intent_at", "settled_at"),
        in_all=Window(Count("pk")),
        planned_by=_planned_by(),
    )
    return list(known.order_by("-at", "-id")[:DELIVERIES]) if chat else []


def _journeys(learner: Learner) -> list[Journey]:
    rows = Journey.objects.filter(learner=learner).annotate(
        ended=Case(When(status__in=OPEN, then=0), default=1, output_field=IntegerField())
    )
    related = ("sequence", "version", "waiting_on", "session", "cause")
    return list(rows.select_related(*related).order_by("ended", "-id")[:JOURNEYS])


def _classes(learner: Learner) -> list[ClassLine]:
    """Outcomes and pledges of the newest classes, in one statement, a line for each class."""
    said = ("session_id", "session__title", "session__starts_at", "pk", "what", "why", "seconds")
    outcomes = Outcome.objects.filter(learner=learner, is_current=True).annotate(
        what=F("outcome"), why=F("reason"), seconds=F("present_seconds")
    )
    pledges = Pledge.objects.filter(learner=learner).annotate(
        what=F("state"),
        why=Value("pledge", output_field=CharField()),
        seconds=Value(-1, output_field=IntegerField()),
    )
    both = outcomes.values_list(*said).union(pledges.values_list(*said), all=True)
    lines: dict[int, dict[str, Any]] = {}
    for session, title, at, pk, what, why, seconds in both.order_by("-session__starts_at"):
        line = lines.setdefault(session, {"session_id": session, "title": title, "starts_at": at})
        if seconds < 0:
            line["pledge"] = what
        else:
            line |= {"outcome_id": pk, "outcome": what, "reason": why, "minutes": seconds // 60}
    return [ClassLine(**line) for line in lines.values()][:CLASSES]


def _to_do(learner: Learner) -> list[ToDo]:
    """Open tasks and review items, oldest first, in one statement."""
    said = ("model", "pk", "kind", "words", "created_at")
    tasks = StaffTask.objects.filter(learner=learner, done_at=None).annotate(
        model=Value("nurture_stafftask"), words=F("note")
    )
    reviews = ReviewItem.objects.filter(learner=learner, state="open").annotate(
        model=Value("attendance_reviewitem"), words=F("session__title")
    )
    both = tasks.values_list(*said).union(reviews.values_list(*said), all=True)
    return [
        ToDo(model=model, pk=pk, kind=kind, note=words or "", created_at=at)
        for model, pk, kind, words, at in both.order_by("created_at")[:TO_DO]
    ]


def _decisions(learner: Learner) -> list[Decision]:
    rows = Decision.objects.filter(learner=learner).select_related("sequence")
    return list(rows.order_by("-decided_at", "-id")[:DECISIONS])
