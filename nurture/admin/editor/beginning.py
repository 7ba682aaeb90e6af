"""How a sequence begins: blank, like one of the bundled ones, or like one that there is."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from nurture import sequence_files, sequence_values, services
from nurture.domain.sequence import Fact, Mode, SequenceSpec, Step, Trigger
from nurture.models import Sequence

if TYPE_CHECKING:
    from django.contrib.auth.models import User

_BUNDLED = Path(sequence_files.__file__).parent / "sequences"
_HELLO = "Hi {{ first_name | default: 'there' }}, we missed you in <b>{{ session_title }}</b>."


def blank(slug: str, name: str) -> str:
    """The file of a sequence that says one thing."""
    steps = (Step(key="hello", text=_HELLO, buttons=((("I was there", "dispute"),),)),)
    triggers = (Trigger(fact=Fact.MISSED),)
    return sequence_files.write(SequenceSpec(slug=slug, name=name, triggers=triggers, steps=steps))


def origins() -> list[tuple[str, str, str]]:
    """What a sequence may begin like: a name for the form, its title, what it is for."""
    bundled = [
        (f"file:{path.stem}", sequence_files.read(text).name, _purpose(text))
        for path in sorted(_BUNDLED.glob("*.yaml"))
        for text in (path.read_text(encoding="utf-8"),)
    ]
    there = [
        (f"row:{row.pk}", f"A copy of {row.name}", "with all its steps and rules")
        for row in Sequence.objects.order_by("name")
    ]
    return [("", "Blank", "one message after a missed class, to write over"), *bundled, *there]


def _purpose(text: str) -> str:
    """What a bundled file says of itself in its first line."""
    return text.partition("\n")[0].removeprefix("#").strip() if text.startswith("#") else ""


def begin(*, name: str, slug: str, like: str, by: User, now: datetime) -> Sequence | list[str]:
    """Make the sequence with its first draft; return what stands in the way otherwise."""
    problems = [] if name.strip() else ["Give it a name."]
    if len(name.strip()) > sequence_values.LONGEST_NAME:
        problems.append(f"Its name: at most {sequence_values.LONGEST_NAME} characters.")
    try:
        sequence_values.slug(slug)
    except ValueError as error:
        problems.append(f"Its short name: {error}.")
    if Sequence.objects.filter(slug=slug).exists():
        problems.append(f"There is a sequence {slug!r} already; choose another short name.")
    source = _source(like)
    if source is None:
        problems.append("Choose what it begins like.")
    if problems or source is None:
        return problems
    spec = replace(sequence_files.read(source), slug=slug, name=name.strip(), mode=Mode.LIVE)
    made = services.import_sequence(source=sequence_files.write(spec), now=now, by=by)
    return made.sequence


def _source(like: str) -> str | None:
    if not like:
        return blank("blank", "Blank")
    kind, _, which = like.partition(":")
    if kind == "row" and which.isascii() and which.isdigit() and len(which) < 18:
        row = Sequence.objects.filter(pk=int(which)).first()
        version = row and (row.draft_version or row.published_version)
        return version.source if version else None
    known = {path.stem: path for path in _BUNDLED.glob("*.yaml")}
    return known[which].read_text(encoding="utf-8") if kind == "file" and which in known else None
