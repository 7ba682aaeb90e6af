"""Why a journey started, went on, waited, ended, or never began: one code for each."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Reason(StrEnum):
    """One code for each thing nurture can decide; positive ones too."""

    # on the way
    ENTERED = "entered"
    STEP_PLANNED = "step_planned"
    STEP_SKIPPED = "step_skipped"
    COMPLETED = "completed"
    DRY_RUN = "dry_run"
    RELEASED = "released"
    PAUSED_BY_STAFF = "paused_by_staff"
    RESTORED = "restored"
    RESUMED = "resumed"
    MOVED = "moved"
    WAITING = "waiting"
    BRANCH_TAKEN = "branch_taken"
    ARM_TAKEN = "arm_taken"
    TAGGED = "tagged"
    HANDED_OVER = "handed_over"
    # a step that is passed over
    STEP_DISABLED = "step_disabled"
    CONDITION_FALSE = "condition_false"
    CONDITION_CHANGED = "condition_changed"
    PAST_MOMENT = "past_moment"
    MISSED_IN_PAUSE = "missed_in_pause"
    NO_NEXT_SESSION = "no_next_session"
    VARIABLE_MISSING = "variable_missing"
    WINDOW_NEVER_OPENS = "window_never_opens"
    OUTSIDE_HOURS = "outside_hours"
    TEXT_REFUSED = "text_refused"
    # somebody who does not enter
    NO_SUCH_FACT = "no_such_fact"
    NO_TRIGGER = "no_trigger"
    WRONG_COURSE = "wrong_course"
    TIMES_NOT_REACHED = "times_not_reached"
    ALREADY_ENTERED = "already_entered"
    COOLING_DOWN = "cooling_down"
    ALREADY_OPEN = "already_open"
    HELD_OUT = "held_out"
    NURTURE_OFF = "nurture_off"
    NOT_IN_ROLLOUT = "not_in_rollout"
    SEQUENCE_STOPPED = "sequence_stopped"
    NOT_PUBLISHED = "not_published"
    NO_CONTACT = "no_contact"
    NOT_LINKED = "not_linked"
    OPTED_OUT = "opted_out"
    UNREACHABLE = "unreachable"
    FACT_EXPIRED = "fact_expired"
    # a journey that ends early
    EXIT_FACT = "exit_fact"
    CORRECTED = "corrected"
    DISPUTED = "disputed"
    STEP_BUDGET = "step_budget"
    SEQUENCE_EXIT = "sequence_exit"
    VERSION_REPLACED = "version_replaced"
    ENDED_BY_STAFF = "ended_by_staff"
    # whether somebody comes to a class
    ASKED = "asked"
    PLEDGE_KNOWN = "pledge_known"
    TOO_LATE_TO_ASK = "too_late_to_ask"
    TAKEN_BACK = "taken_back"
    PLANNED_ANEW = "planned_anew"
    CLASS_CHANGED = "class_changed"
    NOT_AHEAD = "not_ahead"
    NO_LINK_YET = "no_link_yet"
    NOBODY_IS_ASKED = "nobody_is_asked"
    NOT_ASKED_YET = "not_asked_yet"
    NOT_EXPECTED = "not_expected"
    ERASED = "erased"
    # our own fault
    ENGINE_ERROR = "engine_error"


EXPLAIN: Mapping[Reason, str] = {
    Reason.ENTERED: "A trigger matched and the entry rules let the learner in.",
    Reason.STEP_PLANNED: "The step was planned, with its time and its text.",
    Reason.STEP_SKIPPED: "The step was passed over; the journey went on with the next one.",
    Reason.COMPLETED: "The last step is done.",
    Reason.DRY_RUN: "The sequence only pretends: this is what it would have done.",
    Reason.RELEASED: "A person let a message of a dry run go out after all.",
    Reason.PAUSED_BY_STAFF: "A member of staff holds the journey; it goes on when it is resumed.",
    Reason.RESTORED: "The database was restored; the one before may have gone on with it.",
    Reason.RESUMED: "The journey goes on from where it was held.",
    Reason.MOVED: "The journey goes on by a newer version of its sequence.",
    Reason.WAITING: "The journey waits here until its time comes or what it waits for happens.",
    Reason.BRANCH_TAKEN: "The condition of the branch decided which step comes next.",
    Reason.ARM_TAKEN: "A fixed draw for this learner decided which arm of the split is taken.",
    Reason.TAGGED: "A tag was put on the contact or taken off.",
    Reason.HANDED_OVER: "A person was asked to take over.",
    Reason.STEP_DISABLED: "The step is switched off in this version.",
    Reason.CONDITION_FALSE: "The condition of the step did not hold when the step was planned.",
    Reason.CONDITION_CHANGED: "The condition of its step no longer holds.",
    Reason.PAST_MOMENT: "The moment of the step had already gone by when it was planned.",
    Reason.MISSED_IN_PAUSE: "Its moment came while the journey was held, and it was dropped.",
    Reason.NO_NEXT_SESSION: "The course has no confirmed next class to count back from.",
    Reason.VARIABLE_MISSING: "The text needs a value that is not known and has no default.",
    Reason.WINDOW_NEVER_OPENS: "The hours in which it may go out never come.",
    Reason.OUTSIDE_HOURS: "Its moment lay outside its hours, and the sequence does not hold it.",
    Reason.TEXT_REFUSED: "The text cannot be made into a message; the step needs mending.",
    Reason.NO_SUCH_FACT: "Attendance has not said any such thing of this learner.",
    Reason.NO_TRIGGER: "No trigger of the sequence asks for this fact.",
    Reason.WRONG_COURSE: "The triggers for this fact ask for another course.",
    Reason.TIMES_NOT_REACHED: "It has not happened exactly as many times in a row as asked.",
    Reason.ALREADY_ENTERED: "The learner has been in for this key, and may not enter again.",
    Reason.COOLING_DOWN: "The learner may enter again, but not yet.",
    Reason.ALREADY_OPEN: "The learner has as many open journeys here as the sequence allows.",
    Reason.HELD_OUT: "The learner belongs to the group that is left alone for comparison.",
    Reason.NURTURE_OFF: "The switch `nurture` is off.",
    Reason.NOT_IN_ROLLOUT: "The learner is not in the share to which nurture is rolled out.",
    Reason.SEQUENCE_STOPPED: "The sequence was stopped.",
    Reason.NOT_PUBLISHED: "The sequence has no published version.",
    Reason.NO_CONTACT: "The learner has no contact, so nobody can be written to.",
    Reason.NOT_LINKED: "No Telegram chat is linked to the learner.",
    Reason.OPTED_OUT: "The learner has said stop.",
    Reason.UNREACHABLE: "The learner's chat cannot be reached.",
    Reason.FACT_EXPIRED: "The fact came too late after its class to act on it.",
    Reason.EXIT_FACT: "Something happened that ends the journey by its own rules.",
    Reason.CORRECTED: "What it was based on turned out not to be true.",
    Reason.DISPUTED: "The learner says it is not true; it is held until a person has looked.",
    Reason.STEP_BUDGET: "The journey took as many steps as any journey may.",
    Reason.SEQUENCE_EXIT: "A step of the sequence ends the journey here.",
    Reason.VERSION_REPLACED: "A newer version was published, and this one was ended.",
    Reason.ENDED_BY_STAFF: "A member of staff ended the journey.",
    Reason.ASKED: "The learner is asked once whether they come to this class.",
    Reason.PLEDGE_KNOWN: "It is known already whether the learner comes, or they were asked.",
    Reason.TOO_LATE_TO_ASK: "The class begins before the hours in which the learner may be asked.",
    Reason.TAKEN_BACK: "The planned question was withdrawn; it is decided anew.",
    Reason.CLASS_CHANGED: "A class that it speaks of or counts from changed; decided anew.",
    Reason.PLANNED_ANEW: "The learner's zone, language or quiet hours changed; decided anew.",
    Reason.NOT_AHEAD: "The class has begun, or will not be held.",
    Reason.NO_LINK_YET: "Without a Meet link in the calendar it is no class to ask about.",
    Reason.NOBODY_IS_ASKED: "The course asks nobody beforehand; its policy says so.",
    Reason.NOT_ASKED_YET: "The time to ask before this class has not come.",
    Reason.NOT_EXPECTED: "The learner is not enrolled in the course when the class begins.",
    Reason.ERASED: "Everything personal of the learner was erased.",
    Reason.ENGINE_ERROR: "The engine failed on it; staff were asked, and nothing was sent.",
}
