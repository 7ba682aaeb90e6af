"""Sequences as files: YAML 1.2 in, every problem with its line, and the canonical form out.

YAML 1.2, so that `no` is Norwegian and `09:00` a time. The format is told to staff in
docs/sequences.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import time, timedelta
from functools import lru_cache
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.constructor import RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from nurture import scenario_files, texts
from nurture import sequence_values as values
from nurture.domain.scenario import Scenario
from nurture.domain.sequence import (
    EVERY_DAY,
    Again,
    Capped,
    Condition,
    Entry,
    EntryKey,
    Fact,
    Hours,
    Mode,
    SequenceSpec,
    Step,
    StepKind,
    Trigger,
    Wait,
    WaitKind,
    Window,
)
from nurture.file_reader import Problem, Reader
from nurture.sequence_writer import write

__all__ = ["Problem", "SequenceFile", "SequenceFileError", "read", "read_file", "write"]

LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})?\Z")
EXIT_EVENTS = (*(fact.value for fact in Fact), "opted_out", "pledged", "replied")
WAIT_EVENTS = (*(fact.value for fact in Fact), "pledged", "kept", "replied")


class SequenceFileError(ValueError):
    """The file is not a sequence. Every problem is named; nothing was taken from it.

    `spec`: what could be understood of it, with defaults for what could not; only to be shown.
    """

    def __init__(self, problems: Sequence[Problem], spec: SequenceSpec | None = None) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)
        self.spec = spec


class _Plain(RoundTripConstructor):
    """A day stays the text that it is, as in YAML 1.2; one that does not exist is told by us."""


_Plain.add_constructor("tag:yaml.org,2002:timestamp", _Plain.construct_yaml_str)


@dataclass(frozen=True, kw_only=True)
class SequenceFile:
    """All that a file says: the sequence, and what is expected of it."""

    spec: SequenceSpec
    scenarios: tuple[Scenario, ...]


def read(text: str) -> SequenceSpec:
    """The sequence that a file describes; raises SequenceFileError with every problem."""
    return read_file(text).spec


@lru_cache(maxsize=64)
def read_file(text: str) -> SequenceFile:
    """The same, with its scenarios.

    Page, check, difference and publication of a draft read one text several times; what was found
    is never changed, so it is kept.
    """
    reader = _Reader()
    try:
        if bomb := values.bomb(text):
            raise SequenceFileError([Problem(line=bomb[0], message=bomb[1])])
        yaml = YAML(typ="rt", pure=True)
        yaml.Constructor = _Plain
        root = yaml.load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = error.problem or "this is not YAML"
        raise SequenceFileError(
            [Problem(line=mark.line + 1 if mark else 1, message=said)]
        ) from error
    except RecursionError as error:
        raise SequenceFileError([Problem(line=1, message="this is nested too deeply")]) from error
    except YAMLError as error:
        raise SequenceFileError([Problem(line=1, message="this is not YAML")]) from error
    if not isinstance(root, CommentedMap):
        raise SequenceFileError([Problem(line=1, message="expected `sequence:` and its keys")])
    spec, scenarios = reader.sequence(root), scenario_files.read(reader, root)
    if reader.problems or spec is None:
        found = sorted(reader.problems, key=lambda problem: problem.line)
        raise SequenceFileError(found, spec)
    return SequenceFile(spec=spec, scenarios=scenarios)


class _Reader(Reader):
    """Reads a sequence."""

    def sequence(self, root: CommentedMap) -> SequenceSpec | None:
        """The whole file."""
        self.known(
            root, "sequence", "name", "category", "entry", "window", "triggers", "exit_when",
            "steps", "priority", "cap", "holdout", "languages", "mode", "outside_hours",
            "scenarios",
        )  # fmt: skip
        slug = self.need(root, "sequence", values.slug, "")
        cap = self.mapping(root, "cap")
        self.known(cap, "per_day", "then")
        steps = self.steps(root)
        return SequenceSpec(
            slug=slug,
            name=self.get(root, "name", values.short(values.LONGEST_NAME), slug),
            category=self.get(root, "category", values.slug, ""),
            entry=self.entry(self.mapping(root, "entry")),
            window=self.window(root),
            triggers=tuple(self.trigger(item) for _, _, item in self.items(root, "triggers")),
            exit_when=self.get(root, "exit_when", values.several(EXIT_EVENTS), ()),
            steps=tuple(self.languages(root, steps)),
            priority=self.get(root, "priority", values.number(0, 10_000), 100),
            cap_per_day=self.get(cap, "per_day", values.number(1, 1000), None) if cap else None,
            capped=self.get(cap, "then", values.one_of(Capped), Capped.DROP),
            outside_hours=self.get(root, "outside_hours", values.one_of(Hours), Hours.HOLD),
            holdout=self.get(root, "holdout", values.number(0, 100), 0),
            mode=self.get(root, "mode", values.one_of(Mode), Mode.LIVE),
        )

    def entry(self, node: CommentedMap) -> Entry:
        """Who may enter, and how often."""
        self.known(node, "key", "again", "open")
        every_key: tuple[Again, timedelta | None] = (Again.EVERY_KEY, None)
        again, after = self.get(node, "again", values.again, every_key)
        return Entry(
            key=self.get(node, "key", values.one_of(EntryKey), EntryKey.SESSION),
            again=again,
            again_after=after,
            open=self.get(node, "open", values.number(1, 100), 1),
        )

    def window(self, root: CommentedMap) -> Window | None:
        """When messages may go out."""
        if root.get("window") is None:
            return None
        node = self.mapping(root, "window")
        self.known(node, "opens", "closes", "days")
        return Window(
            opens=self.need(node, "opens", values.local_time, time(0)),
            closes=self.need(node, "closes", values.local_time, time(0)),
            days=self.get(node, "days", values.days, EVERY_DAY),
        )

    def trigger(self, node: CommentedMap) -> Trigger:
        """One fact that starts the sequence."""
        self.known(node, "fact", "course", "times")
        return Trigger(
            fact=self.need(node, "fact", values.one_of(Fact), Fact.MISSED),
            course=self.get(node, "course", values.short(values.LONGEST_CALENDAR), "any"),
            times=self.get(node, "times", values.times, 1),
        )

    # --- steps --------------------------------------------------------------------------------

    def steps(self, root: CommentedMap) -> list[Step]:
        """The steps in order, their keys unique, their jumps forward to steps that exist."""
        found: list[Step] = []
        places = self.items(root, "steps")
        if not places:
            self.wrong(root, "steps" if "steps" in root else next(iter(root), None), "no steps")
        for parent, index, node in places:
            step = self.step(node)
            if any(step.key == other.key for other in found):
                self.wrong(parent, index, f"a second step with the key {step.key!r}")
            found.append(step)
        keys = [step.key for step in found]
        for (parent, index, _), step in zip(places, found, strict=True):
            for target in _targets(step):
                if target not in keys:
                    self.wrong(parent, index, f"{step.key}: there is no step {target!r}")
                elif keys.index(target) <= index:
                    self.wrong(parent, index, f"{step.key}: {target!r} comes earlier: a circle")
        return found

    def step(self, node: CommentedMap) -> Step:
        """One step of any kind."""
        kind = self.get(node, "kind", values.one_of(StepKind), StepKind.MESSAGE)
        common = ("key", "kind", "wait", "when", "enabled")
        self.known(node, *common, *_KEYS_OF[kind])
        text = ""
        if kind is StepKind.MESSAGE:
            text = self.need(node, "text", values.message, "")
            self.check_text(node, "text", text)
        branches = kind is StepKind.BRANCH
        return Step(
            key=self.need(node, "key", values.slug, ""),
            kind=kind,
            wait=self.wait(node),
            when=None if branches else self.condition(node),
            text=text,
            buttons=self.get(node, "buttons", values.buttons, ()),
            expires=self.get(node, "expires", values.duration, None),
            enabled=self.get(node, "enabled", values.boolean, True),
            options=self.options(kind, node),
        )

    def options(self, kind: StepKind, node: CommentedMap) -> Mapping[str, Any]:
        """What the kinds without a message need."""
        match kind:
            case StepKind.BRANCH:
                when = self.condition(node)
                if "when" not in node:
                    self.need(node, "when", values.words, "")
                then, other = (self.need(node, key, values.slug, "") for key in ("then", "else"))
                return {"when": when, "then": then, "else": other}
            case StepKind.SPLIT:
                none: dict[str, int] = {}
                return {"arms": self.need(node, "arms", values.arms, none)}
            case StepKind.TAG:
                if "add" not in node and "remove" not in node:
                    self.wrong(node, "key", "a tag step needs `add` or `remove`")
                return {
                    key: self.get(node, key, values.slug, "") for key in node if key in _TAG_KEYS
                }
            case StepKind.HANDOVER | StepKind.EXIT:
                return {
                    key: self.get(node, key, values.words, "")
                    for key in _KEYS_OF[kind]
                    if key in node
                }
        return {}

    def wait(self, node: CommentedMap) -> Wait:
        """The one form of wait a step has."""
        if node.get("wait") is None:
            return Wait()
        wait = self.mapping(node, "wait")
        forms = [kind for kind in WaitKind if kind.value in wait]
        if len(forms) != 1:
            self.wrong(
                node, "wait", f"wait: say one of {', '.join(kind.value for kind in WaitKind)}"
            )
            return Wait()
        return _WAITS[forms[0]](self, wait)

    def condition(self, node: CommentedMap) -> Condition | None:
        """The condition of a step."""
        if node.get("when") is None:
            return None
        return self.get(node, "when", values.condition, None)

    def languages(self, root: CommentedMap, steps: list[Step]) -> list[Step]:
        """The texts in other languages, put into their steps."""
        node = self.mapping(root, "languages")
        by_key: dict[str, dict[str, str]] = {step.key: {} for step in steps}
        for language in node:
            if not isinstance(language, str) or not LANGUAGE.match(language):
                self.wrong(node, language, f"{language!r} is no language code such as es")
                continue
            said = self.mapping(node, language)
            for key in said:
                if key not in by_key:
                    self.wrong(said, key, f"there is no step {key!r}")
                    continue
                by_key[key][language] = self.get(said, key, values.message, "")
                self.check_text(said, key, by_key[key][language])
        return [_with_texts(step, by_key[step.key]) for step in steps]

    def check_text(self, node: CommentedMap, key: str, text: str) -> None:
        """What Telegram or Liquid would refuse."""
        for problem in texts.check(text) if text else ():
            self.wrong(node, key, problem)


def _with_texts(step: Step, found: dict[str, str]) -> Step:
    return Step(**{**vars(step), "texts": found}) if found else step


def _targets(step: Step) -> list[str]:
    if step.kind is StepKind.BRANCH:
        return [step.options["then"], step.options["else"]]
    return list(step.options["arms"]) if step.kind is StepKind.SPLIT else []


_TAG_KEYS = ("add", "remove")
_KEYS_OF: Mapping[StepKind, tuple[str, ...]] = {
    StepKind.MESSAGE: ("text", "buttons", "expires"),
    StepKind.WAIT: (),
    StepKind.BRANCH: ("then", "else"),
    StepKind.SPLIT: ("arms",),
    StepKind.TAG: _TAG_KEYS,
    StepKind.HANDOVER: ("to", "note"),
    StepKind.EXIT: ("reason",),
}


def _wait_after(reader: _Reader, node: CommentedMap) -> Wait:
    reader.known(node, "after")
    return Wait(duration=reader.get(node, "after", values.duration, timedelta(0)))


def _wait_at(reader: _Reader, node: CommentedMap) -> Wait:
    reader.known(node, "at", "plus_days", "on")
    return Wait(
        kind=WaitKind.AT,
        at=reader.get(node, "at", values.local_time, time(0)),
        plus_days=reader.get(node, "plus_days", values.number(0, 366), 0),
        days=reader.get(node, "on", values.days, EVERY_DAY),
    )


def _wait_before(reader: _Reader, node: CommentedMap) -> Wait:
    reader.known(node, "before_next_session", "if_past")
    return Wait(
        kind=WaitKind.BEFORE_NEXT_SESSION,
        duration=reader.get(node, "before_next_session", values.duration, timedelta(0)),
        if_past=reader.get(node, "if_past", values.choice("skip", "send"), "skip"),
    )


def _wait_until(reader: _Reader, node: CommentedMap) -> Wait:
    reader.known(node, "until_event", "or_after")
    return Wait(
        kind=WaitKind.UNTIL_EVENT,
        event=reader.get(node, "until_event", values.choice(*WAIT_EVENTS), ""),
        duration=reader.need(node, "or_after", values.duration, timedelta(0)),
    )


_WAITS: Mapping[WaitKind, Callable[[_Reader, CommentedMap], Wait]] = {
    WaitKind.AFTER: _wait_after,
    WaitKind.AT: _wait_at,
    WaitKind.BEFORE_NEXT_SESSION: _wait_before,
    WaitKind.UNTIL_EVENT: _wait_until,
}
