"""Why an outcome is what it is, or why nothing can be concluded yet."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Reason(StrEnum):
    """One code for each way an outcome can come about."""

    ATTENDED_ENOUGH = "attended_enough"
    JOINED_LATE = "joined_late"
    LEFT_BEFORE_END = "left_before_end"
    SHARE_TOO_SMALL = "share_too_small"
    NOT_SEEN = "not_seen"
    SEEN_TOO_BRIEFLY = "seen_too_briefly"
    NOT_SETTLED_YET = "not_settled_yet"
    SYNC_INCOMPLETE = "sync_incomplete"
    NO_HUMAN_SEEN = "no_human_seen"
    UNRESOLVED_GUEST = "unresolved_guest"
    GUEST_NEVER_RESOLVED = "guest_never_resolved"
    NO_VERIFIED_IDENTITY = "no_verified_identity"
    NOT_ENROLLED = "not_enrolled"
    SESSION_CANCELLED = "session_cancelled"


EXPLAIN: Mapping[Reason, str] = {
    Reason.ATTENDED_ENOUGH: "Seen in the class from its start to its end, within the graces.",
    Reason.JOINED_LATE: "Seen, but the first join came after the grace at the start.",
    Reason.LEFT_BEFORE_END: "Seen, but the last leave came before the grace at the end.",
    Reason.SHARE_TOO_SMALL: "Seen for a smaller share of the class than the policy asks.",
    Reason.NOT_SEEN: "Not seen in a class whose records are complete.",
    Reason.SEEN_TOO_BRIEFLY: "Seen for less than the minimum presence.",
    Reason.NOT_SETTLED_YET: "The settling time of the class is not over.",
    Reason.SYNC_INCOMPLETE: "Google's log has not been read completely past the settling time.",
    Reason.NO_HUMAN_SEEN: "The log shows nobody at all in this class, so it proves nothing.",
    Reason.UNRESOLVED_GUEST: "Someone in the class could be this learner and is not resolved.",
    Reason.GUEST_NEVER_RESOLVED: "Someone who could be this learner was not resolved in a day.",
    Reason.NO_VERIFIED_IDENTITY: "No verified identity, so the learner could not have been seen.",
    Reason.NOT_ENROLLED: "The learner was not enrolled when the class began.",
    Reason.SESSION_CANCELLED: "The class was cancelled.",
}
