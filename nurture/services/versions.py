"""A version in the tables, and as the values that the domain knows."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from django.db.models import Max

from nurture.domain import sequence as values
from nurture.domain.storage import (
    condition_from_json,
    condition_to_json,
    options_from_json,
    options_to_json,
    wait_from_json,
    wait_to_json,
)
from nurture.models import AttendanceTrigger, Sequence, SequenceVersion, Step, VersionStatus

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def write_version(
    sequence: Sequence,
    spec: values.SequenceSpec,
    *,
    canonical: str,
    checksum: str,
    now: datetime,
    by: User | None,
) -> SequenceVersion:
    """Keep a spec as the next draft version of its sequence, with steps and triggers."""
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
        capped=spec.capped.value,
        outside_hours=spec.outside_hours.value,
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


#: What published versions say, by checksum: they never change.
_PUBLISHED: dict[str, values.SequenceSpec] = {}
_MOST = 500


def spec_of(version: SequenceVersion) -> values.SequenceSpec:
    """A version as values, with the mode that its sequence has now."""
    spec = _PUBLISHED.get(version.checksum) or _read(version)
    if version.status != VersionStatus.DRAFT:
        if len(_PUBLISHED) >= _MOST:
            forget()
        _PUBLISHED[version.checksum] = spec
    return replace(spec, mode=values.Mode(version.sequence.mode))


def forget() -> None:
    """Drop what is remembered of published versions, so that the tables are read again."""
    _PUBLISHED.clear()


def _read(version: SequenceVersion) -> values.SequenceSpec:
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
        capped=values.Capped(version.capped),
        outside_hours=values.Hours(version.outside_hours),
        holdout=version.holdout,
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
