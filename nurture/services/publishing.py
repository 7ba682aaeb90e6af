"""What a person sees before a draft is published, and the publication that asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as Rows
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import transaction

from nurture import flags
from nurture.domain.difference import Difference, difference
from nurture.domain.lint import Finding, Severity, lint
from nurture.domain.sequence import InFlight, Mode
from nurture.models import OPEN, Journey, Sequence, SequenceVersion
from nurture.services.drafts import checksum_of
from nurture.services.in_flight import InFlightReport, preview_in_flight
from nurture.services.missing import who_would_miss
from nurture.services.scenarios import Played, play_scenarios
from nurture.services.sequences import UnknownSequenceError, publish
from nurture.services.simulation import BlastRadius, blast_radius
from nurture.services.versions import spec_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: An override is said in a sentence, not in a letter.
SHORTEST_REASON, LONGEST_REASON = 10, 500


class NotPublishableError(RuntimeError):
    """The draft may not be published like this. Nothing was written."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """A draft before it is published.

    `blockers` may be overridden with a reason, `refusal` may not.
    """

    draft: SequenceVersion
    difference: Difference
    findings: Rows[Finding]
    played: Rows[Played]
    refusal: str
    missing: Mapping[str, int] | None = None  # None: not counted
    in_flight: Mapping[InFlight, InFlightReport] = field(default_factory=dict)

    @property
    def errors(self) -> list[Finding]:
        """What can never do what it says."""
        return [found for found in self.findings if found.severity is Severity.ERROR]

    @property
    def failed(self) -> list[Played]:
        """The scenarios that do not come out as told."""
        return [one for one in self.played if not one.passed]

    @property
    def blockers(self) -> list[str]:
        """Why it is not published without a reason."""
        return [
            *(f"{found.step}: {found.message}".removeprefix(": ") for found in self.errors),
            *(f"The scenario “{one.scenario.name}” fails." for one in self.failed),
        ]


def look(*, sequence: Sequence, by: User | None) -> Look:
    """The difference, what is odd, how the scenarios come out, and who may not publish.

    Nothing is written. Raises UnknownSequenceError where there is no draft.
    """
    draft = sequence.draft_version
    if draft is None:
        raise UnknownSequenceError(f"{sequence.slug} has no draft to publish")
    published = sequence.published_version
    spec = spec_of(draft)
    return Look(
        draft=draft,
        difference=difference(spec_of(published) if published else None, spec),
        findings=lint(spec),
        played=play_scenarios(version=draft),
        refusal=_refusal(draft, by),
    )


def look_closely(
    *, sequence: Sequence, by: User | None, now: datetime, count_missing: bool = True
) -> Look:
    """As `look`, with whom it would fail to reach and what becomes of the journeys under way.

    `count_missing`: each text is rendered for each learner; that takes time for many.
    """
    found = look(sequence=sequence, by=by)
    return Look(
        **vars(found)
        | {
            "missing": who_would_miss(version=found.draft, now=now) if count_missing else None,
            "in_flight": {
                policy: preview_in_flight(
                    sequence=sequence, version=found.draft, policy=policy, now=now
                )
                for policy in InFlight
            },
        }
    )


def blast_of(*, sequence: Sequence, in_flight: InFlight, mode: Mode, now: datetime) -> BlastRadius:
    """The planned messages that publishing the draft would make, take away or move (N11)."""
    inside = Journey.objects.filter(sequence=sequence, status__in=OPEN)
    return blast_radius(
        lambda: publish(sequence=sequence, now=now, in_flight=in_flight, mode=mode),
        now=now,
        learner_ids=set(inside.values_list("learner_id", flat=True)),
    )


def publish_checked(
    *,
    sequence: Sequence,
    expected_checksum: str,
    in_flight: InFlight,
    mode: Mode,
    by: User | None,
    now: datetime,
    override: str = "",
) -> SequenceVersion:
    """Publish the draft that was looked at, if nothing speaks against it.

    Lint errors and failing scenarios are overridden by a reason of a sentence, which is kept. Who
    wrote the draft last may not publish it while the switch `four_eyes` is on; nothing overrides
    that. Raises NotPublishableError; nothing is written then. Permissions are the caller's.
    """
    found = look(sequence=sequence, by=by)  # before the lock: scenarios take their time
    reason = override.strip()[:LONGEST_REASON]  # a browser counts a line's end as one, not two
    if found.refusal:
        raise NotPublishableError(found.refusal)
    if found.blockers and len(reason) < SHORTEST_REASON:
        raise NotPublishableError("\n".join(found.blockers))
    with transaction.atomic():
        row = Sequence.objects.select_for_update(no_key=True).get(pk=sequence.pk)
        if {checksum_of(row.draft_version), found.draft.checksum} != {expected_checksum}:
            raise NotPublishableError("The draft changed meanwhile. Look at it again.")
        return publish(
            sequence=row, now=now, by=by, in_flight=in_flight, mode=mode,
            note=reason if found.blockers else "",
        )  # fmt: skip


def require_scenarios(*, version: SequenceVersion) -> None:
    """Raise NotPublishableError, naming each, where scenarios of the sequence fail (N10)."""
    failed = [one for one in play_scenarios(version=version) if not one.passed]
    if failed:
        lines = [
            f"{one.scenario.name}: {check.said}"
            for one in failed
            for check in one.checks
            if not check.passed
        ]
        raise NotPublishableError("\n".join(lines))


def _refusal(draft: SequenceVersion, by: User | None) -> str:
    same = by is not None and draft.created_by_id == by.pk
    if same and flags.four_eyes_is_on():
        return "You wrote this draft last, so somebody else has to publish it (four eyes)."
    return ""
