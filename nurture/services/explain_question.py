"""Why a learner was, or was not, asked whether they come to a class."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from attendance import selectors as attendance
from attendance.domain.identity import email_key
from attendance.domain.kinds import SessionStatus
from attendance.models import ClassSession, Learner
from nurture import flags
from nurture.domain.asking import Ask, judge
from nurture.domain.reasons import Reason
from nurture.models import PledgeQuestion
from nurture.services.admission import Flags
from nurture.services.asking import CATEGORY, quiet_of, zone_for
from nurture.services.explain import UNKNOWN_CLASS, UNKNOWN_LEARNER, Explanation, conclude
from nurture.services.explain_journey import Rule
from nurture.services.world import World, why_silent

WOULD_ASK = "would_ask"  # at the next pass


def explain_question(*, email: str, session_id: str, now: datetime) -> Explanation:
    """Why this learner is asked before this class whether they come, or not. Nothing is written.

    What was decided is read from its record; what was not is judged by the engine's own rules.
    `session_id`: row id or calendar event id.
    """
    rules = list(_rules(email, session_id, now))
    return conclude(rules, next((rule for rule in rules if not rule.passed), rules[-1]))


def _rules(email: str, session_id: str, now: datetime) -> Iterator[Rule]:
    learner = Learner.objects.filter(email_key=email_key(email)).first()
    session = attendance.find_session(session_id)
    yield Rule("learner_known", {"email": email}, learner is not None, UNKNOWN_LEARNER)
    yield Rule("class_known", {"session": session_id}, session is not None, UNKNOWN_CLASS)
    if learner is None or session is None:
        return
    decided = PledgeQuestion.objects.filter(learner=learner, session=session)
    row = decided.select_related("delivery").first()
    if row is not None and row.code != Reason.TAKEN_BACK:
        yield _recorded(row)
    else:
        yield from _about_the_class(learner, session, now)


def _recorded(row: PledgeQuestion) -> Rule:
    """What was decided, and what became of the question."""
    seen = {**row.inputs, "decided_at": row.decided_at.isoformat()}
    if row.delivery is not None:
        seen |= {"delivery": row.delivery.status, "reason": row.delivery.reason}
    return Rule("decided", seen, row.code == Reason.ASKED, row.code)


def _about_the_class(learner: Learner, session: ClassSession, now: datetime) -> Iterator[Rule]:
    ahead = session.status == SessionStatus.SCHEDULED and session.starts_at > now
    starts = {"status": session.status, "starts_at": session.starts_at.isoformat()}
    yield Rule("class_ahead", starts, ahead, Reason.NOT_AHEAD)
    yield Rule("class_online", {"link": session.meet_url}, session.has_link, Reason.NO_LINK_YET)
    asks_from = attendance.asks_from(session)
    yield Rule("course_asks", {}, asks_from is not None, Reason.NOBODY_IS_ASKED)
    enrolled = attendance.is_expected(learner_id=learner.pk, session=session)
    yield Rule("enrolled", {"learner": learner.pk}, enrolled, Reason.NOT_EXPECTED)
    if asks_from is None:
        return
    begins = {"from": asks_from.isoformat()}
    yield Rule("time_has_come", begins, asks_from <= now, Reason.NOT_ASKED_YET, asks_from)
    yield _judged(learner, session, asks_from, now)


def _judged(learner: Learner, session: ClassSession, asks_from: datetime, now: datetime) -> Rule:
    """What the next pass would decide."""
    contact = World(now=now).contact_of(learner.pk)
    pair = (learner.pk, session.pk)
    known = attendance.pledge_states(learner_ids=[learner.pk], session_ids=[session.pk])
    percent = flags.rollout_percent()
    verdict = judge(
        off=Flags(percent).refuse(learner.pk),
        silent=why_silent(contact, CATEGORY),
        is_known=pair in known,
        asks_from=asks_from,
        starts_at=session.starts_at,
        zone=zone_for(contact, session),
        quiet=quiet_of(contact),
        now=now,
    )
    seen = {"pledge": known.get(pair), "percent": percent}
    if isinstance(verdict, Ask):
        return Rule("may_ask", seen | {"due_at": verdict.due_at.isoformat()}, True, WOULD_ASK)
    return Rule("may_ask", seen, False, verdict)
