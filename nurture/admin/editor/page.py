"""The page: what stands in the form, put into rows and columns, with what can be said of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from django.forms import BoundField
from django.utils.datastructures import MultiValueDict

from attendance.models import Course
from nurture.admin.editor import fields
from nurture.admin.editor.document import GROUPS, VALUED, languages_of
from nurture.admin.editor.draft import Draft
from nurture.admin.editor.state import State, fields_of, part, rows, said
from nurture.domain import wording
from nurture.domain.example import Coming, coming
from nurture.domain.lint import Finding, lint
from nurture.domain.sequence import Step

#: Ann, who reads the examples: in Berlin, with a class a week from now.
ANNS_ZONE = ZoneInfo("Europe/Berlin")
ANNS_CLASS = time(18)
BEGINS = 60
GROUPS_TO = 2  # so deep groups of conditions are offered; deeper ones of a file are kept

Fields = Mapping[str, BoundField]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One of several: where it is, and its fields."""

    path: str
    f: Fields
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Question:
    """A condition, with those in it."""

    path: str
    f: Fields
    kind: str  # "", leaf, valued, not, all, any
    parts: tuple[Question, ...] = ()
    first: bool = False


@dataclass(frozen=True, kw_only=True)
class StepRow:
    """One step."""

    path: str
    place: int
    key: str
    removed: bool
    kind: str
    enabled: bool
    f: Fields
    texts: tuple[tuple[str, BoundField], ...]
    buttons: tuple[Row, ...]
    arms: tuple[Row, ...]
    when: Question
    hidden: tuple[tuple[str, str], ...] = ()  # all that was typed, for a step that was taken out
    step: Step | None = None
    next: Coming | None = None
    problems: tuple[str, ...] = ()
    wrong_buttons: tuple[str, ...] = ()
    wrong_arms: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def delay(self) -> str:
        """When it is due, in words."""
        return wording.wait(self.step.wait) if self.step else "–"

    @property
    def example(self) -> str:
        """When it would come for Ann."""
        if self.next is None:
            return "–"
        if self.next.at is None:
            return self.next.why
        there = self.next.at.astimezone(ANNS_ZONE)
        return f"{'at the latest ' if self.next.latest else ''}{there:%a %d %b %H:%M}"

    @property
    def begins(self) -> str:
        """What it says, or does, so far as there is room."""
        said = self.step.text if self.step and self.step.text else ""
        line = " ".join(said.split())
        return line[:BEGINS] + ("…" if len(line) > BEGINS else "")


@dataclass
class Page:
    """One look at the form."""

    state: State
    now: datetime
    draft: Draft = field(init=False)

    def __post_init__(self) -> None:
        self.draft = Draft(self.state)

    @property
    def problems(self) -> list[tuple[str, str]]:
        """Every problem with the id of its field, for the list on top."""
        return [
            (f"id_{self._nearest(path)}", f"{self._step_of(path)}{message}")
            for path, messages in self.draft.problems.items()
            for message in messages
        ]

    def _step_of(self, path: str) -> str:
        """Which step a problem is about, in front of it."""
        first, _, rest = path.partition(".")
        key = said(part(self.state, f"steps.{rest.partition('.')[0]}"), "key")
        return f"{key}: " if first == "steps" and key else ""

    def _nearest(self, path: str) -> str:
        """The path of a field, or of the row that a problem is about."""
        known = {field.html_name for field in self._everywhere()}
        return path if path in known or path.rpartition(".")[2] in {"buttons", "arms"} else "name"

    def _everywhere(self) -> Iterator[BoundField]:
        yield from self.header.values()
        for trigger in self.triggers:
            yield from trigger.f.values()
        for step in self.steps:
            yield from step.f.values()
            yield from step.when.f.values()

    @cached_property
    def _data(self) -> MultiValueDict[str, str]:
        return fields_of(self.state)

    def _fields(self, known: Mapping[str, Any], path: str = "") -> Fields:
        return fields.Part(known, self._data, path, self.draft.problems).by_name()

    @cached_property
    def header(self) -> Fields:
        """The fields of the sequence as a whole."""
        return self._fields(fields.header())

    @cached_property
    def rules(self) -> Mapping[str, str]:
        """What it says besides its steps, in words; courses by their titles."""
        said = wording.rules(self.draft.spec) if self.draft.spec else {}
        starts = said.get("Starts on", "")
        for calendar, title in self._courses:
            starts = starts.replace(calendar, title)
        return said | ({"Starts on": starts} if starts else {})

    @cached_property
    def triggers(self) -> list[Row]:
        """What starts it."""
        return [
            Row(path=path, f=self._fields(fields.trigger(self._courses), path))
            for path in (f"triggers.{number}" for number in rows(self.state, "triggers"))
        ]

    @cached_property
    def _courses(self) -> fields.Choices:
        rows = Course.objects.filter(active=True).order_by("title")
        return [(course.calendar_id, course.title or course.calendar_id) for course in rows]

    @cached_property
    def languages(self) -> list[str]:
        """The languages besides the first."""
        return languages_of(self.state)

    @cached_property
    def steps(self) -> list[StepRow]:
        """The steps, those taken out among them, where they were."""
        spec = self.draft.spec
        known = {step.key: step for step in spec.steps} if spec else {}
        moments = dict(zip(known, self._moments(), strict=False))
        found = lint(spec) if spec and not self.draft.problems else []
        made, place = [], 0
        for number, state in rows(self.state, "steps").items():
            place += not state.get("removed")
            key = said(state, "key")
            made.append(
                self._step(
                    number, state, place, step=known.get(key), next=moments.get(key),
                    findings=tuple(finding for finding in found if finding.step == key),
                )
            )  # fmt: skip
        return made

    def _moments(self) -> list[Coming]:
        there = self.now.astimezone(ANNS_ZONE)
        ahead = datetime.combine(
            there.date() + timedelta(days=7), ANNS_CLASS, tzinfo=ANNS_ZONE
        ).astimezone(self.now.tzinfo)
        spec = self.draft.spec
        if spec is None or any(".wait" in path for path in self.draft.problems):
            return []
        return list(coming(spec, now=self.now, zone=ANNS_ZONE, next_session=ahead))

    def _step(self, number: str, state: State, place: int, **more: Any) -> StepRow:
        path = f"steps.{number}"
        following = self._following(number)
        f = self._fields(fields.step(following, self.languages), path)
        return StepRow(
            path=path,
            place=place,
            key=said(state, "key"),
            removed=bool(state.get("removed")),
            kind=said(state, "kind"),
            enabled=bool(state.get("enabled")),
            f=f,
            texts=tuple((code, f[f"texts_{code}"]) for code in self.languages),
            buttons=tuple(self._button_rows(path)),
            arms=tuple(
                Row(path=inner, f=self._fields(fields.arm(following), inner))
                for inner in (f"{path}.arms.{arm}" for arm in rows(state, "arms"))
            ),
            when=self._question(f"{path}.when", part(state, "when"), depth=0),
            hidden=tuple(
                (name, value)
                for name, values in fields_of(state, f"{path}.").lists()
                for value in values
            ),
            problems=tuple(
                message
                for at, messages in self.draft.problems.items()
                if at.startswith(f"{path}.")
                for message in messages
            ),
            wrong_buttons=tuple(self.draft.problems.get(f"{path}.buttons", ())),
            wrong_arms=tuple(self.draft.problems.get(f"{path}.arms", ())),
            **more,
        )

    def _following(self, number: str) -> fields.Choices:
        steps = list(rows(self.state, "steps").items())
        at = [key for key, _ in steps].index(number)
        keys = (said(row, "key") for _, row in steps[at + 1 :] if not row.get("removed"))
        return [(key, key) for key in keys]

    def _button_rows(self, path: str) -> Iterator[Row]:
        for line, state in rows(part(self.state, path), "buttons").items():
            at = f"{path}.buttons.{line}"
            inner = (f"{at}.row.{button}" for button in rows(state, "row"))
            yield Row(
                path=at, f={},
                rows=tuple(Row(path=one, f=self._fields(fields.button(), one)) for one in inner),
            )  # fmt: skip

    def _question(self, path: str, state: State, *, depth: int) -> Question:
        kind = said(state, "is")
        inner = rows(state, "parts") if kind in GROUPS else {}
        return Question(
            path=path,
            f=self._fields(fields.question(groups=depth < GROUPS_TO or kind in GROUPS), path),
            kind=kind if kind in GROUPS else "valued" if kind in VALUED else "leaf" if kind else "",
            parts=tuple(
                self._question(f"{path}.parts.{number}", row, depth=depth + 1)
                for number, row in inner.items()
            ),
            first=depth == 0,
        )

    @property
    def findings(self) -> list[Finding]:
        """What is odd in the whole sequence, though its file is correct."""
        spec = self.draft.spec
        found = lint(spec) if spec and not self.draft.problems else []
        return [finding for finding in found if not finding.step]
