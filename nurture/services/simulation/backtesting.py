"""Who would have heard what, and when, had this version run: over recorded attendance."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from waffle.models import Flag

from delivery.domain.states import ENDS, Status
from delivery.models import Chat
from nurture import flags
from nurture.domain.sequence import Mode
from nurture.models import (
    AttendanceTrigger,
    Contact,
    Decision,
    HoldoutAssignment,
    Journey,
    Sequence,
    SequenceVersion,
    Step,
    VersionStatus,
)
from nurture.services.simulation.replay import Replay
from nurture.services.simulation.report import learner_lines
from nurture.services.simulation.run import play
from nurture.services.simulation.shadow import Shadow, shadowed

#: Ends of a message that nobody hears.
UNHEARD = frozenset(ENDS - {Status.SENT, Status.UNKNOWN})


class NotSimulatedError(ValueError):
    """There is nothing to simulate: no such sequence or version, or an impossible period."""


@dataclass(frozen=True, kw_only=True)
class Backtest:
    """What a version would have done. Nothing was written for it."""

    sequence: str
    version: int
    since: datetime
    until: datetime
    totals: dict[str, Any]
    learners: list[dict[str, Any]]  # a line for everybody of whom anything was decided
    digest: str  # the same for the same decisions

    def as_dict(self) -> dict[str, Any]:
        """The form in which commands print it."""
        return {
            "sequence": self.sequence,
            "version": self.version,
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "totals": self.totals,
            "learners": self.learners,
            "digest": self.digest,
        }


def backtest(
    *, slug: str, since: datetime, until: datetime, version: int | None = None
) -> Backtest:
    """Run one version over what attendance recorded from `since` to `until`; writes nothing.

    `version`: its number; else what is published, else the draft. The switches, other sequences
    and the rollout are left out; contacts, consents, zones and the calendar are as they are now.
    Raises NotSimulatedError.
    """
    if since >= until:
        raise NotSimulatedError("the period ends before it begins")
    row = _version(slug, version)
    with shadowed() as shadow:
        _furnish(shadow, row)
        replay = Replay(shadow=shadow, since=since, until=until)
        shadow.ready()
        play(since=since, until=until, moments=replay.moments(), happen=replay.tell)
        learners = learner_lines(of=Decision.objects.all())
        totals = _totals(replay)
    return Backtest(
        sequence=slug,
        version=row.number,
        since=since,
        until=until,
        totals=totals,
        learners=learners,
        digest=digest_of(learners),
    )


def compare(before: Backtest, after: Backtest) -> dict[str, list[str]]:
    """Whom another version gains, loses or treats otherwise, by e-mail."""
    old, new = _heard(before), _heard(after)
    return {
        "gained": sorted(set(new) - set(old)),
        "lost": sorted(set(old) - set(new)),
        "moved": sorted(email for email in set(old) & set(new) if old[email] != new[email]),
    }


def _heard(found: Backtest) -> dict[str, list[dict[str, Any]]]:
    """What learners hear, or will: not what was withdrawn, skipped or lost on the way."""
    heard = {
        line["email"]: [one for one in line["messages"] if one["status"] not in UNHEARD]
        for line in found.learners
    }
    return {email: messages for email, messages in heard.items() if messages}


def digest_of(learners: list[dict[str, Any]]) -> str:
    """A fingerprint of what was decided, without anything that differs between two runs."""
    text = json.dumps(learners, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _version(slug: str, number: int | None) -> SequenceVersion:
    rows = SequenceVersion.objects.filter(sequence__slug=slug).select_related("sequence")
    if not rows:
        raise NotSimulatedError(f"there is no sequence {slug!r}")
    if number is not None:
        found = rows.filter(number=number).first()
    else:
        sequence = rows[0].sequence
        found = sequence.published_version or sequence.draft_version
    if found is None:
        raise NotSimulatedError(f"{slug} has no version {number}")
    return found


def _furnish(shadow: Shadow, version: SequenceVersion) -> None:
    """The people as they are, and this one sequence, live."""
    for model in (Contact, Chat):
        shadow.copy(model)
    shadow.copy(HoldoutAssignment, "sequence_id = %s", [version.sequence_id])
    put_on_stage(shadow, version)


def put_on_stage(shadow: Shadow, version: SequenceVersion) -> None:
    """This version published, of the one sequence there is, live for everybody."""
    mine = [version.pk]
    shadow.copy(Sequence, "id = %s", [version.sequence_id])
    shadow.copy(SequenceVersion, "id = %s", mine)
    shadow.copy(Step, "version_id = %s", mine)
    shadow.copy(AttendanceTrigger, "version_id = %s", mine)
    SequenceVersion.objects.update(status=VersionStatus.PUBLISHED, published_at=version.created_at)
    Sequence.objects.update(published_version=version, draft_version=None, mode=Mode.LIVE)
    Flag.objects.create(name=flags.NURTURE, everyone=True)


def _totals(replay: Replay) -> dict[str, Any]:
    codes = Counter(Decision.objects.values_list("code", flat=True))
    ends = Counter(
        status if not reason else f"{status}:{reason}"
        for status, reason in Decision.objects.filter(
            delivery__isnull=False, code="step_planned"
        ).values_list("delivery__status", "delivery__reason")
    )
    return {
        "facts": replay.facts(),
        "reconstructed": replay.reconstructed,
        "journeys": Journey.objects.count(),
        "messages": dict(sorted(ends.items())),
        "decisions": dict(sorted(codes.items())),
    }
