"""An explanation as staff read it: each rule as a question, and what would change an answer."""

from __future__ import annotations

from collections.abc import Mapping

from nurture.domain.reasons import Reason

#: The rules of an explanation, as the questions that they answer.
QUESTIONS: Mapping[str, str] = {
    "learner_known": "Is the learner known?",
    "contact_linked": "Is a Telegram chat linked?",
    "chat_reachable": "Can the chat be reached?",
    "consent": "Has the learner agreed to such messages?",
    "nurture_on": "Is nurture switched on?",
    "in_rollout": "Does the learner belong to the share that takes part?",
    "sequence_live": "Is the sequence published and live?",
    "class_settled": "Is it settled who was in the newest class?",
    "fact_happened": "Has something happened that the sequence asks for, not too long ago?",
    "fact_unanswered": "Has the engine yet to act on it?",
    "trigger_matched": "Does a trigger match it?",
    "entry_allowed": "May the learner enter?",
    "not_held_out": "Is the learner outside the group that is left alone for comparison?",
    "entered": "How did the journey begin?",
    "journey": "Where does the journey stand?",
    "step": "What was decided last?",
    "delivery": "What became of its message?",
    "snoozed": "Did the learner ask for quiet?",
    "cap": "Is there room under the daily cap?",
    "window": "Are its hours open?",
    "gate_open": "Is its gate open?",
}

#: Verdicts that are no reasons of the engine.
VERDICTS: Mapping[str, str] = {
    "would_enter": "Nothing stands against it: the engine lets the learner in at its next pass.",
    "fact_answered": "The engine has acted on the fact, and this sequence had no part in it then.",
    "unknown_learner": "Nobody with this address is known.",
    "unknown_sequence": "There is no such sequence.",
    "unknown_class": "There is no such class.",
    "active": "The journey is under way.",
    "paused": "The journey is held; nothing of it goes out until it goes on.",
    "pending": "The message is planned and waits for its time.",
    "leased": "The message is about to go out.",
    "sending": "The message is on its way just now.",
    "sent": "The message went out.",
    "snoozed": "The learner asked for quiet; the message waits until that is over.",
    "held_by_gate": "A closed gate holds the message back; nothing is lost, it waits.",
}

_UNKNOWN = "A look: it is in the list “Cannot be known”, where you decide what it counts as."
_DEAD = "A look: it is in the list “Given up”, from which it can be sent again."

#: What would have to happen for the answer to be another one.
REMEDIES: Mapping[str, str] = {
    Reason.NO_CONTACT: "Import the learner again with a chat, or send them an invitation.",
    Reason.NOT_LINKED: "Send the learner an invitation; they are linked once they press Start.",
    Reason.UNREACHABLE: "Only the learner can change this: by opening the bot and pressing Start.",
    Reason.OPTED_OUT: "Only the learner can change this: by sending /start to the bot.",
    Reason.NURTURE_OFF: "Switch `nurture` on, under Flags.",
    Reason.NOT_IN_ROLLOUT: "Raise the share of `nurture`, under Flags. The place of each learner"
    " is drawn once and stays.",
    Reason.SEQUENCE_STOPPED: "Set the sequence to Live. What is too old by then does not count.",
    Reason.DRY_RUN: "Set the sequence to Live; until then it only notes what it would have sent.",
    Reason.NOT_PUBLISHED: "Publish the sequence.",
    Reason.FACT_EXPIRED: "The next such fact: this one was known too late after its class.",
    Reason.NO_SUCH_FACT: "The next class in which it happens. If it did happen, look at the"
    " learner's attendance above.",
    Reason.NO_TRIGGER: "A trigger for this fact, in the sequence's next version.",
    Reason.WRONG_COURSE: "A trigger for this course, in the sequence's next version.",
    Reason.TIMES_NOT_REACHED: "The next class: the trigger wants exactly so many in a row.",
    Reason.ALREADY_ENTERED: "Another class or round: the entry rules let nobody in twice for the"
    " same.",
    Reason.COOLING_DOWN: "Time: the entry rules let the learner in again later.",
    Reason.ALREADY_OPEN: "The end of the journey that is open.",
    Reason.HELD_OUT: "Nothing, so that sent and held out stay comparable. The share for later"
    " learners is set in the sequence.",
    Reason.ENGINE_ERROR: "See the open task: the sequence or its data need mending.",
    Reason.CORRECTED: "Nothing needs to change: it was withdrawn since it was not true.",
    Reason.DISPUTED: "An answer to the open review.",
    Reason.CONDITION_FALSE: "Another condition for the step, in the sequence's next version.",
    Reason.VARIABLE_MISSING: "A default for the variable in the step's text.",
    Reason.TEXT_REFUSED: "Mend the step's text and publish the sequence again.",
    "paused": "Let the journey go on, under Journeys.",
    "snoozed": "Time, or the learner ending the quiet with /resume.",
    "capped": "Time: a day later there is room again.",
    "held_by_gate": "Open the gate, under Gates, once its reason is dealt with.",
    "pending": "Nothing needs to: it goes out at its time.",
    "unknown": _UNKNOWN,
    "no_answer": _UNKNOWN,
    "dead": _DEAD,
    "too_many_tries": _DEAD,
    "content_refused": "Mend the step's text, publish, and open the gate of the sequence.",
    "chat_blocked": "Only the learner can change this: by opening the bot and pressing Start.",
    "fact_answered": "The next such fact.",
}


def remedy(code: str) -> str:
    """What would change this verdict, in a sentence; empty where it needs no change."""
    return REMEDIES.get(code, "")
