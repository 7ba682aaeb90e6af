"""The settlement gate (N04): absence only from complete data; and streaks (P33)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from attendance.domain.kinds import EventKind, Flag, OutcomeKind
from attendance.domain.presence import Policy, Verdict
from attendance.domain.reasons import EXPLAIN, Reason
from attendance.domain.settlement import (
    CALL_AT_MOST,
    ClassEvidence,
    LearnerEvidence,
    Reading,
    call_lasts_until,
    conclude,
    log_is_complete,
    settling_starts,
    too_few,
    waits_for,
)
from attendance.domain.streaks import Past, landmarks, streak

T0 = datetime(2026, 6, 2, 19, tzinfo=UTC)
LAG = timedelta(minutes=180)
CLASS = ClassEvidence(confirmed=True, settles_from=T0, log_complete=True, anyone_seen=True)
MISSED = Verdict(OutcomeKind.MISSED, Reason.NOT_SEEN)
PRESENT = Verdict(OutcomeKind.ATTENDED, Reason.ATTENDED_ENOUGH, present=timedelta(minutes=50))
ABSENT = LearnerEvidence(enrolled=True, identified=True, held_by_guest=False, verdict=MISSED)


def test_missed_is_said_when_every_rule_holds() -> None:
    found = conclude(learner=ABSENT, session=CLASS, policy=Policy(), now=T0 + LAG)

    assert (found.outcome, found.effective) == (OutcomeKind.MISSED, True)
    assert all(rule.passed for rule in found.rules)


@pytest.mark.parametrize(
    ("learner", "session", "after", "outcome", "reason"),
    [
        pytest.param({"enrolled": False}, {}, LAG, "unknown", Reason.NOT_ENROLLED, id="enrolled"),
        pytest.param(
            {}, {"confirmed": False}, LAG, "unknown", Reason.SESSION_CANCELLED, id="confirmed"
        ),
        pytest.param({}, {"online": False}, LAG, "unknown", Reason.NO_MEET_LINK, id="link"),
        pytest.param(
            {"noted_later": True}, {}, LAG, "unknown", Reason.NOTED_LATER, id="noted later"
        ),
        pytest.param(
            {"identified": False}, {}, LAG, "unknown", Reason.NO_VERIFIED_IDENTITY, id="identity"
        ),
        pytest.param(
            {}, {}, LAG - timedelta(seconds=1), "pending", Reason.NOT_SETTLED_YET, id="time"
        ),
        pytest.param(
            {}, {"log_complete": False}, LAG, "pending", Reason.SYNC_INCOMPLETE, id="log"
        ),
        pytest.param(
            {}, {"anyone_seen": False}, LAG, "unknown", Reason.NO_HUMAN_SEEN, id="anyone"
        ),
        pytest.param(
            {"held_by_guest": True}, {}, LAG, "pending", Reason.UNRESOLVED_GUEST, id="guest"
        ),
        pytest.param(
            {"held_by_guest": True}, {}, timedelta(hours=24), "unknown",
            Reason.GUEST_NEVER_RESOLVED, id="guest for a day",
        ),
        pytest.param(
            {}, {"google_answers": False}, LAG, "pending", Reason.GOOGLE_DARK, id="google"
        ),
        pytest.param({}, {"few_seen": True}, LAG, "pending", Reason.FEW_SEEN, id="few"),
        pytest.param(
            {}, {"few_seen": True}, timedelta(hours=24), "unknown", Reason.FEW_SEEN,
            id="few for a day",
        ),
    ],
)  # fmt: skip
def test_each_rule_alone_holds_missed_back(
    learner: dict[str, bool],
    session: dict[str, bool],
    after: timedelta,
    outcome: str,
    reason: Reason,
) -> None:
    found = conclude(
        learner=replace(ABSENT, **learner),  # type: ignore[arg-type]
        session=replace(CLASS, **session),  # type: ignore[arg-type]
        policy=Policy(),
        now=T0 + after,
    )

    assert (found.outcome, found.reason, found.effective) == (outcome, reason, False)
    assert sum(not rule.passed for rule in found.rules) == 1


def test_full_presence_needs_half_an_hour_and_no_complete_log() -> None:
    there = replace(ABSENT, verdict=PRESENT, identified=False)
    session = replace(CLASS, log_complete=False, presence_complete=False, anyone_seen=False)

    early = conclude(learner=there, session=session, policy=Policy(), now=T0)
    settled = conclude(
        learner=there, session=session, policy=Policy(), now=T0 + timedelta(minutes=30)
    )

    assert (early.outcome, early.effective) == (OutcomeKind.ATTENDED, False)
    assert (settled.outcome, settled.effective) == (OutcomeKind.ATTENDED, True)


@pytest.mark.parametrize(
    ("outcome", "flags"),
    [
        (OutcomeKind.LATE, ()),
        (OutcomeKind.LEFT_EARLY, ()),
        (OutcomeKind.PARTIAL, ()),
        (OutcomeKind.ATTENDED, (Flag.HOST_LATE,)),
        (OutcomeKind.ATTENDED, (Flag.ENDED_EARLY,)),
    ],
)
def test_presence_that_unread_records_could_change_needs_the_log_past_its_wait(
    outcome: OutcomeKind, flags: tuple[Flag, ...]
) -> None:
    there = replace(ABSENT, verdict=replace(PRESENT, outcome=outcome, flags=flags))
    half_read = replace(CLASS, log_complete=False, presence_complete=False)
    now = T0 + timedelta(minutes=30)

    held = conclude(learner=there, session=half_read, policy=Policy(), now=now)
    read = replace(half_read, presence_complete=True)
    said = conclude(learner=there, session=read, policy=Policy(), now=now)

    assert (held.outcome, held.effective, held.reason) == (outcome, False, Reason.SYNC_INCOMPLETE)
    assert (said.outcome, said.effective) == (outcome, True)


@pytest.mark.parametrize(
    ("minutes", "expected"), [(None, 0), (-5, 0), (20, 20), (200, 60)], ids=str
)
def test_settling_starts_after_an_overrun_of_at_most_an_hour(
    minutes: int | None, expected: int
) -> None:
    end = T0 + timedelta(minutes=minutes) if minutes is not None else None
    stays = [(T0 - timedelta(hours=1), end)] if end else []

    assert settling_starts(ends_at=T0, stays=stays) == T0 + timedelta(minutes=expected)


def reading(start: float, end: float, read: float) -> Reading:
    """Hours from T0."""
    return Reading(*(T0 + timedelta(hours=h) for h in (start, end, read)))


@pytest.mark.parametrize(
    ("readings", "complete"),
    [
        pytest.param([reading(-2, 3, 3)], True, id="one reading past the settling time"),
        pytest.param([reading(-2, 2.9, 2.9)], False, id="not past it"),
        pytest.param([reading(-2, -0.5, 4), reading(-0.5, 4, 4)], True, id="two that meet"),
        pytest.param([reading(-2, -0.5, 4), reading(-0.4, 4, 4)], False, id="a gap between"),
        pytest.param([reading(-2, 0, 1), reading(2, 4, 4)], False, id="read too soon"),
        pytest.param([], False, id="never read"),
    ],
)
def test_when_the_log_is_complete(readings: list[Reading], complete: bool) -> None:
    found = log_is_complete(
        readings=readings, starts_at=T0 - timedelta(hours=1), settles_from=T0, lag=LAG
    )

    assert found == complete


def test_who_declined_is_excused_and_nobody_waits_for_the_log() -> None:
    away = replace(ABSENT, declined=True)
    session = replace(CLASS, log_complete=False)

    early = conclude(learner=away, session=session, policy=Policy(), now=T0)
    found = conclude(learner=away, session=session, policy=Policy(), now=T0 + timedelta(minutes=30))

    assert (early.outcome, early.effective) == (OutcomeKind.PENDING, False)
    assert (found.outcome, found.reason) == (OutcomeKind.EXCUSED, Reason.DECLINED)
    assert found.effective


def test_who_declined_and_came_was_there() -> None:
    there = replace(ABSENT, verdict=PRESENT, declined=True)

    assert conclude(
        learner=there, session=CLASS, policy=Policy(), now=T0 + LAG
    ).outcome == OutcomeKind.ATTENDED  # fmt: skip


@pytest.mark.parametrize(
    ("expected", "seen", "few"), [(4, 0, False), (5, 0, True), (5, 1, False), (20, 3, True)]
)
def test_when_so_few_came_that_the_log_is_doubted(expected: int, seen: int, few: bool) -> None:
    assert too_few(expected=expected, seen=seen) == few


@pytest.mark.parametrize(
    ("p99", "hours"), [(None, 3), (600, 3), (3 * 3600, 3.5), (20 * 3600, 6)], ids=str
)
def test_the_wait_grows_with_the_measured_lag_up_to_six_hours(
    p99: int | None, hours: float
) -> None:
    lag = None if p99 is None else timedelta(seconds=p99)

    assert waits_for(policy=Policy(), lag_p99=lag) == timedelta(hours=hours)


def past(word: str) -> Past:
    """a attended, m missed, p missed though pledged, b brief, e excused, w waiting, u unknown."""
    kinds = {
        "a": OutcomeKind.ATTENDED, "m": OutcomeKind.MISSED, "p": OutcomeKind.MISSED,
        "b": OutcomeKind.MISSED, "e": OutcomeKind.EXCUSED, "w": OutcomeKind.PENDING,
        "u": OutcomeKind.UNKNOWN,
    }  # fmt: skip
    return Past(
        outcome=kinds[word], effective=word not in "wu", brief=word == "b", pledged=word == "p"
    )


@pytest.mark.parametrize(
    ("oldest_first", "fact", "expected"),
    [
        ("m", "missed", 1), ("mm", "missed", 2), ("mam", "missed", 1), ("mem", "missed", 2),
        ("mwm", "missed", 1), ("mum", "missed", 1), ("mbm", "missed", 1), ("ma", "missed", 0),
        ("", "missed", 0), ("ppp", "missed_pledged", 3), ("pmp", "missed_pledged", 1),
        ("mpe", "missed", 2), ("aa", "attended", 2),
    ],
)  # fmt: skip
def test_how_many_in_a_row(oldest_first: str, fact: str, expected: int) -> None:
    """P33."""
    newest_first = [past(word) for word in reversed(oldest_first)]

    assert streak(newest_first=newest_first, fact=fact) == expected


@pytest.mark.parametrize(
    ("earlier_oldest_first", "outcome", "expected"),
    [
        ("", "attended", [EventKind.FIRST_ATTENDED]),
        ("m", "attended", [EventKind.FIRST_ATTENDED, EventKind.RETURNED]),
        ("am", "attended", [EventKind.RETURNED]),
        ("ame", "attended", [EventKind.RETURNED]),
        ("a", "attended", []),
        ("m", "late", []),
    ],
)
def test_landmarks(earlier_oldest_first: str, outcome: str, expected: list[EventKind]) -> None:
    earlier = [past(word) for word in reversed(earlier_oldest_first)]

    found = landmarks(outcome=OutcomeKind(outcome), earlier_newest_first=earlier)

    assert found == expected


def test_every_reason_is_explained() -> None:
    assert set(EXPLAIN) == set(Reason)


def test_a_call_may_last_through_the_classes_that_follow_without_a_long_break() -> None:
    hour, half = timedelta(hours=1), timedelta(minutes=30)
    through = [(T0, T0 + hour), (T0 + hour + half, T0 + 2 * hour)]

    assert call_lasts_until(ends_at=T0, following=[]) == T0
    assert call_lasts_until(ends_at=T0, following=through) == T0 + 2 * hour
    later = (T0 + 3 * hour, T0 + 4 * hour)
    assert call_lasts_until(ends_at=T0, following=[*through, later]) == T0 + 2 * hour
    for_days = (T0 + half, T0 + 60 * hour)  # a room that is left open over the weekend
    assert call_lasts_until(ends_at=T0, following=[for_days]) == T0 + CALL_AT_MOST
