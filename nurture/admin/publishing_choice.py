"""What is chosen when a draft is published, and what that would do, in words."""

from __future__ import annotations

from django.http import HttpRequest

from attendance.models import Learner
from config.console.confirmation import TYPED_OVER
from delivery.clock import now
from nurture.domain.sequence import InFlight, Mode
from nurture.models import Sequence
from nurture.services.in_flight import InFlightReport
from nurture.services.publishing import blast_of
from nurture.services.simulation import BlastRadius

POLICIES = {
    InFlight.FINISH: ("Finish as they began", "Whoever is inside hears the old words to the end."),
    InFlight.MOVE: (
        "Move to the new version",
        "At once where the step they wait in is in both, else at the next step that is.",
    ),
    InFlight.EXIT: ("End now", "What is planned for them is withdrawn."),
}
MODES = {
    Mode.STOPPED: ("Off", "Nobody enters."),
    Mode.DRY_RUN: (
        "Dry run",
        "It decides about real learners and keeps what it would send for you. Nobody hears of it.",
    ),
    Mode.LIVE: ("Live", "Learners hear it."),
}


def counted(report: InFlightReport) -> str:
    """What becomes of the journeys under way, in words."""
    said = {
        "move at once": report.moved,
        "move later": report.awaiting,
        "finish as they began": report.finishing,
        "end": report.exited,
    }
    return ", ".join(f"{count} {what}" for what, count in said.items() if count) or "nobody inside"


class Publication:
    """What was chosen on the page of a draft, and whether it was confirmed."""

    FIELDS = ("checksum", "in_flight", "mode", "override")

    def __init__(self, request: HttpRequest, sequence: Sequence) -> None:
        said = request.POST
        self.sequence, self.problem, self.said = sequence, "", said
        self.chosen = said.get("in_flight") in set(InFlight) and said.get("mode") in set(Mode)
        if request.method == "POST" and not self.chosen:
            self.problem = "Choose what becomes of the journeys under way, and the mode."
        self._blast: BlastRadius | None = None

    @property
    def in_flight(self) -> InFlight:
        """The policy."""
        return InFlight(self.said["in_flight"])

    @property
    def mode(self) -> Mode:
        """The mode afterwards."""
        return Mode(self.said["mode"])

    @property
    def blast(self) -> BlastRadius:
        """What it does, as it stands now."""
        if self._blast is None:
            self._blast = blast_of(
                sequence=self.sequence, in_flight=self.in_flight, mode=self.mode, now=now()
            )
        return self._blast

    @property
    def confirmed(self) -> bool:
        """Whether as many messages were confirmed as it touches now; notes why not."""
        size = self.blast.size
        if self.said["confirmed"] != str(size):
            self.problem = f"Meanwhile it touches {size} messages. Nothing was done; look again."
        elif size > TYPED_OVER and self.said.get("typed", "").strip() != str(size):
            self.problem = f"Nothing was done. Type {size}, the number of messages, to go on."
        return not self.problem


def named(blast: BlastRadius) -> list[tuple[str, list[tuple[str, str]]]]:
    """The touched messages by what becomes of them: learner and step."""
    rows = [*blast.appear, *blast.vanish, *blast.move]
    emails = {email for email, _, _ in rows}
    names = dict(Learner.objects.filter(email__in=emails).values_list("email", "name"))
    return [
        (words, [(names.get(email) or email, step) for email, _, step in found])
        for words, found in (
            ("come newly", blast.appear),
            ("are withdrawn", blast.vanish),
            ("change their time or words", blast.move),
        )
        if found
    ]
