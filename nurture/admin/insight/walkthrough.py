"""One learner through a version with a moved clock: when they hear what, and why then (P23)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings
from django.db.models import Q
from django.http import HttpResponse
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

from attendance.models import Learner
from delivery.clock import now
from nurture.admin.insight.frame import Page, explained, long_words
from nurture.domain import wording
from nurture.domain.reasons import Reason
from nurture.domain.schedule import zone_of
from nurture.domain.timing import Clocks, Shut, clocks_at, shift_between
from nurture.markup import problems
from nurture.models import SequenceVersion
from nurture.services.simulation import (
    Answer,
    AnswerKind,
    Line,
    NextClass,
    NotSimulatedError,
    Persona,
    Walk,
    walk,
)
from nurture.services.versions import spec_of

PERSONAS: Mapping[str, tuple[str, Persona]] = {
    "ann": ("Ann, Berlin", Persona(name="Ann Berg", zone="Europe/Berlin", language="en")),
    "luz": (
        "Luz, Lima, quiet from 22 to 8, reads Spanish",
        Persona(name="Luz Rojas", zone="America/Lima", language="es", quiet=(time(22), time(8))),
    ),
    "dev": ("Dev, Kolkata, half an hour off", Persona(name="Dev Rao", zone="Asia/Kolkata")),
    "omar": (
        "عمر, Cairo, a name from right to left",
        Persona(name="عمر الفاروق", zone="Africa/Cairo", language="ar"),
    ),
    "nameless": ("somebody without a name, New York", Persona(name="", zone="America/New_York")),
    "long": (
        "a very long name, Sydney",
        Persona(name="Maximiliana-Alexandrina " * 4 + "O'Hara 🎉", zone="Australia/Sydney"),
    ),
}
ANSWERS = {
    AnswerKind.REPLIED: "writes something",
    AnswerKind.PLEDGED: "says: I come next time",
    AnswerKind.DISPUTED: "says: I was there",
    AnswerKind.STOPPED: "says stop",
    AnswerKind.BLOCKED: "blocks the bot",
}
NEXT = {
    NextClass.OPEN: "not known",
    NextClass.ATTENDS: "they come",
    NextClass.MISSES: "they miss it",
}
SHUT = {
    Shut.WINDOW: "outside the hours of the sequence",
    Shut.QUIET: "in their quiet hours",
    Shut.BOTH: "outside the hours of the sequence, and in their quiet hours",
}
CLOCKS = {
    Clocks.GAP: "The clocks go forward there on that day and leave that time out: it is the first"
    " moment after the gap.",
    Clocks.TWICE: "The clocks go back there on that day, and this time comes twice: it is the"
    " first.",
}
#: How long after a message an answer is given.
AFTER = timedelta(hours=1)
MOST_ANSWERS = 20
MOST_FOUND = 10
YEARS = 20
#: Inputs that are told elsewhere, or by a row's number only.
_DULL = frozenset({"due_at", "class", "round"})
_STAMP = "%Y-%m-%dT%H:%M"


@dataclass
class _Asked:
    """What the form says."""

    page: Page
    version: SequenceVersion
    problems: list[str] = field(default_factory=list)
    found: list[Learner] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.who = self.page.asked("who", "ann")
        self.whom = self._whom()
        self.zone = self._zone()
        self.start = self._start()
        self.answers = self._answers()
        said = self.page.asked("next")
        position = self.page.asked("trigger", "0")
        self.trigger = int(position) if position.isdecimal() and len(position) < 4 else 0
        self.next_class = NextClass(said) if said in set(NextClass) else NextClass.OPEN

    def _whom(self) -> Persona | Learner | None:
        if self.who != "learner":
            return self._persona()
        words = self.page.asked("learner")
        rows = Learner.objects.filter(Q(email__iexact=words) | Q(name__words=words))
        self.found = list(rows.select_related("contact").order_by("email_key")[: MOST_FOUND + 1])
        exact = [row for row in self.found if row.email.lower() == words.lower()]
        if words and len(exact or self.found) == 1:
            return (exact or self.found)[0]
        if not words or not self.found:
            self.problems.append(f"No learner is called {words!r}." if words else "Name a learner.")
        return None

    def _persona(self) -> Persona:
        _, known = PERSONAS.get(self.who, PERSONAS["ann"])
        zone = self.page.asked("zone") or known.zone
        if zone not in available_timezones():
            self.problems.append(f"{zone!r} is no time zone; try Europe/Berlin.")
            zone = known.zone
        quiet = self._clock("quiet_from"), self._clock("quiet_to")
        if (quiet[0] is None) != (quiet[1] is None):
            self.problems.append("Quiet hours need both a beginning and an end.")
        both = (quiet[0], quiet[1]) if quiet[0] is not None and quiet[1] is not None else None
        return Persona(
            name=known.name,
            zone=zone,
            language=self.page.asked("language")[:8] or known.language,
            quiet=both or known.quiet,
        )

    def _clock(self, name: str) -> time | None:
        said = self.page.asked(name)
        try:
            return time.fromisoformat(said) if said else None
        except ValueError:
            self.problems.append(f"{said!r} is no time of day.")
            return None

    def _zone(self) -> ZoneInfo:
        contact = getattr(self.whom, "contact", None)
        name = self.whom.zone if isinstance(self.whom, Persona) else contact and contact.time_zone
        return zone_of(name or "", "", settings.TIME_ZONE)

    def _start(self) -> datetime:
        said = self.page.asked("start")
        try:
            local = datetime.fromisoformat(said) if said else None
        except ValueError:
            self.problems.append(f"{said!r} is no date and time.")
            local = None
        if local is None:
            return now().replace(second=0, microsecond=0)
        present = now()
        if abs(local.year - present.year) > YEARS:
            self.problems.append(f"That is more than {YEARS} years away.")
            return present
        there = local if local.tzinfo else local.replace(tzinfo=self.zone)
        return there.astimezone(UTC)

    def _answers(self) -> list[Answer]:
        found = []
        for said in self.page.request.GET.getlist("answer")[:MOST_ANSWERS]:
            kind, _, at = said.partition("@")
            try:
                found.append(Answer(kind=AnswerKind(kind), at=datetime.fromisoformat(at)))
            except ValueError:
                continue
        return [answer for answer in found if answer.at.tzinfo is not None]


def walkthrough_page(page: Page) -> HttpResponse:
    """Choose who, when and what they answer; see what they hear."""
    version = page.version()
    if version is None:
        return page.show("walkthrough", version=None)
    asked = _Asked(page, version)
    found = _walk(asked)
    return page.show(
        "walkthrough",
        version=version,
        versions=page.versions,
        asked=asked,
        problems=asked.problems,
        candidates=[(row, _with(page, learner=row.email)) for row in asked.found[:MOST_FOUND]]
        if asked.whom is None else [],
        more_candidates=len(asked.found) > MOST_FOUND,
        personas=[(key, words) for key, (words, _) in PERSONAS.items()],
        kinds=NEXT.items(),
        triggers=list(enumerate(map(wording.trigger, spec_of(version).triggers))),
        start=asked.start.astimezone(asked.zone).strftime(_STAMP),
        moments=[
            (words, _with(page, start=at.astimezone(asked.zone).strftime(_STAMP)))
            for words, at in _moments(asked.zone, now())
        ],
        answers=_taken_back(asked),
        walk=found,
        lines=_lines(page, asked, found) if found else [],
        refused=_refused(found) if found else "",
    )  # fmt: skip


def _walk(asked: _Asked) -> Walk | None:
    if asked.whom is None:
        return None
    try:
        return walk(
            version=asked.version, whom=asked.whom, start=asked.start, answers=asked.answers,
            next_class=asked.next_class, trigger=asked.trigger,
        )  # fmt: skip
    except NotSimulatedError as error:
        asked.problems.append(f"{error}.".capitalize())
        return None


def _refused(found: Walk) -> str:
    """Why no run begins; empty if one does."""
    if found.entered:
        return ""
    return explained(found.lines[0].code) if found.lines else "Nothing was decided."


def _moments(zone: ZoneInfo, present: datetime) -> list[tuple[str, datetime]]:
    """Starts worth a look: now, late on a Friday, before the next changes of the clocks."""
    local = present.astimezone(zone)
    friday = local.date() + timedelta(days=(4 - local.weekday()) % 7)
    late = datetime.combine(friday, time(22, 40), tzinfo=zone)
    found = [("now", present.replace(second=0, microsecond=0)), ("Friday, 22:40", late)]
    for days in range(366):
        noon = datetime.combine(local.date() + timedelta(days=days), time(12), tzinfo=zone)
        if moved := shift_between(noon, noon + timedelta(days=1), zone):
            way = "forward" if moved > timedelta(0) else "back"
            found.append((f"{noon:%a %d %b}, the clocks go {way} in the night", noon))
    return found[:4]


def _with(page: Page, **changed: str) -> str:
    """This page with parameters changed."""
    query = page.request.GET.copy()
    for name, value in changed.items():
        query[name] = value
    return f"?{query.urlencode()}"


def _with_answer(page: Page, kind: AnswerKind, at: datetime) -> str:
    query = page.request.GET.copy()
    query.appendlist("answer", f"{kind}@{at.isoformat()}")
    return f"?{query.urlencode()}"


def _taken_back(asked: _Asked) -> list[tuple[str, datetime, str]]:
    """Each answer given, with the address without it."""
    rows = []
    for answer in asked.answers:
        query = asked.page.request.GET.copy()
        kept = [row for row in asked.answers if row is not answer]
        query.setlist("answer", [f"{row.kind}@{row.at.isoformat()}" for row in kept])
        rows.append((ANSWERS[answer.kind], answer.at, f"?{query.urlencode()}"))
    return rows


def _lines(page: Page, asked: _Asked, found: Walk) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = []
    before: datetime | None = None
    for line in found.lines:
        at = line.sent_at or line.planned_for or line.at
        shown.append(
            {
                "line": line,
                "local": _local(at, found.zone),
                "here": _here(at, found.zone),
                "words": _words(line),
                "notes": [*_notes(line, found.zone), *_shifted(before, at, found.zone)],
                "inputs": _inputs(line, found.zone),
                "text": as_shown(line.text),
                "time": f"{at.astimezone(found.zone):%H:%M}",
                "then": [
                    (words, _with_answer(page, kind, at + AFTER))
                    for kind, words in ANSWERS.items()
                ]
                if line.sent_at and len(asked.answers) < MOST_ANSWERS else [],
            }
        )  # fmt: skip
        before = at
    return shown


def _local(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%a %d %b %Y %H:%M %Z}"


def _here(at: datetime, zone: ZoneInfo) -> str:
    """The moment on the clock of whoever looks; empty where that shows the same."""
    local = timezone.localtime(at)
    return "" if local.utcoffset() == at.astimezone(zone).utcoffset() else f"{local:%a %H:%M %Z}"


def _words(line: Line) -> str:
    """What was decided, and what became of it."""
    if line.code != Reason.STEP_PLANNED:
        return explained(line.code)
    if line.status == "sent":
        return "Sent."
    return f"Not sent: {explained(line.reason)}" if line.reason else "Still planned."


def _notes(line: Line, zone: ZoneInfo) -> list[str]:
    """Why it goes when it does."""
    why, said = line.timing, []
    if why is not None and why.due > line.at:
        said.append(f"Its wait is over after {long_words(why.due - line.at)}.")
    if why is not None and why.shut is not None:
        due = why.due.astimezone(zone)
        said.append(f"{due:%a %H:%M} is {SHUT[why.shut]}, so it waits until they open.")
    clocks = why.clocks if why is not None else None
    if why is None and line.planned_for is not None:
        clocks = clocks_at(line.planned_for, zone)
    if clocks is not None:
        said.append(CLOCKS[clocks])
    if line.sent_at and line.planned_for and line.sent_at > line.planned_for:
        said.append("It was put off once more by the last look of the sender.")
    return said


def _shifted(before: datetime | None, at: datetime, zone: ZoneInfo) -> list[str]:
    if before is None or not (moved := shift_between(before, at, zone)):
        return []
    way = "forward" if moved > timedelta(0) else "back"
    return [f"Since the line above the clocks there went {way} by {long_words(abs(moved))}."]


def _inputs(line: Line, zone: ZoneInfo) -> list[tuple[str, str]]:
    """What it was decided from, moments on the learner's clock."""
    return [
        (name.replace("_", " "), _value(value, zone))
        for name, value in line.inputs.items()
        if name not in _DULL
    ]


def _value(value: Any, zone: ZoneInfo) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    return f"{at.astimezone(zone):%a %d %b %H:%M}" if at and at.tzinfo else str(value)


def as_shown(text: str) -> SafeString | str:
    """A text for a bubble: Telegram's own tags as they are, anything else escaped."""
    return mark_safe(text) if text and not problems(text) else text  # noqa: S308 - Telegram's tags
