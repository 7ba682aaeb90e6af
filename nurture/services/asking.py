"""The bot asks before a class whether a learner comes: each one once, at a decent hour."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from attendance import selectors as attendance_selectors
from attendance import services as attendance
from attendance.domain.kinds import PledgeState
from attendance.models import ClassSession, Pledge
from attendance.models.sessions import LINKED
from delivery import services as delivery
from delivery.domain import reasons as delivery_reasons
from delivery.domain.states import UNSENT
from delivery.domain.windows import Window
from delivery.models import Delivery
from nurture import flags, selectors, texts
from nurture.domain.asking import HOURS, Ask, judge
from nurture.domain.reasons import Reason
from nurture.domain.schedule import Quiet, period_at, zone_of
from nurture.models import Contact, PledgeQuestion
from nurture.services.admission import Flags
from nurture.services.tally import Tally
from nurture.services.world import World, why_silent
from nurture.voice import Voice
from nurture.words import language

#: Its own stream, so that staff can hold the questions and nothing else.
STREAM = flags.QUESTIONS
CATEGORY = selectors.QUESTION_CATEGORY
SOURCE = "bot"


@transaction.atomic
def ask_pledges(*, now: datetime, limit: int = 500, tally: Tally | None = None) -> int:
    """Decide about up to `limit` learners whether to ask them before a class; return how many.

    The question, the pledge `asked` and the decision are one transaction, and as many statements
    for 500 learners as for one. Safe to run twice and in many workers: who asks in a class holds
    its row, so that it is not moved meanwhile, and nobody is decided about twice.
    """
    percent = flags.rollout_percent()
    wanted = selectors.undecided(now=now, percent=percent, limit=limit)
    sessions = _locked({session for session, _ in wanted}, now)
    if not sessions:
        return 0
    pairs = selectors.undecided(now=now, percent=percent, limit=limit, among=sessions)
    world = World(now=now)
    world.load_contacts({learner for _, learner in pairs}, lock=True)
    asking = _Asking(world, Flags(percent), sessions)
    asking.read(pairs)
    for session, learner in pairs:
        asking.decide(sessions[session], learner)
    asking.write()
    if tally is not None:
        tally.add(world.writes)
    return len(pairs)


def _locked(keys: set[int], now: datetime) -> dict[int, ClassSession]:
    rows = ClassSession.objects.filter(LINKED, pk__in=keys, status="scheduled", starts_at__gt=now)
    held = rows.select_for_update(skip_locked=True, no_key=True, of=("self",))
    return {row.pk: row for row in held.select_related("course").order_by("pk")}


class _Asking:
    """The decisions of one pass, written together."""

    def __init__(self, world: World, switches: Flags, sessions: dict[int, ClassSession]) -> None:
        self.world, self.switches, self.voice = world, switches, Voice()
        self.asks_from = {
            pk: attendance_selectors.asks_from(session) for pk, session in sessions.items()
        }
        self.rows: list[PledgeQuestion] = []
        self.known: dict[tuple[int, int], str] = {}
        self.rounds: dict[tuple[int, int], int] = {}

    def read(self, pairs: Iterable[tuple[int, int]]) -> None:
        """What was said about these classes, and what was decided before."""
        sessions, learners = {row[0] for row in pairs}, {row[1] for row in pairs}
        self.known = attendance_selectors.pledge_states(learner_ids=learners, session_ids=sessions)
        before = PledgeQuestion.objects.filter(session__in=sessions, learner__in=learners)
        self.rounds = {(row.learner_id, row.session_id): row.round for row in before}

    def decide(self, session: ClassSession, learner_id: int) -> None:
        """Ask, or note why not."""
        pair, now = (learner_id, session.pk), self.world.now
        asks_from = self.asks_from[session.pk]
        assert asks_from is not None, "classes that nobody is asked about are not undecided"
        contact = self.world.contact_of(learner_id)
        verdict = judge(
            off=self.switches.refuse(learner_id),
            silent=why_silent(contact, CATEGORY),
            is_known=pair in self.known,
            asks_from=asks_from,
            starts_at=session.starts_at,
            zone=zone_for(contact, session),
            quiet=quiet_of(contact),
            now=now,
        )
        said = {"session": session.pk, "class": session.event_id}
        row = PledgeQuestion(
            learner_id=learner_id, session=session, decided_at=now,
            round=self.rounds.get(pair, 0) + 1, inputs=said,
        )  # fmt: skip
        if isinstance(verdict, Ask):
            assert contact is not None, "silent learners are refused"
            row.delivery = _draft(contact, session, verdict.due_at, row.round, self.voice)
            row.code, said["due_at"] = Reason.ASKED.value, verdict.due_at.isoformat()
            self.world.writes.owe(row.delivery)
        else:
            row.code = verdict.value
            if verdict in {Reason.NURTURE_OFF, Reason.NOT_IN_ROLLOUT}:
                said["percent"] = self.switches.percent
        self.world.writes.note(
            learner_id=learner_id, code=row.code, now=now, inputs=said, delivery=row.delivery
        )
        self.rows.append(row)

    def write(self) -> None:
        """Deliveries first, so that they have their keys."""
        self.world.writes.write()
        for row in self.rows:
            row.delivery_id = row.delivery.pk if row.delivery else None
        PledgeQuestion.objects.bulk_create(
            self.rows,
            update_conflicts=True,
            unique_fields=["session", "learner"],
            update_fields=["code", "inputs", "delivery", "round", "decided_at"],
        )
        attendance.ask_pledges(
            pairs=[(row.learner_id, row.session_id) for row in self.rows if row.delivery_id],
            source=SOURCE,
            now=self.world.now,
        )


def zone_for(contact: Contact | None, session: ClassSession) -> ZoneInfo:
    """The zone in which a learner reads the time of a class."""
    own = contact.time_zone if contact else ""
    return zone_of(own, session.course.time_zone, settings.TIME_ZONE)


def quiet_of(contact: Contact | None) -> Quiet | None:
    """The learner's quiet hours, local."""
    if contact is None or contact.quiet_opens is None or contact.quiet_closes is None:
        return None
    return contact.quiet_opens, contact.quiet_closes


def _draft(
    contact: Contact, session: ClassSession, due_at: datetime, number: int, voice: Voice
) -> Delivery:
    assert contact.chat is not None, "silent learners are refused"
    zone, lang = zone_for(contact, session), language(contact.language)
    hours = period_at(due_at, window=HOURS, quiet=quiet_of(contact), zone=zone)
    assert hours is not None, "questions have hours"
    when = texts.moment_words(session.starts_at.astimezone(zone), lang)
    title = session.title or session.course.title
    yes, no = voice.say("will_come", lang), voice.say("will_not_come", lang)
    return delivery.draft(
        chat=contact.chat,
        text=voice.say("pledge_ask", lang, title=title, when=when),
        buttons=[[(yes, f"come:{session.pk}"), (no, f"decline:{session.pk}")]],
        dedupe_key=f"pledge:{session.pk}:{contact.learner_id}:{number}",
        due_at=due_at,
        expires_at=session.starts_at,
        stream=STREAM,
        category=CATEGORY,
        window=Window(opens=hours.opens, closes=hours.closes, days=hours.days, zone=zone.key),
    )


def answered() -> Exists:
    """The condition that a question has its answer."""
    pledges = Pledge.objects.filter(learner=OuterRef("learner"), session=OuterRef("session"))
    return Exists(pledges.exclude(state=PledgeState.ASKED))


_WITHDRAWN_FOR = {
    Reason.PLEDGE_KNOWN: delivery_reasons.Reason.CONDITION_CHANGED,
    Reason.OPTED_OUT: delivery_reasons.Reason.OPTED_OUT,
}


def take_back(questions: QuerySet[PledgeQuestion], *, code: Reason, now: datetime) -> int:
    """Withdraw those of these questions that are not on the wire yet; return how many.

    `taken_back`: the next pass decides anew, with the time and the words that are right then;
    `opted_out`: it does so once they want to hear from us again.
    Safe to run twice; call it in the transaction that causes it.
    """
    if code is Reason.TAKEN_BACK:  # for what it was too late by then there may be time now
        late = questions.filter(code=Reason.TOO_LATE_TO_ASK, session__starts_at__gt=now)
        late.update(code=code.value)
    unsent = questions.filter(code=Reason.ASKED, delivery__status__in=UNSENT)
    rows, said = list(unsent.select_related("delivery")), delivery_reasons.Reason
    withdrawn = delivery.cancel_each(
        dedupe_keys=[row.delivery.dedupe_key for row in rows if row.delivery],
        reason=_WITHDRAWN_FOR.get(code, said.WITHDRAWN),
    )
    gone = [row for row in rows if row.delivery and row.delivery.dedupe_key in withdrawn]
    _were_not_asked(gone, code, now)
    return len(gone)


def not_heard(*, ends: Mapping[int, Reason], now: datetime) -> int:
    """Questions that came to nobody, by their deliveries, each with why; return how many.

    Who blocked the bot or said no before it went out was not asked, and is once they are back.
    Safe to run twice; call it in the transaction that observes the deliveries.
    """
    if not ends:
        return 0
    asked = PledgeQuestion.objects.filter(code=Reason.ASKED, delivery__in=ends)
    by_code: dict[Reason, list[PledgeQuestion]] = defaultdict(list)
    for row in asked.select_related("delivery").select_for_update(no_key=True, of=("self",)):
        if row.delivery_id is not None:
            by_code[ends[row.delivery_id]].append(row)
    for code, rows in by_code.items():
        _were_not_asked(rows, code, now)
    return sum(map(len, by_code.values()))


def _were_not_asked(gone: list[PledgeQuestion], code: Reason, now: datetime) -> None:
    if not gone:
        return
    PledgeQuestion.objects.filter(pk__in=[row.pk for row in gone]).update(code=code.value)
    attendance.unask_pledges(
        pairs=[(row.learner_id, row.session_id) for row in gone], source=SOURCE
    )
    writes = World(now=now).writes
    for row in gone:
        writes.note(
            learner_id=row.learner_id, code=code, now=now, inputs=row.inputs, delivery=row.delivery
        )
    writes.write()
