"""Why somebody did or did not hear something: every rule in its order, with what it saw.

What was decided is read from the recorded decisions; what was not decided yet is judged by the
same functions that the engine uses. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from attendance import selectors as attendance
from attendance.domain import reasons as attendance_reasons
from attendance.domain.identity import email_key
from attendance.models import AttendanceEvent, Learner
from delivery.domain import reasons as delivery_reasons
from delivery.models import Reachability
from nurture import flags
from nurture.domain.entry import Previous, Refuse, entry_key, may_enter
from nurture.domain.reasons import EXPLAIN, Reason
from nurture.domain.remedies import VERDICTS, remedy
from nurture.domain.rollout import bucket
from nurture.domain.sequence import Fact, Mode
from nurture.domain.triggers import Mismatch, first_match
from nurture.models import OPEN, Contact, Decision, HoldoutAssignment, Journey, Sequence
from nurture.services import explain_journey
from nurture.services.explain_journey import Rule
from nurture.services.world import World, consents

UNKNOWN_LEARNER, UNKNOWN_SEQUENCE = "unknown_learner", "unknown_sequence"
UNKNOWN_CLASS, WOULD_ENTER = "unknown_class", "would_enter"
FACT_ANSWERED = "fact_answered"  # acted on, without a word about this sequence

#: Which rule a recorded refusal belongs to.
_RULE_OF: Mapping[str, str] = {
    Reason.NO_CONTACT: "contact_linked",
    Reason.NOT_LINKED: "contact_linked",
    Reason.UNREACHABLE: "chat_reachable",
    Reason.OPTED_OUT: "consent",
    Reason.NURTURE_OFF: "nurture_on",
    Reason.NOT_IN_ROLLOUT: "in_rollout",
    Reason.SEQUENCE_STOPPED: "sequence_live",
    Reason.DRY_RUN: "sequence_live",
    Reason.FACT_EXPIRED: "fact_happened",
    Reason.CORRECTED: "fact_happened",
    Reason.NO_TRIGGER: "trigger_matched",
    Reason.WRONG_COURSE: "trigger_matched",
    Reason.TIMES_NOT_REACHED: "trigger_matched",
    Reason.ALREADY_ENTERED: "entry_allowed",
    Reason.COOLING_DOWN: "entry_allowed",
    Reason.ALREADY_OPEN: "entry_allowed",
    Reason.HELD_OUT: "not_held_out",
}


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """The verdict, the rule that decided it, what that rule saw, and when it would change."""

    verdict: str
    rule: str
    input: Mapping[str, Any]
    changes_at: str | None
    rules: list[dict[str, Any]] = field(default_factory=list)
    evidence: Mapping[str, Any] = field(default_factory=dict)  # of a class: what lies behind it

    def as_dict(self) -> dict[str, Any]:
        """The form in which commands print it."""
        found = asdict(self)
        if not self.evidence:
            del found["evidence"]
        return found


def explain(*, email: str, slug: str, now: datetime) -> Explanation:
    """Why the learner with this address is, was or would be in a sequence, or not.

    Answers for people without a journey and for unknown people and sequences, too.
    """
    learner = Learner.objects.filter(email_key=email_key(email)).first()
    if learner is None:
        rule = Rule("learner_known", {"email": email}, False, UNKNOWN_LEARNER)
        return conclude([rule], rule)
    sequence = Sequence.objects.filter(slug=slug).select_related("published_version").first()
    if sequence is None:
        unknown = Rule("sequence_live", {"sequence": slug}, False, UNKNOWN_SEQUENCE)
        return conclude([Rule("learner_known", {"learner": learner.pk}), unknown], unknown)
    inquiry = _Inquiry(learner, sequence, now)
    rules = [*inquiry.about_the_learner(), *inquiry.about_the_sequence()]
    fact, told = inquiry.newest_fact(), inquiry.newest_decision()
    journey = _journey(inquiry, told)
    if journey is not None and journey.dry_run:
        return _pretended(journey, rules)
    if journey is not None:
        story = list(explain_journey.rules(journey=journey, now=now))
        return conclude([*rules, *story], explain_journey.deciding(journey, rules, story))
    if told is not None and told.code in _RULE_OF:
        recorded = _recorded(told)
        rules = [recorded if rule.rule == recorded.rule else rule for rule in rules]
        if recorded not in rules:
            rules.append(recorded)
        return conclude(rules, recorded)
    rules += inquiry.about_entry(fact)
    refusal = next((rule for rule in rules if not rule.passed), None)
    if refusal is not None:
        return conclude(rules, refusal)
    return conclude(rules, replace(rules[-1], code=WOULD_ENTER))


def explain_session(*, email: str, session_id: str, now: datetime) -> Explanation:
    """Why a learner's outcome in a class is what it is. `session_id`: row id or event id."""
    learner = Learner.objects.filter(email_key=email_key(email)).first()
    if learner is None:
        rule = Rule("learner_known", {"email": email}, False, UNKNOWN_LEARNER)
        return conclude([rule], rule)
    session = attendance.find_session(session_id)
    if session is None:
        rule = Rule("class_known", {"session": session_id}, False, UNKNOWN_CLASS)
        return conclude([rule], rule)
    found = attendance.explain_outcome(learner=learner, session=session, now=now)
    rules = [Rule(row["rule"], {"value": row["input"]}, row["passed"]) for row in found.rules]
    decides = next((rule for rule in rules if not rule.passed), rules[-1])
    return Explanation(
        verdict=found.outcome,
        rule=decides.rule,
        input=decides.input,
        changes_at=found.changes_at,
        rules=found.rules,
        evidence=found.as_dict(),
    )


def _journey(inquiry: _Inquiry, told: Decision | None) -> Journey | None:
    """The journey that the newest word is about; without any word, the newest there is."""
    if told is not None:
        return told.journey or _same_class(told)
    fact = inquiry.newest_fact()
    return None if fact is not None and fact.processed_at is None else inquiry.newest_journey()


def _pretended(journey: Journey, rules: list[Rule]) -> Explanation:
    """The learner went through it in a dry run, and heard nothing."""
    said = {"mode": Mode.DRY_RUN.value, "version": journey.version.number}
    decides = Rule("sequence_live", said, False, Reason.DRY_RUN)
    known = [decides if rule.rule == decides.rule else rule for rule in rules]
    story = explain_journey.rules(journey=journey, now=journey.started_at)
    return conclude([*known, *story], decides)


def _same_class(told: Decision) -> Journey | None:
    """The journey that another fact of the same class began: a broken pledge is also a miss."""
    if told.event is None or told.code not in {Reason.ALREADY_ENTERED, Reason.ALREADY_OPEN}:
        return None
    rows = Journey.objects.select_related("version").filter(
        sequence=told.sequence, learner=told.learner, session=told.event.session_id
    )
    return rows.order_by("-id").first()


def _recorded(told: Decision) -> Rule:
    until = told.inputs.get("until")
    return Rule(
        _RULE_OF[told.code],
        {**told.inputs, "decided_at": told.decided_at.isoformat(), "fact": _fact(told.event)},
        False,
        told.code,
        datetime.fromisoformat(until) if until else None,
    )


def conclude(rules: list[Rule], decides: Rule) -> Explanation:
    """The answer that one of these rules gives."""
    return Explanation(
        verdict=decides.code,
        rule=decides.rule,
        input=decides.input,
        changes_at=decides.changes_at.isoformat() if decides.changes_at else None,
        rules=[{"rule": rule.rule, "input": rule.input, "passed": rule.passed} for rule in rules],
    )


def meaning(code: str) -> str:
    """A verdict in a sentence, whichever app it comes from."""
    for said in (EXPLAIN, attendance_reasons.EXPLAIN, delivery_reasons.EXPLAIN, VERDICTS):
        if code in said:
            return said[code]  # type: ignore[index]
    return code.replace("_", " ")


def would_change(code: str) -> str:
    """What would change a verdict, in a sentence; empty where nothing needs to."""
    return remedy(code) or attendance_reasons.WOULD_CHANGE.get(code, "")  # type: ignore[call-overload]


class _Inquiry:
    """One question about one learner and one sequence."""

    def __init__(self, learner: Learner, sequence: Sequence, now: datetime) -> None:
        self.learner, self.sequence, self.now = learner, sequence, now
        self.version = sequence.published_version
        self.world = World(now=now)
        self.spec = self.world.spec(self.version.pk) if self.version else None

    def about_the_learner(self) -> Iterator[Rule]:
        """Whether anything could be said to them at all."""
        yield Rule("learner_known", {"learner": self.learner.pk})
        contact = Contact.objects.select_related("chat").filter(learner=self.learner).first()
        chat = contact.chat if contact else None
        code = Reason.NO_CONTACT if contact is None else Reason.NOT_LINKED
        yield Rule("contact_linked", {"chat": chat.pk if chat else None}, chat is not None, code)
        if chat is None:
            return
        reachable = chat.reachability == Reachability.OK
        yield Rule(
            "chat_reachable",
            {"reachability": chat.reachability},
            reachable,
            Reason.UNREACHABLE,
        )
        category = self.spec.category if self.spec else ""
        agreed = consents(chat, category)
        yield Rule("consent", {"category": category}, agreed, Reason.OPTED_OUT)

    def about_the_sequence(self) -> Iterator[Rule]:
        """Whether nurture acts for this learner, and the sequence at all."""
        percent = flags.rollout_percent()
        yield Rule("nurture_on", {"percent": percent}, percent > 0, Reason.NURTURE_OFF)
        place = bucket(flags.rollout_key(self.learner.pk))
        drawn = {"bucket": round(place, 3), "percent": percent}
        yield Rule("in_rollout", drawn, place < percent, Reason.NOT_IN_ROLLOUT)
        seen = {
            "mode": self.sequence.mode,
            "version": self.version.number if self.version else None,
        }
        code = {Mode.STOPPED: Reason.SEQUENCE_STOPPED, Mode.DRY_RUN: Reason.DRY_RUN}.get(
            Mode(self.sequence.mode), Reason.NOT_PUBLISHED
        )
        live = self.version is not None and self.sequence.mode == Mode.LIVE
        yield Rule("sequence_live", seen, live, code)

    def about_entry(self, fact: AttendanceEvent | None) -> Iterator[Rule]:
        """What the engine would decide about a fact that it has not acted on."""
        if fact is None:
            yield from self._unsettled()
        fresh = fact is not None and fact.expires_at > self.now
        code = Reason.NO_SUCH_FACT if fact is None else Reason.FACT_EXPIRED
        yield Rule("fact_happened", _fact(fact), fresh, code)
        if fact is None or self.spec is None:
            return
        yield self._unanswered(fact)
        streak = attendance.streak(
            learner_id=self.learner.pk,
            course_id=fact.session.course_id,
            fact=fact.kind,
            session=fact.session,
        )
        calendar_id = fact.session.course.calendar_id
        found = first_match(
            self.spec.triggers, fact=Fact(fact.kind), calendar_id=calendar_id, streak=streak
        )
        missed = isinstance(found, Mismatch)
        yield Rule(
            "trigger_matched",
            {"fact": fact.kind, "course": calendar_id, "streak": streak},
            not missed,
            found.reason if isinstance(found, Mismatch) else "",
        )
        yield self._entry(fact)
        yield self._holdout()

    def _unsettled(self) -> Iterator[Rule]:
        """The learner's newest class, where nothing may be said of it yet."""
        session = attendance.newest_class(learner_id=self.learner.pk, until=self.now)
        if session is None:
            return
        found = attendance.explain_outcome(learner=self.learner, session=session, now=self.now)
        if found.effective:
            return
        seen = {"class": session.event_id, "outcome": found.outcome, "reason": found.reason}
        at = datetime.fromisoformat(found.changes_at) if found.changes_at else None
        yield Rule("class_settled", seen, False, found.reason, at)

    def _unanswered(self, fact: AttendanceEvent) -> Rule:
        """Whether the engine has yet to act on a fact of which nothing is recorded here.

        It has already where the sequence was published after the fact, or where it failed on it.
        """
        if fact.processed_at is None:
            return Rule("fact_unanswered", {"processed_at": None})
        failed = Decision.objects.filter(event=fact, code=Reason.ENGINE_ERROR).exists()
        seen = {"processed_at": fact.processed_at.isoformat()}
        code = Reason.ENGINE_ERROR if failed else FACT_ANSWERED
        return Rule("fact_unanswered", seen, False, code)

    def _entry(self, fact: AttendanceEvent) -> Rule:
        assert self.spec is not None, "asked only of published sequences"
        rows = Journey.objects.filter(
            sequence=self.sequence,
            learner=self.learner,
            is_test=False,
            dry_run=self.sequence.mode == Mode.DRY_RUN,
        ).order_by("started_at", "id")
        key = entry_key(self.spec.entry, fact.session_id)
        verdict = may_enter(
            self.spec.entry, key=key, previous=[_past(row) for row in rows], now=self.now
        )
        if isinstance(verdict, Refuse):
            seen = {"key": key, **verdict.inputs}
            return Rule("entry_allowed", seen, False, verdict.reason, verdict.until)
        return Rule("entry_allowed", {"key": key, "round": verdict.round})

    def _holdout(self) -> Rule:
        """As it was drawn, or as it would be."""
        assert self.version is not None, "asked only of published sequences"
        percent = self.version.holdout
        kept = HoldoutAssignment.objects.filter(sequence=self.sequence, learner=self.learner)
        row = kept.first()
        drawn = bucket(f"holdout:{self.sequence.slug}:{self.learner.pk}") < percent
        held_out = percent > 0 and (row.held_out if row else drawn)
        return Rule("not_held_out", {"percent": percent}, not held_out, Reason.HELD_OUT)

    def newest_fact(self) -> AttendanceEvent | None:
        """The newest fact that the sequence asks for."""
        asked = {trigger.fact.value for trigger in self.spec.triggers} if self.spec else set()
        rows = AttendanceEvent.objects.select_related("session__course").filter(
            learner=self.learner, kind__in=asked, recorded_at__lte=self.now
        )
        return rows.order_by("-occurred_at", "-id").first()

    def newest_decision(self) -> Decision | None:
        """What was decided last about the newest fact."""
        fact = self.newest_fact()
        if fact is None:
            return None
        rows = Decision.objects.select_related("journey__version", "event__session").filter(
            learner=self.learner, sequence=self.sequence, event=fact, decided_at__lte=self.now
        )
        return rows.order_by("-decided_at", "-id").first()

    def newest_journey(self) -> Journey | None:
        """The journey that began last."""
        rows = Journey.objects.filter(
            sequence=self.sequence, learner=self.learner, started_at__lte=self.now
        )
        return rows.select_related("version").order_by("-started_at", "-id").first()


def _past(journey: Journey) -> Previous:
    return Previous(
        entry_key=journey.entry_key,
        started_at=journey.started_at,
        is_open=journey.status in OPEN,
        slot=journey.slot,
    )


def _fact(event: AttendanceEvent | None) -> dict[str, Any]:
    if event is None:
        return {}
    return {
        "fact": event.kind,
        "class": event.session.event_id,
        "occurred_at": event.occurred_at.isoformat(),
        "expires_at": event.expires_at.isoformat(),
    }
