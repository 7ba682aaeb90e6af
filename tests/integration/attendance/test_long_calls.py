"""A day of classes in one call: the log tells of nobody before they leave it (N04)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.factories.classes import STARTS, facts, judge, make_class, make_course, stay

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def test_who_is_still_in_the_call_of_the_class_after_next_was_not_missed() -> None:
    course, (rosa, amir) = make_course("Rosa Maro", "Amir Lindt")
    first, *_ = [
        make_class(course, starts_at=STARTS + n * HOUR, ends_at=STARTS + (n + 1) * HOUR)
        for n in range(4)
    ]
    stay(first, email=amir.email)  # he left, so there is a record of him

    judge(first)
    assert (facts(rosa), "attended" in facts(amir)) == ([], True)

    stay(first, email=rosa.email, end=4 * 60)
    judge(first, after=4 * HOUR)
    assert facts(rosa) == ["attended", "first_attended"]


@pytest.mark.parametrize("other", ["later", "elsewhere"])
def test_another_call_is_not_waited_for(other: str) -> None:
    course, (rosa, amir) = make_course("Rosa Maro", "Amir Lindt")
    first = make_class(course)
    begins = first.ends_at + (2 * HOUR if other == "later" else timedelta())
    make_class(
        course, starts_at=begins, ends_at=begins + HOUR,
        meeting_code=first.meeting_code if other == "later" else "elsewhere",
    )  # fmt: skip
    stay(first, email=amir.email)

    judge(first)

    assert facts(rosa) == ["missed"]
