"""The closed lists of words that rows of this app may carry."""

from __future__ import annotations

from enum import StrEnum


class SessionStatus(StrEnum):
    """Where a class stands between the calendar and its outcomes."""

    SCHEDULED = "scheduled"
    ENDED = "ended"
    SETTLING = "settling"
    SETTLED = "settled"
    NO_DATA = "no_data"
    CANCELLED = "cancelled"


class OutcomeKind(StrEnum):
    """What is concluded about one learner in one class."""

    PENDING = "pending"
    ATTENDED = "attended"
    LATE = "late"
    LEFT_EARLY = "left_early"
    PARTIAL = "partial"
    MISSED = "missed"
    EXCUSED = "excused"
    UNKNOWN = "unknown"


# Outcomes proved by presence; the rest is proved by nothing, by staff, or by absence.
PRESENT_KINDS = frozenset(
    {OutcomeKind.ATTENDED, OutcomeKind.LATE, OutcomeKind.LEFT_EARLY, OutcomeKind.PARTIAL}
)


class Flag(StrEnum):
    """What is worth knowing beside the outcome."""

    LATE = "late"
    LEFT_EARLY = "left_early"
    REJOINED = "rejoined"
    MULTI_DEVICE = "multi_device"
    HOST_LATE = "host_late"
    ENDED_EARLY = "ended_early"
    BRIEF = "brief"
    BY_NAME = "by_name"  # counted on a guest's word, where the course trusts names


class Origin(StrEnum):
    """Who concluded an outcome."""

    ENGINE = "engine"
    STAFF = "staff"
    IMPORT = "import"


class EndpointKind(StrEnum):
    """What sat at the other end of one connection to a call."""

    HUMAN = "human"
    ROOM = "room"
    PHONE = "phone"
    BOT = "bot"
    STAFF = "staff"
    VISITOR = "visitor"


# Kinds that staff may give to somebody who is no learner.
OUTSIDER_KINDS = (
    EndpointKind.VISITOR,
    EndpointKind.STAFF,
    EndpointKind.BOT,
    EndpointKind.ROOM,
    EndpointKind.PHONE,
)


class StartSource(StrEnum):
    """Whether the log gave the start of a stay, or only its length."""

    GIVEN = "given"
    DERIVED = "derived"


class IdentityKind(StrEnum):
    """By what a learner can be recognised in a call."""

    EMAIL = "email"
    ALIAS = "alias"
    GOOGLE_USER_ID = "google_user_id"
    PHONE = "phone"
    MASKED_EMAIL = "masked_email"
    DISPLAY_NAME = "display_name"


class IdentityStatus(StrEnum):
    """How sure it is that an identity belongs to its learner."""

    VERIFIED = "verified"
    STAFF_CONFIRMED = "staff_confirmed"
    SUGGESTED = "suggested"
    REJECTED = "rejected"


# What means somebody only among the people of one course: two courses may each have their Ana.
COURSE_IDENTITIES = frozenset({IdentityKind.MASKED_EMAIL, IdentityKind.DISPLAY_NAME})
# Identities by which a record is given to a learner without asking anyone.
SURE_IDENTITIES = frozenset({IdentityStatus.VERIFIED, IdentityStatus.STAFF_CONFIRMED})


class Source(StrEnum):
    """What a sync run read."""

    CALENDAR = "calendar"
    MEET = "meet"


class RunKind(StrEnum):
    """Why a sync run looked at its window."""

    ROUTINE = "routine"
    HOURLY = "hourly"
    NIGHTLY = "nightly"
    BACKFILL = "backfill"
    MANUAL = "manual"


class RunState(StrEnum):
    """How a sync run ended; only `complete` may support an absence."""

    RUNNING = "running"
    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"
    CONFIG_ERROR = "config_error"


class MatchRule(StrEnum):
    """By which rule a call was found to be a class."""

    EVENT_ID = "event_id"
    RECURRING_ID = "recurring_id"
    CODE = "code"
    CONTINUED = "continued"
    STAFF = "staff"


class PledgeState(StrEnum):
    """What became of the question "will you come?"."""

    ASKED = "asked"
    YES = "yes"
    NO = "no"
    KEPT = "kept"
    BROKEN = "broken"
    EXCUSED = "excused"


class ReviewKind(StrEnum):
    """What a person is asked to decide."""

    DISPUTE = "dispute"
    GUEST = "guest"
    ADDRESS = "address"
    BRIEF = "brief"
    AMBIGUOUS_CALL = "ambiguous_call"
    LATE_RECORD = "late_record"
    REPORT = "report"
    LOW_SHARE = "low_share"
    NO_DATA = "no_data"
    GOOGLE_DARK = "google_dark"


class ReviewState(StrEnum):
    """Whether a review item still waits for a person."""

    OPEN = "open"
    DECIDED = "decided"


class AuditVerdict(StrEnum):
    """What a person who looked says of an outcome of the weekly sample."""

    RIGHT = "right"
    WRONG = "wrong"
    CANNOT_TELL = "cannot_tell"


class EventKind(StrEnum):
    """The facts that other apps may act on."""

    ATTENDED = "attended"
    LATE = "late"
    LEFT_EARLY = "left_early"
    PARTIAL = "partial"
    MISSED = "missed"
    MISSED_PLEDGED = "missed_pledged"
    FIRST_ATTENDED = "first_attended"
    RETURNED = "returned"
    CORRECTED = "corrected"
    UPHELD = "upheld"  # a learner doubted an outcome, and a person found it right
    SESSION_MOVED = "session_moved"
    SESSION_CANCELLED = "session_cancelled"
    PLEDGED = "pledged"
    KEPT = "kept"
