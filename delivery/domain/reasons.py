"""Why a delivery ended, waits, or may not go now: one code for each."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Reason(StrEnum):
    """One code for each way a delivery can end unsent or be held."""

    # ended unsent, by delivery itself
    EXPIRED = "expired"
    OPTED_OUT = "opted_out"
    NO_CONSENT = "no_consent"
    CAPPED = "capped"
    CHAT_BLOCKED = "chat_blocked"
    CHAT_NEVER_STARTED = "chat_never_started"
    CHAT_DEACTIVATED = "chat_deactivated"
    CHAT_GONE = "chat_gone"
    CONTENT_REFUSED = "content_refused"
    REQUEST_REFUSED = "request_refused"
    TOO_MANY_TRIES = "too_many_tries"
    POISON = "poison"
    WINDOW_NEVER_OPENS = "window_never_opens"
    # cannot be known
    NO_ANSWER = "no_answer"
    SERVER_ERROR = "server_error"
    WORKER_DIED = "worker_died"
    # withdrawn by nurture or staff
    CORRECTED = "corrected"
    JOURNEY_EXITED = "journey_exited"
    CONDITION_CHANGED = "condition_changed"
    SEQUENCE_STOPPED = "sequence_stopped"
    WITHDRAWN = "withdrawn"
    WITHDRAWN_BY_STAFF = "withdrawn_by_staff"
    DROPPED = "dropped"
    ERASED = "erased"
    # only pretended
    DRY_RUN = "dry_run"
    # may not be sent again
    NOT_IN_DOUBT = "not_in_doubt"
    IN_QUARANTINE = "in_quarantine"
    # may not be owed once more
    NOT_WITHDRAWN = "not_withdrawn"
    DUE_ALREADY = "due_already"


EXPLAIN: Mapping[Reason, str] = {
    Reason.EXPIRED: "It would have been useless by the time it could go out.",
    Reason.OPTED_OUT: "The learner has said stop.",
    Reason.NO_CONSENT: "The learner has not agreed to messages of this category.",
    Reason.CAPPED: "The learner has had as many messages as a day may bring.",
    Reason.CHAT_BLOCKED: "The learner has blocked the bot.",
    Reason.CHAT_NEVER_STARTED: "The learner has never pressed Start, so the bot may not write.",
    Reason.CHAT_DEACTIVATED: "The Telegram account no longer exists.",
    Reason.CHAT_GONE: "Telegram does not know this chat.",
    Reason.CONTENT_REFUSED: "Telegram refused the text or its buttons; the step needs mending.",
    Reason.REQUEST_REFUSED: "Telegram refused the request for a reason we have no rule for.",
    Reason.TOO_MANY_TRIES: "It failed as often as it may be tried.",
    Reason.POISON: "Workers died again and again while they held it.",
    Reason.WINDOW_NEVER_OPENS: "The hours in which it may go out never come.",
    Reason.NO_ANSWER: "The request went out and no answer came, so it may have arrived.",
    Reason.SERVER_ERROR: "Telegram answered with an error of its own, so it may have arrived.",
    Reason.WORKER_DIED: "The worker died between the request and the record of its answer.",
    Reason.CORRECTED: "What it was based on turned out not to be true.",
    Reason.JOURNEY_EXITED: "The journey it belongs to ended first.",
    Reason.CONDITION_CHANGED: "The condition of its step no longer holds.",
    Reason.SEQUENCE_STOPPED: "The sequence was stopped.",
    Reason.WITHDRAWN: "Somebody withdrew it before it went out.",
    Reason.ERASED: "Everything personal of the learner was erased.",
    Reason.WITHDRAWN_BY_STAFF: "A member of staff withdrew it before it went out.",
    Reason.DROPPED: "A member of staff dropped it: it counts as not sent, and never goes again.",
    Reason.DRY_RUN: "The sequence only pretends: this is what it would have done.",
    Reason.NOT_IN_DOUBT: "It is neither unknown nor given up.",
    Reason.IN_QUARANTINE: "Its answer may still come; look again a quarter of an hour later.",
    Reason.NOT_WITHDRAWN: "It is not one that a member of staff withdrew.",
    Reason.DUE_ALREADY: "Its time has come meanwhile; a new message is better than a late one.",
}
