"""States, rules, policies and facts as sentences for staff."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.safestring import SafeString

from attendance.domain.kinds import EventKind, OutcomeKind, SessionStatus
from attendance.models import AttendancePolicy, ClassSession, Outcome
from attendance.services.review import Changed
from config.console.words import absolute, pill

_TONES = {
    OutcomeKind.ATTENDED: "good", OutcomeKind.LATE: "warn", OutcomeKind.LEFT_EARLY: "warn",
    OutcomeKind.PARTIAL: "warn", OutcomeKind.MISSED: "bad", OutcomeKind.EXCUSED: "calm",
    OutcomeKind.UNKNOWN: "info", OutcomeKind.PENDING: "info",
}  # fmt: skip
#: (tone, word, what it means) of each state of a class.
STATES: Mapping[SessionStatus, tuple[str, str, str]] = {
    SessionStatus.SCHEDULED: ("calm", "planned", "It has not ended yet."),
    SessionStatus.ENDED: ("info", "over", "Presence has no effect yet; records may be late."),
    SessionStatus.SETTLING: ("info", "settling", "Presence has effect; absences are awaited."),
    SessionStatus.SETTLED: ("good", "settled", "All that can be concluded is concluded."),
    SessionStatus.NO_DATA: ("warn", "no records", "Google shows nobody; nobody is missed."),
    SessionStatus.CANCELLED: ("bad", "cancelled", "Not held; nothing is concluded."),
}
SAID: Mapping[str, str] = {
    "": "–", "asked": "asked, no answer", "yes": "✓ said yes", "no": "✗ said no",
    "kept": "✓ said yes, came", "broken": "✓ said yes, did not come", "excused": "excused",
}  # fmt: skip
_RULES: Mapping[str, str] = {
    "enrolled": "Enrolled when the class began",
    "class_confirmed": "The class is in the calendar",
    "class_online": "It has a Meet link, or a call",
    "settling_time_over": "The settling time is over",
    "declined": "Declined the invitation, which the policy excuses",
    "enrolled_by_then": "We knew of the enrolment when the class began",
    "identity_verified": "There is an address by which we could have seen them",
    "log_complete": "Google's log was read past the settling time",
    "google_answers": "Google answers",
    "anyone_seen": "Somebody was seen in the class",
    "enough_seen": "Not hardly anybody was seen",
    "no_unresolved_guest": "No unresolved guest could be them",
    "policy": "The policy of the course decides",
    "decided_by_a_person": "No person has decided otherwise",
}
_FACTS: Mapping[str, str] = {
    EventKind.CORRECTED: "corrected: what has not gone out is withdrawn",
    EventKind.UPHELD: "upheld: what was held goes on",
}


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What a decision does to one learner in one class, in words."""

    learner: str
    when: str
    before: SafeString
    after: SafeString
    facts: str
    waits: bool  # it has no effect yet


def outcome_pill(kind: str, count: int | None = None) -> SafeString:
    """An outcome as a coloured word, after its number where one is given."""
    word = kind.replace("_", " ")
    return pill(_TONES[OutcomeKind(kind)], word if count is None else f"{count} {word}")


def state_pill(session: ClassSession) -> SafeString:
    """The state of a class, and what it means."""
    return pill(*STATES[SessionStatus(session.status)])


def rule_words(name: str, value: str) -> str:
    """A rule of the gate with what it looked at; moments on the office's clock."""
    words = _RULES.get(name, name.replace("_", " "))
    if name == "settling_time_over":
        return f"{words}: {absolute(datetime.fromisoformat(value))}"
    if name == "policy":
        seconds, _, share = value.partition(" s, ")
        return f"{words}: in the class for {int(seconds) // 60} min, {share} of it"
    return words if value in {"true", "false"} else f"{words}: {value}"


def policy_words(policy: AttendancePolicy | None) -> str:
    """How presence was judged, in a sentence."""
    row = policy or AttendancePolicy()
    which = f"Policy version {row.version}" if policy and policy.pk else "The usual policy"
    return (
        f"{which}: missed below {row.min_presence_seconds // 60} min, "
        f"partial below {row.partial_below:.0%}, late after {row.late_grace_seconds // 60} min, "
        f"left early before the last {row.early_grace_seconds // 60} min."
    )


def fact_words(kind: str) -> str:
    """A fact and what it does, for the page that shows an effect beforehand."""
    return _FACTS.get(kind, kind.replace("_", " "))


def effects(changed: Sequence[Changed] | None) -> list[Effect] | None:
    """What a decision would do, a line for each learner; None where none is chosen."""
    if changed is None:
        return None
    return [
        Effect(
            learner=one.learner.name or one.learner.email,
            when=absolute(one.session.starts_at),
            before=outcome_pill(one.before) if one.before else SafeString("–"),
            after=outcome_pill(one.after),
            facts=", ".join(map(fact_words, one.facts)) or "none",
            waits=not one.effective,
        )
        for one in changed
    ]


def judged_by(outcome: Outcome) -> str:
    """Who concluded an outcome, where it was not the engine."""
    return f"{outcome.decided_by or outcome.origin}: {outcome.note or outcome.outcome}"
