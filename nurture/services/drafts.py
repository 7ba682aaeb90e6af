"""The draft of a sequence: saved only onto what its writer saw (P29)."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import transaction

from nurture import sequence_files
from nurture.domain.difference import Difference, difference
from nurture.domain.sequence import SequenceSpec
from nurture.models import EditKind, Sequence, SequenceEdit, SequenceVersion
from nurture.services.versions import write_version

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class DraftChangedError(RuntimeError):
    """Somebody else saved meanwhile. Nothing was written.

    `difference`: from what stands there now to what was to be saved; `present`: what stands there;
    `meanwhile`: what the other one changed, where what the writer saw is on record.
    """

    def __init__(
        self, found: Difference, present: SequenceVersion, meanwhile: Difference | None = None
    ) -> None:
        by = present.created_by.get_username() if present.created_by else "somebody"
        super().__init__(
            f"{by} saved this sequence meanwhile; nothing of yours was written. "
            f"Yours differs from it in:\n{found}"
            + (f"\nMeanwhile this was changed:\n{meanwhile}" if meanwhile else "")
        )
        self.difference = found
        self.present = present
        self.meanwhile = meanwhile


def checksum_of(version: SequenceVersion | None) -> str:
    """What a page must hand to save_draft later; "" where there is nothing yet."""
    return version.checksum if version else ""


@transaction.atomic
def save_draft(
    *,
    sequence: Sequence,
    source: str,
    expected_checksum: str,
    by: User | None,
    now: datetime,
    kind: EditKind = EditKind.SAVED,
) -> SequenceVersion:
    """Make `source` the draft of its sequence, if nobody else saved in between.

    `expected_checksum`: of the draft that the writer saw, of what is published where there was no
    draft, or "" where there was neither. Raises DraftChangedError where something else stands
    there now, and sequence_files.SequenceFileError with every problem of the source; nothing is
    written then. The same content again changes nothing, whatever was expected, so it is safe to
    run twice.
    """
    spec = sequence_files.read(source)
    if spec.slug != sequence.slug:
        said = f"the sequence is called {sequence.slug!r} and keeps that name"
        raise sequence_files.SequenceFileError([sequence_files.Problem(line=1, message=said)])
    sequence = Sequence.objects.select_for_update(no_key=True).get(pk=sequence.pk)
    present = sequence.draft_version or sequence.published_version
    canonical, checksum = canonical_of(spec)
    if present is not None and present.checksum == checksum:
        return present
    if present is not None and present.checksum != expected_checksum:
        theirs = sequence_files.read(present.source)
        seen = sequence.edits.filter(checksum=expected_checksum).order_by("-pk").first()
        meanwhile = difference(sequence_files.read(seen.source), theirs) if seen else None
        raise DraftChangedError(difference(theirs, spec), present, meanwhile)
    version = replace_draft(sequence, spec, canonical, checksum, now=now, by=by)
    note_edit(kind, version=version, now=now, by=by)
    return version


def revert(
    *, sequence: Sequence, source: str, expected_checksum: str, by: User | None, now: datetime
) -> SequenceVersion:
    """Make an older state the draft again; as `save_draft`, and told apart in the history."""
    return save_draft(
        sequence=sequence, source=source, expected_checksum=expected_checksum, by=by, now=now,
        kind=EditKind.REVERTED,
    )  # fmt: skip


def note_edit(
    kind: EditKind,
    *,
    version: SequenceVersion,
    now: datetime,
    by: User | None,
    inputs: dict[str, str] | None = None,
    note: str = "",
) -> None:
    """Keep on record what was done to a sequence, in the transaction that does it."""
    SequenceEdit.objects.create(
        sequence_id=version.sequence_id, kind=kind, number=version.number, source=version.source,
        checksum=version.checksum, inputs=inputs or {}, note=note, at=now, by=by,
    )  # fmt: skip


def canonical_of(spec: SequenceSpec) -> tuple[str, str]:
    """The one file that says this, and its checksum (SHA-256)."""
    canonical = sequence_files.write(spec)
    return canonical, hashlib.sha256(canonical.encode()).hexdigest()


def replace_draft(
    sequence: Sequence,
    spec: SequenceSpec,
    canonical: str,
    checksum: str,
    *,
    now: datetime,
    by: User | None,
) -> SequenceVersion:
    """Put a new draft in the place of the old one; the sequence is locked by the caller."""
    if sequence.draft_version is not None:
        sequence.draft_version.delete()
    version = write_version(sequence, spec, canonical=canonical, checksum=checksum, now=now, by=by)
    Sequence.objects.filter(pk=sequence.pk).update(draft_version=version)
    sequence.refresh_from_db()
    return version
