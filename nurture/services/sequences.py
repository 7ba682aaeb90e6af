"""Sequences in the tables: import as a draft, publish for good, write out again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Max

import delivery.services
from nurture import sequence_files
from nurture.domain import sequence as values
from nurture.domain.reasons import Reason
from nurture.domain.storage import (
    condition_from_json,
    condition_to_json,
    options_from_json,
    options_to_json,
    wait_from_json,
    wait_to_json,
)
from nurture.models import (
    OPEN,
    AttendanceTrigger,
    Journey,
    Sequence,
    SequenceVersion,
    Step,
    VersionStatus,
)
from nurture.services.endings import exit_journey

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@dataclass(frozen=True, kw_only=True)
class ImportResult:
    """What an import did: `changed` is False where the file says what is there already."""

    sequence: Sequence
    version: SequenceVersion
    changed: bool


class UnknownSequenceError(LookupError):
    """There is no sequence of this slug, or nothing of it to do this with."""


@transaction.atomic
def import_sequence(*, source: str, now: datetime, by: User | None = None) -> ImportResult:
    """Read a file into the draft of its sequence.

    Raises sequence_files.SequenceFileError with every problem and its line; nothing is written
    then. The same content as the draft, or as what is published while there is no draft, changes
    nothing, so it is safe to run twice.
    """
    spec = sequence_files.read(source)
    canonical = sequence_files.write(spec)
    checksum = hashlib.sha256(canonical.encode()).hexdigest()
    sequence, _ = Sequence.objects.get_or_create(
        slug=spec.slug, defaults={"name": spec.name, "mode": spec.mode.value}
    )
    sequence = Sequence.objects.select_for_update(no_key=True).get(pk=sequence.pk)
    present = sequence.draft_version or sequence.published_version
    if present is not None and present.checksum == checksum:
        return ImportResult(sequence=sequence, version=present, changed=False)
    if sequence.draft_version is not None:
        sequence.draft_version.delete()
    version = _write_version(sequence, spec, canonical=canonical, checksum=checksum, now=now, by=by)
    Sequence.objects.filter(pk=sequence.pk).update(draft_version=version)
    sequence.refresh_from_db()
    return ImportResult(sequence=sequence, version=version, changed=True)


def _write_version(
    sequence: Sequence,
    spec: values.SequenceSpec,
    *,
    canonical: str,
    checksum: str,
    now: datetime,
    by: User | None,
) -> SequenceVersion:
    last = sequence.versions.aggregate(number=Max("number"))["number"] or 0
    version = SequenceVersion.objects.create(
        sequence=sequence,
        number=last + 1,
        source=canonical,
        checksum=checksum,
        name=spec.name,
        category=spec.category,
        entry_key=spec.entry.key.value,
        again=spec.entry.again.value,
        again_after=spec.entry.again_after,
        open_limit=spec.entry.open,
        window_opens=spec.window.opens if spec.window else None,
        window_closes=spec.window.closes if spec.window else None,
        window_days=spec.window.days if spec.window else values.EVERY_DAY,
        exit_when=list(spec.exit_when),
        priority=spec.priority,
        cap_per_day=spec.cap_per_day,
        holdout=spec.holdout,
        created_at=now,
        created_by=by,
    )
    _write_parts(version, spec)
    return version


def _write_parts(version: SequenceVersion, spec: values.SequenceSpec) -> None:
    Step.objects.bulk_create(
        _step_row(version, position, step) for position, step in enumerate(spec.steps)
    )
    AttendanceTrigger.objects.bulk_create(
        AttendanceTrigger(
            version=version,
            position=position,
            fact=trigger.fact.value,
            course=trigger.course,
            times=trigger.times,
        )
        for position, trigger in enumerate(spec.triggers)
    )


def _step_row(version: SequenceVersion, position: int, step: values.Step) -> Step:
    return Step(
        version=version,
        position=position,
        key=step.key,
        kind=step.kind.value,
        enabled=step.enabled,
        wait=wait_to_json(step.wait),
        when=condition_to_json(step.when) if step.when else None,
        text=step.text,
        texts=dict(step.texts),
        buttons=[[list(button) for button in row] for row in step.buttons],
        expires=step.expires,
        options=options_to_json(step.options),
    )


@transaction.atomic
def publish(*, sequence: Sequence, now: datetime, by: User | None = None) -> SequenceVersion:
    """Make the draft what new journeys run on; journeys under way keep their version.

    The mode of the file is applied: where it is not live, journeys under way end
    (`sequence_stopped`) and what they owe is withdrawn. Without a draft, what is published stays
    published (safe to run twice). Raises UnknownSequenceError where there is neither.
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
    spec = sequence_files.read(draft.source)
    Sequence.objects.filter(pk=sequence.pk).update(
        published_version=draft, draft_version=None, name=draft.name, mode=spec.mode.value
    )
    delivery.services.ensure_stream(sequence.slug)
    if spec.mode is not values.Mode.LIVE:
        _end_journeys(sequence, now)
    return draft


def _end_journeys(sequence: Sequence, now: datetime) -> None:
    running = Journey.objects.filter(sequence=sequence, status__in=OPEN).order_by("id")
    for journey in running.select_for_update(no_key=True):
        exit_journey(journey=journey, reason=Reason.SEQUENCE_STOPPED, now=now)


def export(*, slug: str) -> str:
    """The file of a sequence: what is published, or its draft where nothing is.

    Raises UnknownSequenceError.
    """
    sequence = Sequence.objects.filter(slug=slug).first()
    version = sequence and (sequence.published_version or sequence.draft_version)
    if not version:
        raise UnknownSequenceError(f"there is no sequence {slug!r}")
    return version.source


def spec_of(version: SequenceVersion) -> values.SequenceSpec:
    """A version as values. Prefetch its steps and triggers to ask for many at once."""
    window = None
    if version.window_opens is not None and version.window_closes is not None:
        window = values.Window(
            opens=version.window_opens, closes=version.window_closes, days=version.window_days
        )
    steps = sorted(version.steps.all(), key=lambda row: row.position)
    triggers = sorted(version.triggers.all(), key=lambda row: row.position)
    return values.SequenceSpec(
        slug=version.sequence.slug,
        name=version.name,
        category=version.category,
        entry=values.Entry(
            key=values.EntryKey(version.entry_key),
            again=values.Again(version.again),
            again_after=version.again_after,
            open=version.open_limit,
        ),
        window=window,
        triggers=tuple(
            values.Trigger(fact=values.Fact(row.fact), course=row.course, times=row.times)
            for row in triggers
        ),
        exit_when=tuple(version.exit_when),
        steps=tuple(_step(row) for row in steps),
        priority=version.priority,
        cap_per_day=version.cap_per_day,
        holdout=version.holdout,
        mode=values.Mode(version.sequence.mode),
    )


def _step(row: Step) -> values.Step:
    return values.Step(
        key=row.key,
        kind=values.StepKind(row.kind),
        enabled=row.enabled,
        wait=wait_from_json(row.wait),
        when=condition_from_json(row.when) if row.when else None,
        text=row.text,
        texts=row.texts,
        buttons=tuple(tuple((b[0], b[1]) for b in line) for line in row.buttons),
        expires=row.expires,
        options=options_from_json(row.options),
    )
