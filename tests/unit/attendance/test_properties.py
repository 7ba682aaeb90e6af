"""What must hold of any stays, windows, zones and histories (S01)."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from attendance.domain.calendar import parse_event
from attendance.domain.intervals import Interval, clip, length, union
from attendance.domain.kinds import Flag, OutcomeKind
from attendance.domain.presence import Policy, Verdict, Window, effective_window, judge
from attendance.domain.records import parse_page
from attendance.domain.streaks import Past, streak

START = datetime(2026, 6, 2, 18, tzinfo=UTC)
SECOND = timedelta(seconds=1)
# From the worst to the best. Late and left early are two faults of the same weight.
RANK = {
    OutcomeKind.MISSED: 0,
    OutcomeKind.PARTIAL: 1,
    OutcomeKind.LEFT_EARLY: 2,
    OutcomeKind.LATE: 2,
    OutcomeKind.ATTENDED: 3,
}


def span(begin: int, seconds: int) -> Interval:
    return START + begin * SECOND, START + (begin + seconds) * SECOND


# Classes of 3 minutes to 3 hours: so short that the graces meet, and longer than they do.
WINDOWS = st.integers(180, 3 * 3600).map(lambda n: Window(*span(0, n)))
STAYS = st.lists(st.builds(span, st.integers(-3600, 4 * 3600), st.integers(0, 7200)), max_size=8)
POLICIES = st.builds(
    Policy,
    min_presence=st.integers(0, 600).map(lambda n: n * SECOND),
    late_grace=st.integers(0, 1800).map(lambda n: n * SECOND),
    early_grace=st.integers(0, 1800).map(lambda n: n * SECOND),
    partial_below=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]),
)


def judged(stays: list[Interval], window: Window, policy: Policy) -> Verdict:
    return judge(stays=stays, window=window, policy=policy)


# --- presence -----------------------------------------------------------------------------------


@given(stays=STAYS)
def test_the_union_is_no_longer_than_the_sum_and_no_shorter_than_the_longest(
    stays: list[Interval],
) -> None:
    whole = union(stays)

    assert length(whole) <= length(stays)
    assert length(whole) >= max((end - start for start, end in stays), default=timedelta())
    assert union(whole) == whole
    # Second by second, as one would count by hand.
    inside = {
        START + n * SECOND
        for start, end in stays
        for n in range(int((start - START) / SECOND), int((end - START) / SECOND))
    }
    assert length(whole) == len(inside) * SECOND


@given(stays=STAYS, window=WINDOWS, policy=POLICIES)
def test_presence_fits_into_the_window(
    stays: list[Interval], window: Window, policy: Policy
) -> None:
    found = judged(stays, window, policy)

    assert timedelta() <= found.present <= min(window.length, length(stays))
    assert 0 <= found.share <= 1
    if found.first_join_at is None or found.last_leave_at is None:
        assert found.present == timedelta()
    else:
        assert window.starts_at <= found.first_join_at < found.last_leave_at <= window.ends_at


@given(stays=STAYS, window=WINDOWS, policy=POLICIES, seed=st.integers(0, 99))
def test_the_order_of_records_says_nothing(
    stays: list[Interval], window: Window, policy: Policy, seed: int
) -> None:
    shuffled = [*stays, *stays]
    random.Random(seed).shuffle(shuffled)

    once, twice = judged(stays, window, policy), judged(shuffled, window, policy)

    # Said twice, only the flag of the second device may differ.
    assert (once.outcome, once.present, once.first_join_at, once.last_leave_at) == (
        twice.outcome, twice.present, twice.first_join_at, twice.last_leave_at,
    )  # fmt: skip
    shuffled = list(stays)
    random.Random(seed).shuffle(shuffled)
    assert judged(shuffled, window, policy) == once
    planned = {"starts_at": window.starts_at, "ends_at": window.ends_at}
    assert effective_window(people=shuffled, **planned) == effective_window(people=stays, **planned)


@given(stays=STAYS, more=STAYS, window=WINDOWS, policy=POLICIES)
@example([], [span(0, 3600)], Window(*span(0, 3600)), Policy())
def test_more_presence_never_makes_a_worse_outcome(
    stays: list[Interval], more: list[Interval], window: Window, policy: Policy
) -> None:
    """At a fixed window: missed < partial < late, left early < attended, and no flag is gained.

    Late and left early cannot be ordered: who left early and now stays to the end, but came
    late, changes from left early to late; the two faults are independent, and each can only go.
    """
    fewer, richer = judged(stays, window, policy), judged([*stays, *more], window, policy)

    assert richer.present >= fewer.present
    assert RANK[richer.outcome] >= RANK[fewer.outcome]
    if fewer.present:
        faults = {Flag.LATE, Flag.LEFT_EARLY, Flag.BRIEF}
        assert set(richer.flags) & faults <= set(fewer.flags) & faults
    if richer.outcome == OutcomeKind.LEFT_EARLY:
        assert fewer.outcome != OutcomeKind.LATE


JOINERS = st.builds(span, st.integers(-60, 7200), st.integers(1, 7200))
PLANNED = {"starts_at": START, "ends_at": START + timedelta(hours=1)}


@given(stays=STAYS, people=STAYS, joiner=JOINERS)
def test_another_persons_record_takes_no_second_from_anybody(
    stays: list[Interval], people: list[Interval], joiner: Interval
) -> None:
    """More people can only widen the window that counts."""
    assume(clip(people, start=PLANNED["starts_at"], end=PLANNED["ends_at"]))
    before = effective_window(people=people, **PLANNED)
    after = effective_window(people=[*people, joiner], **PLANNED)

    assert after.starts_at <= before.starts_at < before.ends_at <= after.ends_at
    assert judged(stays, after, Policy()).present >= judged(stays, before, Policy()).present


def test_where_the_window_follows_the_people_more_presence_may_be_a_smaller_share() -> None:
    """Alone until minute 20 is a whole class; back for the last minute, it is a third of one."""
    alone, back = span(0, 1200), span(3540, 60)
    whole = effective_window(people=[alone], **PLANNED)
    wider = effective_window(people=[alone, back], **PLANNED)

    assert judged([alone], whole, Policy()).outcome == OutcomeKind.ATTENDED
    assert judged([alone, back], wider, Policy()).outcome == OutcomeKind.PARTIAL


def test_a_course_without_a_least_presence_still_calls_nobody_present() -> None:
    policy = Policy(min_presence=timedelta(), partial_below=0.0)

    assert judged([], Window(*span(0, 3600)), policy).outcome == OutcomeKind.MISSED
    assert judged([span(3599, 9)], Window(*span(0, 3600)), policy).outcome == OutcomeKind.LATE


# --- zones --------------------------------------------------------------------------------------

# While the class is held, the clocks of one of these zones change: either way, or by half an hour.
CHANGES = [
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 11, 1, 6, tzinfo=UTC),
    datetime(2026, 4, 4, 15, tzinfo=UTC),
    datetime(2026, 4, 23, 22, tzinfo=UTC),
]
ZONES = [
    "UTC", "Europe/Madrid", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo",
    "Asia/Kathmandu", "Pacific/Kiritimati",
]  # fmt: skip


def read_in(zone: str, starts_at: datetime, stay: Interval) -> tuple[Verdict, list[datetime]]:
    """Judge a stay whose class and record are written in the offsets of `zone`."""
    local = ZoneInfo(zone)
    event = parse_event(
        {
            "id": "e",
            "start": {"dateTime": starts_at.astimezone(local).isoformat(), "timeZone": zone},
            "end": {"dateTime": (starts_at + timedelta(hours=1)).astimezone(local).isoformat()},
        }
    )
    seconds = str(int((stay[1] - stay[0]).total_seconds()))
    parameters = [{"name": "duration_seconds", "intValue": seconds}]
    log = {
        "id": {"time": stay[1].astimezone(local).isoformat()},
        "events": [{"name": "call_ended", "parameters": parameters}],
    }
    (record,) = parse_page([log]).endpoints
    assert event is not None
    assert event.starts_at is not None
    assert event.ends_at is not None
    found = (record.started_at, record.ended_at)
    window = effective_window(starts_at=event.starts_at, ends_at=event.ends_at, people=[found])
    moments = [event.starts_at, event.ends_at, *found, window.starts_at, window.ends_at]
    return judged([found], window, Policy()), moments


@given(
    zone=st.sampled_from(ZONES),
    change=st.sampled_from(CHANGES),
    begins=st.integers(-90, 30),
    joins=st.integers(-30, 70),
    stays=st.integers(0, 120),
)
def test_neither_zone_nor_summer_time_alters_what_is_concluded(
    zone: str, change: datetime, begins: int, joins: int, stays: int
) -> None:
    starts_at = change + timedelta(minutes=begins)
    joined = starts_at + timedelta(minutes=joins)
    stay = (joined, joined + timedelta(minutes=stays))

    there, moments = read_in(zone, starts_at, stay)

    assert (there, moments) == read_in("UTC", starts_at, stay)
    assert {moment.utcoffset() for moment in moments} == {timedelta()}
    assert moments[1] - moments[0] == timedelta(hours=1)
    assert moments[3] - moments[2] == timedelta(minutes=stays)


# --- streaks ------------------------------------------------------------------------------------

PASTS = {
    "a": Past(OutcomeKind.ATTENDED, effective=True),
    "l": Past(OutcomeKind.LATE, effective=True),
    "m": Past(OutcomeKind.MISSED, effective=True),
    "p": Past(OutcomeKind.MISSED, effective=True, pledged=True),
    "b": Past(OutcomeKind.MISSED, effective=True, brief=True),
    "e": Past(OutcomeKind.EXCUSED, effective=True),
    "w": Past(OutcomeKind.PENDING, effective=False),
    "u": Past(OutcomeKind.UNKNOWN, effective=False),
    "n": Past(OutcomeKind.MISSED, effective=False),  # concluded, but not yet to be acted on
    "s": Past(OutcomeKind.LATE, effective=False),
}


@pytest.mark.parametrize(
    ("oldest_first", "fact", "expected"),
    [
        pytest.param("meem", "missed", 2, id="two excused in between"),
        pytest.param("mme", "missed", 2, id="the newest excused"),
        pytest.param("eee", "missed", 0, id="all excused"),
        pytest.param("mmn", "missed", 0, id="the newest not settled"),
        pytest.param("mnm", "missed", 1, id="one not settled in between"),
        pytest.param("mwe", "missed", 0, id="excused after one that waits"),
        pytest.param("mue", "missed", 0, id="excused after one that is unknown"),
        pytest.param("mmb", "missed", 0, id="the newest seen briefly"),
        pytest.param("lal", "late", 1, id="late, attended, late"),
        pytest.param("lels", "late", 0, id="late, but not settled"),
        pytest.param("ppep", "missed_pledged", 3, id="an excuse between broken promises"),
        pytest.param("ppep", "missed", 3, id="which are absences, too"),
    ],
)
def test_histories(oldest_first: str, fact: str, expected: int) -> None:
    newest_first = [PASTS[word] for word in reversed(oldest_first)]

    assert streak(newest_first=newest_first, fact=fact) == expected


@pytest.mark.parametrize(
    ("fact", "words"), [("missed", "mp"), ("missed_pledged", "p"), ("late", "l"), ("attended", "a")]
)
@given(history=st.text("".join(PASTS), max_size=12))
def test_a_streak_is_what_one_reads_off_the_end(history: str, fact: str, words: str) -> None:
    newest_first = [PASTS[word] for word in reversed(history)]
    tail = re.search(f"[{words}]*$", history.replace("e", ""))

    assert tail is not None
    assert streak(newest_first=newest_first, fact=fact) == len(tail[0])
