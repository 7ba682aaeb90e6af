"""Calls of which nobody knows yet whether they were the class (S01, N04)."""

from __future__ import annotations

from typing import Any

import pytest

from attendance.domain.kinds import IdentityKind
from attendance.models import ClassSession, Conference, Course
from attendance.services import identities, review
from attendance.services.matching import match
from tests.factories.classes import (
    STARTS,
    facts,
    judge,
    make_class,
    make_course,
    open_items,
    outcome_of,
    stay,
)

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("changed", "outcome"),
    [
        ({}, "pending"),
        ({"organizer_email": "somebody@else.example"}, "missed"),
        ({"decided_by": "eve"}, "missed"),
    ],
)
def test_nobody_is_missed_who_stayed_in_the_call_of_the_old_link(
    changed: dict[str, str], outcome: str
) -> None:
    """Another one's call, or one that a person found to be no class, proves nothing."""
    course, (rosa, amir) = make_course("Rosa Maro", "Amir Lindt")
    held, old = make_class(course), make_class(course, meeting_code="old")
    stay(held, email=amir.email)
    stay(old, email=rosa.email)
    Conference.objects.filter(matches__session=old).update(**changed)
    old.delete()  # its call is no class: the link of the class is another one by now

    judge(held)

    assert outcome_of(amir, held).outcome == "attended"
    assert outcome_of(rosa, held).outcome == outcome
    assert ("missed" in facts(rosa)) == (outcome == "missed")


@pytest.mark.parametrize("organizer", ["c_1@group.calendar.google.com", "Host@School.example"])
def test_a_shared_calendar_organises_its_classes_and_opens_no_call(organizer: str) -> None:
    """Who opened the call of the class is its host, whatever the event names."""
    course, (rosa, amir) = make_course("Rosa Maro", "Amir Lindt")
    held = make_class(course, organizer_email=organizer)
    old = make_class(course, meeting_code="old")
    stay(held, email=amir.email)
    stay(old, email=rosa.email)
    old.delete()

    judge(held)

    assert (outcome_of(rosa, held).outcome, facts(rosa)) == ("pending", [])


def in_question(course: Course, held: ClassSession, **seen: Any) -> None:
    """A second call on the link of a class, which somebody of another domain opened."""
    other = make_class(course)
    stay(other, **seen)
    call = Conference.objects.filter(matches__session=other)
    call.update(organizer_email="somebody@else.example", dirty_at=held.ends_at)
    other.delete()
    match(now=held.ends_at)
    assert len(open_items("ambiguous_call")) == 1


def test_nobody_is_missed_who_was_in_a_call_that_staff_are_asked_about() -> None:
    course, (rosa, amir, bea) = make_course("Rosa Maro", "Amir Lindt", "Bea Brandt")
    held = make_class(course)
    stay(held, email=amir.email)
    in_question(course, held, email=rosa.email)

    now = judge(held)

    assert (facts(rosa), "missed" in facts(bea)) == ([], True)
    (item,) = open_items("ambiguous_call")
    review.decide(item=item, choice="none", by="ann", now=now)
    assert facts(rosa) == ["missed"]


def test_whom_staff_know_by_a_name_is_known_in_a_call_once_they_say_whose_it_was() -> None:
    """Not only at the next reading: they would be told meanwhile that they were missed."""
    course, (rosa, amir) = make_course("Rosa Maro", "Amir Lindt")
    held, mask = make_class(course), "b***@w***.com"
    stay(held, email=amir.email)
    identities.confirm_identity(
        learner=rosa, kind=IdentityKind.MASKED_EMAIL, value=f"{mask}|bunny", course=course,
        by="ann", now=STARTS,
    )  # fmt: skip
    in_question(course, held, name="Bunny", identifier=mask, mark=f"masked_email:{mask}|bunny")
    now = judge(held)
    assert facts(rosa) == []

    (item,) = open_items("ambiguous_call")
    review.decide(item=item, choice=f"class:{held.pk}", by="ann", now=now)

    assert facts(rosa) == ["attended", "first_attended"]
