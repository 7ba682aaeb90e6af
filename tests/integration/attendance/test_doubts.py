"""Classes whose records are doubted: hardly anybody seen, nobody, or half a reading (N04)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from attendance import services
from attendance.models import ClassSession, SyncRun
from attendance.services import review
from attendance.services.matching import link_known
from tests.factories.classes import (
    facts,
    judge,
    make_class,
    make_course,
    open_items,
    outcome_of,
    read_log,
    stay,
)

pytestmark = pytest.mark.django_db
BY = "ann"


def test_so_few_of_the_expected_that_staff_are_asked_first() -> None:
    course, learners = make_course("A A", "B B", "C C", "D D", "E E", "F F")
    session = make_class(course)
    stay(session, email=learners[0].email)
    now = judge(session)

    assert {outcome_of(who, session).outcome for who in learners[1:]} == {"pending"}
    (item,) = open_items("low_share")
    review.decide(item=item, choice="few_came", by=BY, now=now)
    assert {outcome_of(who, session).outcome for who in learners[1:]} == {"missed"}


def test_so_few_that_nobody_confirms_end_unknown_and_the_class_comes_to_rest() -> None:
    course, learners = make_course("A A", "B B", "C C", "D D", "E E", "F F")
    session = make_class(course)
    stay(session, email=learners[0].email)

    now = judge(session, after=timedelta(hours=25))

    assert {outcome_of(who, session).outcome for who in learners[1:]} == {"unknown"}
    session.refresh_from_db()
    assert (session.status, session.next_check_at) == ("settled", None)
    assert services.settle(now=now).settled == 0


def test_a_class_without_anybody_is_no_data_until_records_come() -> None:
    course, (rosa, amir) = make_course("Rosa Maro", "Amir Lindt")
    session = make_class(course)
    session.matches.get().conference.endpoints.all().delete()

    judge(session)

    assert outcome_of(rosa, session).reason == "no_human_seen"
    assert ClassSession.objects.get().status == "no_data"
    assert len(open_items("no_data")) == 1
    stay(session, email=amir.email)
    judge(session, after=timedelta(hours=4))
    assert outcome_of(rosa, session).outcome == "missed"
    assert open_items("no_data") == []


def test_half_a_reading_says_full_presence_and_nothing_that_the_rest_could_change() -> None:
    """A page may hold the second half of a stay, or the record of somebody who came first."""
    course, (rosa, amir) = make_course("Rosa Maro", "Amir Lindt")
    session = make_class(course)
    stay(session, email=rosa.email)
    stay(session, email=amir.email, start=40)
    now = session.ends_at + timedelta(minutes=35)

    link_known(now=now)
    services.settle_session(session_id=session.pk, now=now)

    assert (outcome_of(rosa, session).effective, facts(amir)) == (True, [])
    assert (outcome_of(amir, session).outcome, outcome_of(amir, session).reason) == (
        "partial", "sync_incomplete",
    )  # fmt: skip
    stay(session, email=amir.email, end=39)
    judge(session, after=timedelta(minutes=40))
    assert facts(amir) == ["attended", "first_attended"]


def test_a_reading_that_ends_before_the_wait_is_over_does_not_cover_the_class() -> None:
    course, (amir,) = make_course("Amir Lindt")
    session = make_class(course)
    stay(session, email=amir.email, start=40)
    read_log(at=session.ends_at + timedelta(minutes=20))
    link_known(now=session.ends_at)

    services.settle_session(session_id=session.pk, now=session.ends_at + timedelta(minutes=40))

    assert not outcome_of(amir, session).effective
    judge(session, after=timedelta(minutes=41))
    assert facts(amir) == ["partial"]


def test_a_reading_that_broke_off_makes_google_no_faster() -> None:
    """Half a page of late records wakes the class; the other half may be yours."""
    course, (rosa, amir) = make_course("Rosa Maro", "Amir Lindt")
    session = make_class(course)
    stay(session, email=amir.email)
    now = session.ends_at + timedelta(minutes=181)
    read_log(at=now)
    SyncRun.objects.update(lag_p99_seconds=5 * 3600)
    SyncRun.objects.create(
        source="meet", kind="routine", state="partial", failure="transient", started_at=now,
        window_start_at=now - timedelta(hours=6), window_end_at=now, finished_at=now,
    )  # fmt: skip

    link_known(now=now)
    services.settle_session(session_id=session.pk, now=now)

    assert (outcome_of(rosa, session).reason, facts(rosa)) == ("not_settled_yet", [])


def test_who_is_seen_briefly_after_all_is_not_missed_any_more() -> None:
    """Of who was there for a moment no absence is said, so what was said is taken back."""
    course, (rosa, amir) = make_course("Rosa Maro", "Amir Lindt")
    session = make_class(course)
    stay(session, email=amir.email)
    judge(session)
    assert facts(rosa) == ["missed"]

    stay(session, email=rosa.email, end=1.5)
    judge(session, after=timedelta(hours=5))

    assert (facts(rosa), len(open_items("brief"))) == (["missed", "corrected"], 1)


def test_who_joins_a_running_course_is_missed_in_no_class_that_had_begun() -> None:
    """An import says who is in a course and not since when; having been there counts."""
    course, (rosa, amir) = make_course("Rosa Maro", "Amir Lindt")
    first = make_class(course)
    stay(first, email=amir.email)
    yesterday = make_class(course, weeks=1)
    stay(yesterday, email=amir.email)
    stay(yesterday, email="lena@school.example")
    judge(first)

    ben, lena = (
        services.upsert_learner(
            email=f"{name}@school.example", name=name, calendar_ids=[course.calendar_id],
            now=yesterday.ends_at,
        )
        for name in ("ben", "lena")
    )  # fmt: skip
    judge(yesterday)

    assert facts(rosa) == ["missed", "missed"]
    assert (facts(ben), outcome_of(ben, yesterday).reason) == ([], "noted_later")
    assert outcome_of(lena, yesterday).outcome == "attended"
    following = make_class(course, weeks=2)
    stay(following, email=amir.email)
    judge(following)
    assert facts(ben) == ["missed"]
