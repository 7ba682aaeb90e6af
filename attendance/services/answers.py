"""What each kind of question to staff can be answered with, what that does, and its undoing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Protocol

from django.db.models import Q
from django.utils import timezone

from attendance.domain.kinds import (
    EndpointKind,
    IdentityKind,
    IdentityStatus,
    MatchRule,
    OutcomeKind,
    ReviewKind,
)
from attendance.models import (
    ClassSession,
    Conference,
    ConferenceMatch,
    Endpoint,
    Learner,
    LearnerIdentity,
    Outcome,
    Outsider,
    ReviewItem,
)
from attendance.services import identities
from attendance.services.corrections import correct_outcome
from attendance.services.matching import link_known, make_due
from attendance.services.settling import take_back

LEAVE = "leave"


class ReviewError(ValueError):
    """The decision cannot be taken; nothing was changed. The text says why."""


@dataclass(frozen=True)
class Choice:
    """One answer to a question."""

    code: str
    words: str


_LEAVE = Choice(LEAVE, "Leave it as it is")


class Answers(Protocol):
    """How one kind of question is answered."""

    def choices(self, item: ReviewItem) -> list[Choice]:
        """The answers, the likeliest first."""

    def act(self, item: ReviewItem, choice: str, *, by: str, now: datetime) -> bool:
        """Do what the choice asks for; return whether the question stays open."""

    def undo(self, item: ReviewItem, *, by: str, now: datetime) -> None:
        """Take back what the decision of `item` did."""


def no_answer(choice: str) -> ReviewError:
    """The choice is none of the question's."""
    return ReviewError(f"{choice!r} is no answer to this question.")


class GuestAnswers:
    """Who might this be?"""

    outsiders: Mapping[str, str] = {
        EndpointKind.VISITOR: "A visitor, no learner",
        EndpointKind.STAFF: "One of our staff",
        EndpointKind.BOT: "A note-taker or another bot",
        EndpointKind.ROOM: "A room, with nobody uncounted in it",
    }

    def choices(self, item: ReviewItem) -> list[Choice]:
        """Those whom the evidence names, then those who are no learners."""
        found = Learner.objects.filter(pk__in=item.evidence.get("candidates", ()))
        named = sorted(((who.pk, who.name or who.email) for who in found), key=itemgetter(1, 0))
        return [
            *(Choice(f"is:{pk}", f"This is {name}") for pk, name in named),
            *(Choice(kind, words) for kind, words in self.outsiders.items()),
            *(Choice(f"not:{pk}", f"This is not {name}") for pk, name in named if item.mark),
            Choice(LEAVE, "Nobody can tell"),
        ]

    def act(self, item: ReviewItem, choice: str, *, by: str, now: datetime) -> bool:
        """Remember who it is, who it is not, or that it is no learner."""
        verb, _, rest = choice.partition(":")
        if choice in self.outsiders:
            self._outsider(item, EndpointKind(choice), by=by, now=now)
            return False
        if verb not in {"is", "not"} or not rest.isdecimal():
            raise no_answer(choice)
        learner = Learner.objects.filter(pk=int(rest)).first()
        if learner is None:
            raise ReviewError("This learner does not exist any more.")
        if not item.mark:
            self._link_one(item, learner, verb, now=now)
            return False
        kind, value, course = identities.split_mark(item.mark, item.course)
        act = identities.confirm_identity if verb == "is" else identities.reject_identity
        act(learner=learner, kind=kind, value=value, course=course, by=by, now=now)
        return verb == "not"

    def undo(self, item: ReviewItem, *, by: str, now: datetime) -> None:
        """Forget who it was said to be."""
        verb, _, rest = item.decision.partition(":")
        if not item.mark:
            Endpoint.objects.filter(pk=item.endpoint_id or 0).update(
                learner=None, identity_level=0, identity_rule="", kind=EndpointKind.HUMAN.value
            )
        elif verb == "is":
            kind, value, course = identities.split_mark(item.mark, item.course)
            for row in LearnerIdentity.objects.filter(
                learner=int(rest), kind=kind, value_key=value, course=course
            ):
                identities.forget_links(identity=row, now=now)
                row.delete()
        else:
            # A name or a masked address means somebody in one course only.
            theirs = Q(course=None) | Q(course=item.course_id)
            for outsider in Outsider.objects.filter(theirs, mark=item.mark):
                identities.forget_outsider(outsider=outsider, now=now)

    def _outsider(self, item: ReviewItem, kind: EndpointKind, *, by: str, now: datetime) -> None:
        if item.mark:
            identities.settle_outsider(
                mark=item.mark, course=item.course, kind=kind, by=by, now=now
            )
        else:
            rows = Endpoint.objects.filter(pk=item.endpoint_id or 0, learner=None)
            rows.update(kind=kind.value)

    def _link_one(self, item: ReviewItem, learner: Learner, verb: str, *, now: datetime) -> None:
        """Somebody with neither name nor address: this one connection was theirs."""
        if verb == "not":
            raise ReviewError("Without a name or address it cannot be remembered who it is not.")
        Endpoint.objects.filter(pk=item.endpoint_id or 0).update(
            learner=learner, identity_level=4, identity_rule="staff:endpoint"
        )
        make_due([item.session_id] if item.session_id else [], now)


class AddressAnswers:
    """A learner named an address they use: is it theirs?"""

    def choices(self, item: ReviewItem) -> list[Choice]:
        """Theirs or not."""
        return [Choice("confirm", "It is theirs"), Choice("reject", "It is not theirs"), _LEAVE]

    def act(self, item: ReviewItem, choice: str, *, by: str, now: datetime) -> bool:
        """Confirm or reject the identity."""
        if choice not in {"confirm", "reject"} or item.learner is None:
            raise no_answer(choice)
        act = identities.confirm_identity if choice == "confirm" else identities.reject_identity
        value = item.mark.partition(":")[2]
        act(learner=item.learner, kind=IdentityKind.ALIAS, value=value, course=None, by=by, now=now)
        return False

    def undo(self, item: ReviewItem, *, by: str, now: datetime) -> None:
        """It is what the learner says again, and no more."""
        for row in LearnerIdentity.objects.filter(learner=item.learner_id or 0, mark=item.mark):
            identities.forget_links(identity=row, now=now)
            row.status = IdentityStatus.SUGGESTED.value
            row.save(update_fields=["status"])


@dataclass(frozen=True)
class OutcomeAnswers:
    """What was it really?"""

    likely: Sequence[OutcomeKind]

    def choices(self, item: ReviewItem) -> list[Choice]:
        """The outcomes that come into question; of nobody in particular there is none."""
        if item.learner_id is None:
            return [_LEAVE]
        words = [(kind.value, kind.value.replace("_", " ")) for kind in self.likely]
        return [*(Choice(code, f"It was: {word}") for code, word in words), _LEAVE]

    def act(self, item: ReviewItem, choice: str, *, by: str, now: datetime) -> bool:
        """Write the outcome as a person's."""
        if choice not in self.likely or item.learner is None or item.session is None:
            raise no_answer(choice)
        correct_outcome(
            learner=item.learner, session=item.session, outcome=OutcomeKind(choice), by=by,
            note=f"review: {item.kind.replace('_', ' ')}", now=now,
        )  # fmt: skip
        return False

    def undo(self, item: ReviewItem, *, by: str, now: datetime) -> None:
        """Let the records speak again."""
        rows = Outcome.objects.filter(
            learner=item.learner_id or 0, session=item.session_id or 0, is_current=True
        )
        for outcome in rows:
            take_back(outcome=outcome, now=now)


class CallAnswers:
    """Which of these classes was this call?"""

    def choices(self, item: ReviewItem) -> list[Choice]:
        """Each class in question, or none."""
        rows = ClassSession.objects.filter(pk__in=item.evidence.get("sessions", ()))
        return [
            *(
                Choice(
                    f"class:{row.pk}",
                    f"{row.title or 'Class'}, {timezone.localtime(row.starts_at):%d %b %H:%M %Z}",
                )
                for row in rows.order_by("starts_at", "pk")
            ),
            Choice("none", "It was none of them"),
            _LEAVE,
        ]

    def act(self, item: ReviewItem, choice: str, *, by: str, now: datetime) -> bool:
        """Match by hand, for good."""
        verb, _, rest = choice.partition(":")
        known = [str(pk) for pk in item.evidence.get("sessions", ())]
        if choice != "none" and (verb != "class" or rest not in known):
            raise no_answer(choice)
        conference = Conference.objects.get(pk=item.evidence["conference"])
        ConferenceMatch.objects.filter(conference=conference).delete()
        if verb == "class":
            ConferenceMatch.objects.create(
                conference=conference,
                session_id=int(rest),
                rule=MatchRule.STAFF.value,
                confidence=1.0,
            )
        Conference.objects.filter(pk=conference.pk).update(decided_by=by)
        link_known(now=now)  # names and masked addresses mean somebody in its course
        return False

    def undo(self, item: ReviewItem, *, by: str, now: datetime) -> None:
        """Let the rules match it again at the next reading."""
        conference = item.evidence["conference"]
        ConferenceMatch.objects.filter(conference=conference).delete()
        Conference.objects.filter(pk=conference).update(decided_by="", dirty_at=now)


class LowShareAnswers:
    """So few were seen: is the log to be doubted, or did so few come?"""

    def choices(self, item: ReviewItem) -> list[Choice]:
        """It is right, or let it be."""
        return [Choice("few_came", "So few really came; judge the class"), _LEAVE]

    def act(self, item: ReviewItem, choice: str, *, by: str, now: datetime) -> bool:
        """Let the class be judged."""
        if choice != "few_came":
            raise no_answer(choice)
        ClassSession.objects.filter(pk=item.session_id or 0).update(few_is_right=True)
        return False

    def undo(self, item: ReviewItem, *, by: str, now: datetime) -> None:
        """Doubt it again."""
        ClassSession.objects.filter(pk=item.session_id or 0).update(few_is_right=False)


class NoticeAnswers:
    """Something that staff should know; it closes itself when it is over."""

    def choices(self, item: ReviewItem) -> list[Choice]:
        """Seen."""
        return [Choice(LEAVE, "Seen; nothing to decide here")]

    def act(self, item: ReviewItem, choice: str, *, by: str, now: datetime) -> bool:
        """Nothing can be decided."""
        raise no_answer(choice)

    def undo(self, item: ReviewItem, *, by: str, now: datetime) -> None:
        """Nothing was done."""


_ANSWERS: Mapping[ReviewKind, Answers] = {
    ReviewKind.GUEST: GuestAnswers(),
    ReviewKind.ADDRESS: AddressAnswers(),
    ReviewKind.DISPUTE: OutcomeAnswers(
        (OutcomeKind.ATTENDED, OutcomeKind.LATE, OutcomeKind.LEFT_EARLY, OutcomeKind.PARTIAL,
         OutcomeKind.EXCUSED, OutcomeKind.MISSED)
    ),
    ReviewKind.BRIEF: OutcomeAnswers(
        (OutcomeKind.MISSED, OutcomeKind.PARTIAL, OutcomeKind.ATTENDED, OutcomeKind.EXCUSED)
    ),
    ReviewKind.LATE_RECORD: OutcomeAnswers(
        (OutcomeKind.ATTENDED, OutcomeKind.LATE, OutcomeKind.LEFT_EARLY, OutcomeKind.PARTIAL)
    ),
    ReviewKind.REPORT: OutcomeAnswers(
        (OutcomeKind.ATTENDED, OutcomeKind.LATE, OutcomeKind.LEFT_EARLY, OutcomeKind.PARTIAL)
    ),
    ReviewKind.AMBIGUOUS_CALL: CallAnswers(),
    ReviewKind.LOW_SHARE: LowShareAnswers(),
    ReviewKind.NO_DATA: NoticeAnswers(),
    ReviewKind.GOOGLE_DARK: NoticeAnswers(),
}  # fmt: skip


def answers_for(item: ReviewItem) -> Answers:
    """How this question is answered."""
    return _ANSWERS[ReviewKind(item.kind)]
