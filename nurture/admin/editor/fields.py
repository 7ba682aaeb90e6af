"""The fields of the form: what each is called, and its rule in words.

Nothing is checked here: the reader of files does that, for the form as for a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.utils.datastructures import MultiValueDict

from nurture.domain.sequence import DAYS, Capped, EntryKey, Fact, Hours, Mode, StepKind, WaitKind
from nurture.sequence_files import EXIT_EVENTS, WAIT_EVENTS

Choices = list[tuple[str, str]]

_EVENT_WORDS = {
    "attended": "was in a class", "late": "came late to a class", "left_early": "left early",
    "partial": "was there for a part", "missed": "missed a class",
    "missed_pledged": "missed a class, although pledged",
    "first_attended": "was in their first class", "returned": "came back after missing",
    "opted_out": "said stop", "pledged": "said that they will come", "kept": "kept their word",
    "replied": "wrote or pressed a button",
}  # fmt: skip
UNITS: Choices = [("m", "minutes"), ("h", "hours"), ("d", "days")]
WEEK: Choices = [(day, day.capitalize()) for day in DAYS]
FACTS: Choices = [(fact.value, _EVENT_WORDS[fact]) for fact in Fact]
OFTEN: Choices = [
    ("any", "each time"), ("1", "the first time in a row"),
    *((str(n), f"{n} times in a row") for n in range(2, 6)),
]  # fmt: skip
KINDS: Choices = [
    (StepKind.MESSAGE, "Message"), (StepKind.WAIT, "Wait"), (StepKind.BRANCH, "Branch"),
    (StepKind.SPLIT, "Split by chance"), (StepKind.TAG, "Tag"),
    (StepKind.HANDOVER, "Hand over to a person"), (StepKind.EXIT, "End the journey"),
]  # fmt: skip
QUESTIONS: Choices = [
    ("", "– no condition –"), ("attended", "attended a class meanwhile"),
    ("missed", "missed a class meanwhile"), ("pledged_next", "said that they come next time"),
    ("has_next_session", "has a next class"), ("replied", "wrote or pressed a button meanwhile"),
    ("opted_out", "said stop"), ("tag", "has the tag …"), ("language", "reads the language …"),
]  # fmt: skip
GROUPS: Choices = [("not", "not …"), ("all", "all of …"), ("any", "any of …")]
ACTIONS: Choices = [
    ("pledge_next", "they will come to the next class"),
    ("dispute", "they were there: a person looks at it"),
    ("https://", "opens a page"),
]


def line(label: str, help_text: str = "", **attrs: str) -> forms.Field:
    """One line of text."""
    widget = forms.TextInput(attrs={"class": "tb-input", "autocomplete": "off", **attrs})
    return _field(label, help_text, widget)


def count(label: str, help_text: str = "") -> forms.Field:
    """A whole number; a text field, so that what is no number is not lost on its way."""
    return line(label, help_text, inputmode="numeric", size="5")


def clock(label: str, help_text: str = "") -> forms.Field:
    """A local time."""
    return line(label, help_text, type="time", size="6")


def choice(label: str, choices: Choices, help_text: str = "") -> forms.Field:
    """One of a closed list; what a file says besides it is kept."""
    return _field(label, help_text, forms.Select(choices=choices, attrs={"class": "tb-input"}))


def several(label: str, choices: Choices, help_text: str = "") -> forms.Field:
    """Any number of a closed list, in the order in which they were said."""
    return _field(label, help_text, forms.CheckboxSelectMultiple(choices=choices))


def text(label: str, rows: int = 6) -> forms.Field:
    """What a message says."""
    attrs = {"class": "tb-input ed-text", "rows": rows, "dir": "auto", "spellcheck": "true"}
    return _field(label, "", forms.Textarea(attrs=attrs))


def switch(label: str) -> forms.Field:
    """On or off."""
    return _field(label, "", forms.CheckboxInput())


def _field(label: str, help_text: str, widget: forms.Widget) -> forms.Field:
    return forms.Field(label=label, help_text=help_text, widget=widget, required=False)


def length(name: str, label: str, help_text: str = "") -> dict[str, forms.Field]:
    """A duration: a number and its unit."""
    return {
        f"{name}.number": count(label, help_text),
        f"{name}.unit": choice(f"Unit of: {label}", UNITS),
    }


class Part(forms.Form):
    """Some fields below one path, with what was typed and what is wrong with it."""

    def __init__(
        self,
        known: Mapping[str, forms.Field],
        data: MultiValueDict[str, str],
        path: str,
        problems: Mapping[str, list[str]],
    ) -> None:
        super().__init__(data, prefix=path or None, auto_id="id_%s", use_required_attribute=False)
        self.fields = dict(known)
        self.full_clean()
        for name, field in self.fields.items():
            _keep(field.widget, data.getlist(self.add_prefix(name)))
            for problem in problems.get(self.add_prefix(name), ()):
                self.add_error(name, problem)

    def add_prefix(self, field_name: str) -> str:
        """Fields are named by their path."""
        return f"{self.prefix}.{field_name}" if self.prefix else field_name

    def by_name(self) -> dict[str, forms.BoundField]:
        """The fields for a template, which knows no dots in names."""
        return {name.replace(".", "_"): self[name] for name in self.fields}


def _keep(widget: Any, values: Iterable[str]) -> None:
    """What was chosen is among the choices, in the order in which it was."""
    if isinstance(widget, forms.CheckboxSelectMultiple):
        first = [one for value in values for one in widget.choices if one[0] == value]
        if first != [one for one in widget.choices if one in first]:
            widget.choices = [*first, *(one for one in widget.choices if one not in first)]
    elif isinstance(widget, forms.Select):
        known = {value for value, _ in widget.choices}
        unknown = [(value, f"{value} (not known here)") for value in values if value not in known]
        widget.choices = [*widget.choices, *unknown]


def header() -> dict[str, forms.Field]:
    """The sequence as a whole."""
    return {**_what_it_is(), **_who_enters(), **_when_it_writes(), **_its_limits()}


def _what_it_is() -> dict[str, forms.Field]:
    return {
        "name": line("Name", "What staff call it. Learners never see it."),
        "category": line(
            "Category of consent",
            "It is sent to whoever agreed to this category, or to the default one where they said "
            "nothing of it. Empty: the default one.",
        ),
        "mode": choice(
            "When it is published",
            [(Mode.LIVE, "live"), (Mode.DRY_RUN, "dry run"), (Mode.STOPPED, "off")],
            "Live sends. A dry run decides as if, and sends nothing. Off: nobody enters.",
        ),
    }


def _who_enters() -> dict[str, forms.Field]:
    return {
        "entry.key": choice(
            "One run per",
            [(EntryKey.SESSION, "class that caused it"), (EntryKey.LEARNER, "learner")],
            "Per class: each class that starts it gives a run of its own. Per learner: one run, "
            "whichever class it was.",
        ),
        "entry.again": choice(
            "Again",
            [("every key", "each time"), ("never", "never"), ("after", "after …")],
            "Whether somebody who was in may enter once more. After: counted from when their "
            "previous run began.",
        ),
        **length("entry.after", "After how long"),
        "entry.open": count(
            "Runs at a time",
            "So many may be open for one learner; a further one is refused, not queued.",
        ),
    }


def _when_it_writes() -> dict[str, forms.Field]:
    return {
        "window.opens": clock(
            "Sends from",
            "Local time of the learner. Both times empty: at any hour. The end may "
            "lie after midnight. The learner's quiet hours hold besides.",
        ),
        "window.closes": clock("until"),
        "window.days": several("On these days", WEEK, "None chosen: every day."),
        "outside_hours": choice(
            "Outside these hours",
            [(Hours.HOLD, "wait until they begin"), (Hours.SKIP, "pass the step over")],
        ),
        "exit_when": several(
            "The run ends early when the learner",
            [(name, _EVENT_WORDS[name]) for name in EXIT_EVENTS],
            "Facts count from the entry on. A correction of the class that caused the run ends it "
            "always.",
        ),
    }


def _its_limits() -> dict[str, forms.Field]:
    return {
        "priority": count(
            "Priority", "0 to 10000. Where two sequences want the same learner, the smaller number "
            "is asked first. Empty: 100.",
        ),
        "cap.per_day": count(
            "At most messages a day", "For each learner, all sequences together, within 24 hours. "
            "Empty: no limit.",
        ),
        "cap.then": choice(
            "One too many is",
            [(Capped.DROP, "dropped"), (Capped.DEFER, "sent when there is room")],
        ),
        "holdout": count(
            "Held out (percent)", "So many of those who would enter are left alone, to compare "
            "them with the rest. Empty: nobody.",
        ),
        "languages": line(
            "Other languages", "Codes such as es or pt-BR, with commas between. A learner of "
            "another language reads the first text. A language without any text is not kept.",
        ),
    }  # fmt: skip


def trigger(courses: Choices) -> dict[str, forms.Field]:
    """What starts it; courses by their titles."""
    return {
        "fact": choice("The learner", FACTS),
        "course": choice("of the course", [("any", "any course"), *courses]),
        "times": choice("how often", OFTEN),
    }


def step(following: Choices, languages: Iterable[str]) -> dict[str, forms.Field]:
    """A step of any kind; which fields count, its kind says."""
    targets: Choices = [("", "– choose a step –"), *following]
    texts = {f"texts.{code}": text(f"Text ({code})") for code in languages}
    return {**_itself(), **_its_wait(), "text": text("Text"), **texts, **_by_kind(targets)}


def _itself() -> dict[str, forms.Field]:
    return {
        "key": line(
            "Key",
            "Its name for good: small letters, digits, - and _. Runs under way find their "
            "place by it, so a changed key is another step.",
        ),
        "kind": choice("Kind", KINDS),
        "enabled": switch("On"),
    }


def _its_wait() -> dict[str, forms.Field]:
    return {
        "wait.form": choice(
            "When",
            [
                (WaitKind.AFTER, "a while after the step before"),
                (WaitKind.AT, "at a local time"),
                (WaitKind.BEFORE_NEXT_SESSION, "before the next class"),
                (WaitKind.UNTIL_EVENT, "when something happens"),
            ],
            "Counted from when the step before was sent or passed over; the first one from the "
            "entry. Then the hours of the sequence hold.",
        ),
        **length("wait.after", "How long after", "0 minutes: at once. A day is 24 hours here."),
        "wait.at": clock("At", "Local time of the learner."),
        "wait.plus_days": count(
            "Days on",
            "0: today if the time is still ahead, else tomorrow. A day is one of the calendar.",
        ),
        "wait.on": several("Only on", WEEK, "The first such day from then on. None: any day."),
        **length("wait.before", "How long before"),
        "wait.if_past": choice(
            "If that is past or there is no class",
            [("skip", "pass the step over"), ("send", "send at once, if there is a class")],
        ),
        "wait.event": choice(
            "When the learner", [(name, _EVENT_WORDS[name]) for name in WAIT_EVENTS]
        ),
        **length("wait.or_after", "At the latest after"),
    }


def _by_kind(targets: Choices) -> dict[str, forms.Field]:
    return {
        **length(
            "expires", "Of use for", "Not sent later than this after its planned moment. Empty: "
            "always of use.",
        ),
        "then": choice("If so, go to", targets),
        "else": choice("If not, go to", targets),
        "tag.do": choice("The tag is", [("add", "put on"), ("remove", "taken off")]),
        "tag.name": line("Tag", "Small letters, digits, - and _. Other sequences may ask for it."),
        "to": line("Hand over to", "Who gets the task, such as tutor."),
        "note": line("Note", "What the person should know and do."),
        "reason": line("Reason", "Why it ends here; staff read it in the run."),
    }  # fmt: skip


def button() -> dict[str, forms.Field]:
    """A button under a message."""
    return {
        "text": line("Words on it"),
        "action": line("What it does", list="ed-actions"),
    }


def arm(following: Choices) -> dict[str, forms.Field]:
    """One way of a split."""
    return {
        "to": choice("Go to", [("", "– choose a step –"), *following]),
        "weight": count("Weight"),
    }


def question(groups: bool) -> dict[str, forms.Field]:
    """A condition, or a group of them."""
    return {
        "is": choice("Condition", [*QUESTIONS, *(GROUPS if groups else GROUPS[:1])]),
        "value": line("Which", size="10"),
    }
