"""Everything that the next step of one journey depends on, as the pure core wants it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from functools import cached_property
from zoneinfo import ZoneInfo

from django.conf import settings

from attendance.selectors import RecordedFact
from delivery.domain.windows import Window as DeliveryWindow
from nurture import context, texts
from nurture.domain import journey as core
from nurture.domain.conditions import ConditionFacts, leaves
from nurture.domain.journey import decide
from nurture.domain.reasons import Reason
from nurture.domain.rollout import bucket
from nurture.domain.schedule import next_opening, period_at, zone_of
from nurture.domain.sequence import EVERY_DAY, SequenceSpec, Step, WaitKind
from nurture.models import Contact, Decision, Journey
from nurture.services.world import World, consents


@dataclass
class Situation:
    """One journey (which need not be kept yet), its learner, and the present moment."""

    journey: Journey
    contact: Contact
    spec: SequenceSpec
    world: World

    @cached_property
    def zone(self) -> ZoneInfo:
        """The learner's zone: contact, course, TIME_ZONE."""
        course = self.journey.course
        return zone_of(
            self.contact.time_zone, course.time_zone if course else "", settings.TIME_ZONE
        )

    @property
    def quiet(self) -> tuple[time, time] | None:
        """The learner's quiet hours, local."""
        opens, closes = self.contact.quiet_opens, self.contact.quiet_closes
        return None if opens is None or closes is None else (opens, closes)

    def step(self, key: str) -> Step | None:
        """The step of this key."""
        return next((step for step in self.spec.steps if step.key == key), None)

    def after(self, key: str) -> str | None:
        """The key of the step that follows; None after the last."""
        keys = [step.key for step in self.spec.steps]
        following = keys[keys.index(key) + 1 :] if key in keys else []
        return following[0] if following else None

    @cached_property
    def facts(self) -> ConditionFacts:
        """What conditions may ask; facts count since the journey began."""
        journey, chat, world = self.journey, self.contact.chat, self.world
        asked = _names(self.spec)
        following = world.next_session(journey.course_id)
        return ConditionFacts(
            facts=frozenset(self._facts() if asked & {"attended", "missed"} else ()),
            pledged_next="pledged_next" in asked
            and following is not None
            and world.has_pledged(learner_id=journey.learner_id, session_id=following.pk),
            has_next_session=following is not None,
            replied="replied" in asked
            and chat is not None
            and world.replied(chat=chat, since=journey.started_at) is not None,
            opted_out=chat is None or not consents(chat, self.spec.category),
            tags=frozenset(self._tags() if "tag" in asked else ()),
            language=self.contact.language,
        )

    def _tags(self) -> set[str]:
        """The contact's tags; a dry run puts none on, and knows those that it would have."""
        tags = set(self.world.tags_of(self.contact))
        if not self.journey.dry_run:
            return tags
        kept = Decision.objects.filter(journey=self.journey.pk, code=Reason.TAGGED).order_by("id")
        new = [row for row in self.world.writes.decisions if row.journey is self.journey]
        for row in (*kept, *(row for row in new if row.code == Reason.TAGGED)):
            tags |= {row.inputs["add"]} if "add" in row.inputs else set()
            tags -= {row.inputs.get("remove")}
        return tags

    def _facts(self) -> set[str]:
        return {fact.kind for fact in self._facts_since(self.journey.facts_from)}

    def _facts_since(self, since: datetime) -> list[RecordedFact]:
        """What was recorded since a moment and concerns this journey."""
        known = self.world.facts_since(learner_id=self.journey.learner_id, since=since)
        return [
            fact
            for fact in known
            if concerns(self.journey, course_id=fact.course_id, occurred_at=fact.occurred_at)
        ]

    def came(self, event: str, since: datetime) -> datetime | None:
        """When an event that a step may wait for first came after a moment; None if it did not."""
        if event == "replied":
            chat = self.contact.chat
            return self.world.replied(chat=chat, since=since) if chat is not None else None
        moments = (fact.recorded_at for fact in self._facts_since(since) if fact.kind == event)
        return next((moment for moment in moments if moment > since), None)

    def decide(
        self,
        *,
        current: str,
        waited: str = "",
        anchor: datetime | None = None,
        now: datetime | None = None,
    ) -> core.Decision:
        """Ask the pure core what comes next, from the step `current` on.

        `anchor`, `now`: as if the step before had settled then, and as if it were then.
        """
        following = self.world.next_session(self.journey.course_id)
        return decide(
            steps=self.spec.steps,
            current=current,
            facts=self.facts,
            anchor=anchor or self.journey.anchor_at,
            zone=self.zone,
            window=self.spec.window,
            quiet=self.quiet,
            next_session=following.starts_at if following else None,
            now=now or self.world.now,
            steps_taken=self.journey.steps_taken - self.journey.replans,
            bucket=bucket(f"{self.spec.slug}:{self.journey.learner_id}"),
            waited=waited,
            hours=self.spec.outside_hours,
            came=self.came,
        )

    def render(self, step: Step, *, at: datetime) -> str:
        """The text of a step for this learner as it is true at a moment, when it is due.

        Raises texts.TextError.
        """
        journey, text = self.journey, step.text_for(self.contact.language)
        values = context.variables(
            learner=self.contact.learner,
            session=journey.session,
            cause=journey.cause,
            next_session=self.world.next_session(journey.course_id, at=at),
            zone=self.zone,
            language=self.contact.language,
            bot_username=self.world.bot_username if "bot_username" in text else "",
        )
        return texts.render(text, values)

    def expires_at(self, step: Step, send: core.Send) -> datetime | None:
        """When a message is useless: what names the next class is, once that has begun."""
        if not self.names_next_class(step):
            return send.expires_at
        following = self.world.next_session(self.journey.course_id, at=send.due_at)
        ends = [send.expires_at, following.starts_at if following else None]
        return min((at for at in ends if at is not None), default=None)

    def names_next_class(self, step: Step) -> bool:
        """Whether a step's text for this learner says anything of the next class."""
        named = texts.named(step.text_for(self.contact.language))
        return any(name.startswith("next_session_") for name in named)

    def opening(self, at: datetime) -> datetime | None:
        """The first moment from `at` on at which a message may go out; None: never."""
        return next_opening(at, window=self.spec.window, quiet=self.quiet, zone=self.zone)

    def hours(self, at: datetime) -> DeliveryWindow | None:
        """The open hours around a planned moment, for delivery to check alone."""
        period = period_at(at, window=self.spec.window, quiet=self.quiet, zone=self.zone)
        if period is None or (period.opens == period.closes and period.days == EVERY_DAY):
            return None
        return DeliveryWindow(
            opens=period.opens, closes=period.closes, days=period.days, zone=self.zone.key
        )

    def waits_for(self) -> str:
        """The event that the journey's present step waits for, or ""."""
        step = self.step(self.journey.step_key)
        waiting = step is not None and step.wait.kind == WaitKind.UNTIL_EVENT
        return step.wait.event if step is not None and waiting else ""


def concerns(journey: Journey, *, course_id: int, occurred_at: datetime) -> bool:
    """Whether a fact speaks of the journey's own course, and of what came after its cause.

    An older class that is settled late says nothing new.
    """
    if journey.course_id is not None and journey.course_id != course_id:
        return False
    began = journey.cause.occurred_at if journey.cause else journey.started_at
    return occurred_at > began


def _names(spec: SequenceSpec) -> set[str]:
    """The names of every question that the sequence asks."""
    asked = [when for step in spec.steps for when in (step.when, step.options.get("when"))]
    return {leaf.name for condition in asked for leaf in leaves(condition)}
