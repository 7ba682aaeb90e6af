"""The Meet link of a class is replaced while some are in the call of the old one (S01)."""

from __future__ import annotations

import pytest

from attendance.models import Conference
from tests.factories.classes import facts, judge, make_class, make_course, outcome_of, stay

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
