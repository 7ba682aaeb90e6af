"""Sequences in the tables: import as a draft, publish for good, write out again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import transaction

import delivery.services
from nurture import scenario_files, sequence_files
from nurture.domain.reasons import Reason
from nurture.domain.sequence import InFlight, Mode
from nurture.models import EditKind, Scenario, Sequence, SequenceVersion, VersionStatus
from nurture.services.drafts import canonical_of, note_edit, replace_draft
from nurture.services.endings import exit_journey
from nurture.services.in_flight import settle_in_flight
from nurture.services.journeys import locked, open_journeys
from nurture.services.scenarios import keep_scenarios
from nurture.services.world import World

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@dataclass(frozen=True, kw_only=True)
class ImportResult:
    """What an import did: `changed` is False where the file says what is there already."""

    sequence: Sequence
    version: SequenceVersion
    changed: bool
    scenarios: int = 0  # written, since they were new or said something else


class UnknownSequenceError(LookupError):
    """There is no sequence of this slug, or nothing of it to do this with."""


@transaction.atomic
def import_sequence(*, source: str, now: datetime, by: User | None = None) -> ImportResult:
    """Read a file into the draft of its sequence, and its scenarios beside those that are there.

    Raises sequence_files.SequenceFileError with every problem and its line; nothing is written
    then. The same content as the draft, or as what is published while there is no draft, changes
    nothing, so it is safe to run twice.
    """
    file = sequence_files.read_file(source)
    spec = file.spec
    canonical, checksum = canonical_of(spec)
    sequence, _ = Sequence.objects.get_or_create(
        slug=spec.slug, defaults={"name": spec.name, "mode": spec.mode.value}
    )
    sequence = Sequence.objects.select_for_update(no_key=True).get(pk=sequence.pk)
    kept = keep_scenarios(sequence=sequence, scenarios=file.scenarios, now=now, by=by)
    present = sequence.draft_version or sequence.published_version
    if present is not None and present.checksum == checksum:
        return ImportResult(sequence=sequence, version=present, changed=kept > 0, scenarios=kept)
    version = replace_draft(sequence, spec, canonical, checksum, now=now, by=by)
    note_edit(EditKind.IMPORTED, version=version, now=now, by=by)
    return ImportResult(sequence=sequence, version=version, changed=True, scenarios=kept)


@transaction.atomic
def publish(
    *,
    sequence: Sequence,
    now: datetime,
    by: User | None = None,
    in_flight: InFlight = InFlight.FINISH,
    mode: Mode | None = None,
    note: str = "",
) -> SequenceVersion:
    """Make the draft what new journeys run on; `in_flight` says what those under way do.

    `mode`: None = that of the file. Where it changes, or is off, journeys under way end
    (`sequence_stopped`) and what they owe is withdrawn. Without a draft, what is published stays
    published (safe to run twice). Raises UnknownSequenceError where there is neither. What a
    person should see before is in services/publishing.py.
    """
    sequence = Sequence.objects.select_for_update(no_key=True).get(pk=sequence.pk)
    draft = sequence.draft_version
    if draft is None:
        if sequence.published_version is None:
            raise UnknownSequenceError(f"{sequence.slug} has no draft to publish; import one")
        return sequence.published_version
    SequenceVersion.objects.filter(sequence=sequence, status=VersionStatus.PUBLISHED).update(
        status=VersionStatus.RETIRED
    )
    draft.status, draft.published_at, draft.published_by = VersionStatus.PUBLISHED, now, by
    draft.save(update_fields=["status", "published_at", "published_by"])
    before, after = Mode(sequence.mode), mode or sequence_files.read(draft.source).mode
    Sequence.objects.filter(pk=sequence.pk).update(
        published_version=draft, draft_version=None, name=draft.name, mode=after.value
    )
    delivery.services.ensure_stream(sequence.slug)
    if after is before and after is not Mode.STOPPED:
        settle_in_flight(sequence=sequence, version=draft, policy=in_flight, now=now)
    else:
        _end_journeys(sequence, now)
    chosen = {"in_flight": in_flight.value, "mode": after.value}
    note_edit(EditKind.PUBLISHED, version=draft, now=now, by=by, inputs=chosen, note=note)
    return draft


@transaction.atomic
def set_mode(*, sequence: Sequence, mode: Mode, now: datetime, by: User | None = None) -> bool:
    """Switch a sequence off, to pretend, or live; return whether that changed anything.

    Journeys that began in the other mode end (`sequence_stopped`), and what they owe is
    withdrawn: nobody hears the end of what was only pretended, or the other way round. Raises
    UnknownSequenceError where nothing is published. Safe to run twice.
    """
    sequence = Sequence.objects.select_for_update(no_key=True).get(pk=sequence.pk)
    version = sequence.published_version
    if version is None:
        raise UnknownSequenceError(f"{sequence.slug} is not published; it has no mode yet")
    if sequence.mode == mode:
        return False
    Sequence.objects.filter(pk=sequence.pk).update(mode=mode.value)
    _end_journeys(sequence, now)
    note_edit(
        EditKind.MODE, version=version, now=now, by=by,
        inputs={"before": sequence.mode, "mode": mode.value},
    )  # fmt: skip
    return True


def _end_journeys(sequence: Sequence, now: datetime) -> None:
    world = World(now=now)
    for journey in locked(open_journeys().filter(sequence=sequence)):
        exit_journey(journey=journey, reason=Reason.SEQUENCE_STOPPED, world=world)
    world.writes.write()


def export(*, slug: str) -> str:
    """The file of a sequence: what is published, or its draft where nothing is; its scenarios.

    Raises UnknownSequenceError.
    """
    sequence = Sequence.objects.filter(slug=slug).first()
    version = sequence and (sequence.published_version or sequence.draft_version)
    if not version:
        raise UnknownSequenceError(f"there is no sequence {slug!r}")
    stories = Scenario.objects.filter(sequence=sequence).order_by("name")
    return version.source + scenario_files.write(row.value for row in stories)
