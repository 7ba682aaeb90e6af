"""By what people are recognised, where that holds, and classes that people do not come to."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from attendance import services
from attendance.domain.calendar import parse_event
from attendance.domain.kinds import IdentityKind
from attendance.models import AttendancePolicy, ReviewItem
from attendance.services import review
from attendance.services.questions import answer_known
from attendance.services.timetable import store_events
from tests.factories.classes import (
    facts,
    judge,
    make_class,
    make_course,
    open_items,
    outcome_of,
    stay,
)

pytestmark = pytest.mark.django_db
BY = "ann"


def test_an_account_number_and_a_masked_address_link_once_they_are_confirmed() -> None:
    course, (rosa, amir) = make_course("Rosa Maro", "Amir Lindt")
    first, second = make_class(course), make_class(course, weeks=1)
    for session in (first, second):
        stay(session, email="ro***@s***.example", name="R")
        stay(session, name="iPad", google_user_id="1234567")
    now = judge(first)
    masked = next(item for item in open_items("guest") if item.mark.startswith("masked_email:"))
    assert masked.evidence["candidates"] == [rosa.pk]
    review.decide(item=masked, choice=f"is:{rosa.pk}", by=BY, now=now)
    services.confirm_identity(
        learner=amir, kind=IdentityKind.GOOGLE_USER_ID, value="1234567", course=None, by=BY, now=now
    )

    judge(second)

    assert outcome_of(rosa, second).outcome == outcome_of(amir, second).outcome == "attended"
    rules = second.matches.get().conference.endpoints.exclude(learner=None)
    assert set(rules.values_list("identity_rule", flat=True)) == {
        "masked_email:staff_confirmed", "google_user_id:staff_confirmed",
    }  # fmt: skip


def test_a_name_that_staff_confirmed_means_somebody_in_that_course_only() -> None:
    course, (rosa, _) = make_course("Rosa Maro", "Amir Lindt")
    other, (bea, _) = make_course("Bea Brandt", "Cleo Costa")
    here, there = make_class(course), make_class(other, meeting_code="zzz")
    stay(here, name="Mom's iPad")
    stay(there, name="Mom's iPad")
    now = judge(here)
    judge(there)
    item = next(item for item in open_items("guest") if item.course == course)

    review.decide(item=item, choice=f"is:{rosa.pk}", by=BY, now=now)
    judge(there, after=timedelta(hours=4))

    assert outcome_of(rosa, here).outcome == "attended"
    assert outcome_of(bea, there).reason == "unresolved_guest"


def test_who_declined_is_excused_unless_the_course_says_otherwise() -> None:
    course, (rosa, amir) = make_course("Rosa Maro", "Amir Lindt")
    strict, (bea, cleo) = make_course("Bea Brandt", "Cleo Costa")
    AttendancePolicy.objects.create(course=strict, version=2, declined_is_excused=False)
    kind = make_class(course, declined=[rosa.email_key])
    hard = make_class(strict, declined=[bea.email_key], meeting_code="zzz")
    stay(kind, email=amir.email)
    stay(hard, email=cleo.email)

    judge(kind)
    judge(hard)

    assert outcome_of(rosa, kind).outcome == "excused"
    assert outcome_of(rosa, kind).effective
    assert facts(rosa) == []
    assert outcome_of(bea, hard).outcome == "missed"


def test_a_class_called_off_after_it_was_judged_takes_its_absences_back() -> None:
    course, (rosa, amir) = make_course("Rosa Maro", "Amir Lindt")
    session = make_class(course)
    stay(session, email=amir.email)
    now = judge(session)
    gone = parse_event({"id": session.event_id, "status": "cancelled"})
    assert gone is not None

    store_events(course=course, events=[gone], now=now)

    session.refresh_from_db()
    assert session.status == "cancelled"
    assert outcome_of(rosa, session).reason == "session_cancelled"
    assert facts(rosa) == ["missed", "corrected"]


def test_somebody_who_was_known_and_is_not_is_asked_about_again() -> None:
    course, (rosa, _) = make_course("Rosa Maro", "Amir Lindt")
    session = make_class(course)
    stay(session, email="shared@else.example", name="Rosa Maro")
    now = judge(session)
    services.confirm_identity(
        learner=rosa, kind=IdentityKind.ALIAS, value="shared@else.example", course=None, by=BY,
        now=now,
    )  # fmt: skip
    answer_known(now=now)
    assert open_items("guest") == []

    services.reject_identity(
        learner=rosa, kind=IdentityKind.ALIAS, value="shared@else.example", course=None, by=BY,
        now=now,
    )  # fmt: skip
    judge(session, after=timedelta(hours=4))

    assert [item.mark for item in open_items("guest")] == ["email:shared@else.example"]


def test_an_account_that_is_rejected_takes_its_calls_with_it() -> None:
    course, (rosa, _) = make_course("Rosa Maro", "Amir Lindt")
    session = make_class(course)
    stay(session, name="iPad", google_user_id="77")
    whose: dict[str, Any] = {
        "learner": rosa, "kind": IdentityKind.GOOGLE_USER_ID, "value": "77", "course": None,
        "by": BY, "now": session.ends_at,
    }  # fmt: skip
    services.confirm_identity(**whose)
    judge(session)
    assert outcome_of(rosa, session).outcome == "attended"

    services.reject_identity(**whose)
    judge(session, after=timedelta(hours=4))

    assert outcome_of(rosa, session).outcome == "pending"
    assert facts(rosa)[-1] == "corrected"


def test_a_room_is_asked_about_once_and_holds_nobody() -> None:
    course, (rosa, amir) = make_course("Rosa Maro", "Amir Lindt")
    first, second = make_class(course), make_class(course, weeks=1)
    for session in (first, second):
        stay(session, email=amir.email)
        stay(session, name="Room 5", kind="room", device_type="chromebox", mark="device:box-5")
    now = judge(first)
    (item,) = open_items("guest")

    review.decide(item=item, choice="room", by=BY, now=now)
    judge(second)

    assert open_items("guest") == []
    assert outcome_of(rosa, first).outcome == outcome_of(rosa, second).outcome == "missed"
    assert outcome_of(amir, second).outcome == "attended"


def test_a_visitor_of_one_course_is_asked_about_again_there_and_nowhere_else() -> None:
    course, _ = make_course("Rosa Maro")
    other, (amir,) = make_course("Amir Lindt")
    here, there = make_class(course), make_class(other)
    stay(here, name="iPad")
    stay(there, name="iPad")
    judge(here)
    now = judge(there)
    for item in open_items("guest"):
        review.decide(item=item, choice="visitor", by=BY, now=now)

    review.reopen(item=ReviewItem.objects.get(kind="guest", course=course), by=BY, now=now)
    services.settle_session(session_id=there.pk, now=now)

    assert (outcome_of(amir, there).outcome, facts(amir)) == ("missed", ["missed"])


@pytest.mark.parametrize("sure", [True, False], ids=["confirmed", "named to the bot"])
def test_a_masked_address_may_be_any_of_a_learners(sure: bool) -> None:
    """Who joins with another address than the imported one is held back by its mask as well."""
    course, (rosa, amir, bea) = make_course("Rosa Maro", "Amir Lindt", "Bea Brandt")
    session = make_class(course)
    services.suggest_address(
        learner=rosa, email="bunny@work.example", origin="bot", now=session.starts_at
    )
    if sure:
        services.confirm_identity(
            learner=rosa, kind=IdentityKind.ALIAS, value="bunny@work.example", course=None, by=BY,
            now=session.starts_at,
        )  # fmt: skip
    stay(session, email=amir.email)
    stay(session, email="bu***@w***.example", name="Bunny")

    judge(session)

    assert (facts(rosa), facts(bea)) == ([], ["missed"])
    (item,) = open_items("guest")
    assert item.evidence["candidates"] == [rosa.pk]
