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
    DECLINED = "declined"
    STAFF_DECIDED = "staff_decided"
    IMPORTED = "imported"
    NOT_SETTLED_YET = "not_settled_yet"
    SYNC_INCOMPLETE = "sync_incomplete"
    GOOGLE_DARK = "google_dark"
    FEW_SEEN = "few_seen"
    NO_HUMAN_SEEN = "no_human_seen"
    UNRESOLVED_GUEST = "unresolved_guest"
    GUEST_NEVER_RESOLVED = "guest_never_resolved"
    NO_VERIFIED_IDENTITY = "no_verified_identity"
    NOT_ENROLLED = "not_enrolled"
    NOTED_LATER = "noted_later"
    SESSION_CANCELLED = "session_cancelled"
    NO_MEET_LINK = "no_meet_link"


# What could still make it another conclusion, in words for staff.
WOULD_CHANGE: Mapping[Reason, str] = {
    Reason.ATTENDED_ENOUGH: "A person, or a record that proves to be somebody else's.",
    Reason.JOINED_LATE: "A late record of an earlier join, or a person's decision.",
    Reason.LEFT_BEFORE_END: "A late record of a later leave, or a person's decision.",
    Reason.SHARE_TOO_SMALL: "A late record of more presence, or a person's decision.",
    Reason.NOT_SEEN: "A late record, an address that proves to be theirs, or a person's decision.",
    Reason.SEEN_TOO_BRIEFLY: "A late record of more presence, or the answer to the open question.",
    Reason.DECLINED: "Presence in the class, a changed reply, or a person's decision.",
    Reason.STAFF_DECIDED: "Only a person who takes it back.",
    Reason.IMPORTED: "Only a person's decision.",
    Reason.NOT_SETTLED_YET: "Time: the class is judged when its settling time is over.",
    Reason.SYNC_INCOMPLETE: "A complete reading of Google's log past the settling time.",
    Reason.GOOGLE_DARK: "Google answering again; see the last reading for what it said.",
    Reason.FEW_SEEN: "Late records, or a person who says that so few really came.",
    Reason.NO_HUMAN_SEEN: "Records of this class in Google's log.",
    Reason.UNRESOLVED_GUEST: "A person who says who the guest was, or what call; in a day unknown.",
    Reason.GUEST_NEVER_RESOLVED: "A person who says who the guest was, or what call.",
    Reason.NO_VERIFIED_IDENTITY: "An address by which the learner can be recognised.",
    Reason.NOT_ENROLLED: "An enrolment that covers the start of the class.",
    Reason.NOTED_LATER: "A person who says that the learner should have been there.",
    Reason.SESSION_CANCELLED: "The class being put back into the calendar.",
    Reason.NO_MEET_LINK: "A Meet link in the calendar, or a call that proves to be this event.",
}

EXPLAIN: Mapping[Reason, str] = {
    Reason.ATTENDED_ENOUGH: "Seen in the class from its start to its end, within the graces.",
    Reason.JOINED_LATE: "Seen, but the first join came after the grace at the start.",
    Reason.LEFT_BEFORE_END: "Seen, but the last leave came before the grace at the end.",
    Reason.SHARE_TOO_SMALL: "Seen for a smaller share of the class than the policy asks.",
    Reason.NOT_SEEN: "Not seen in a class whose records are complete.",
    Reason.SEEN_TOO_BRIEFLY: "Seen for less than the minimum presence.",
    Reason.DECLINED: "Declined the invitation, which the course's policy excuses.",
    Reason.STAFF_DECIDED: "A person decided so, and that stands.",
    Reason.IMPORTED: "Brought in from elsewhere; no record of Google's is behind it.",
    Reason.NOT_SETTLED_YET: "The settling time of the class is not over.",
    Reason.SYNC_INCOMPLETE: "Google's log has not been read completely past the settling time.",
    Reason.GOOGLE_DARK: "Google refuses or does not answer, so nothing speaks for an absence.",
    Reason.FEW_SEEN: "So few of the expected were seen that the log is doubted; staff are asked.",
    Reason.NO_HUMAN_SEEN: "The log shows nobody at all in this class, so it proves nothing.",
    Reason.UNRESOLVED_GUEST: "Someone in a call of it, or a report on it, could be this learner.",
    Reason.GUEST_NEVER_RESOLVED: "Someone who could be this learner was not resolved in a day.",
    Reason.NO_VERIFIED_IDENTITY: "No verified identity, so the learner could not have been seen.",
    Reason.NOT_ENROLLED: "The learner was not enrolled when the class began.",
    Reason.NOTED_LATER: "The class had begun before an import told us of the enrolment.",
    Reason.SESSION_CANCELLED: "The class was cancelled.",
    Reason.NO_MEET_LINK: "An event without a Meet link and without a call is no class to judge.",
}
