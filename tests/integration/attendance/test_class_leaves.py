"""N03: the learners of a class are leafed through, in as many statements however many they are."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from attendance import services
from attendance.models import ClassSession, Enrolment, Learner, LearnerIdentity, Outcome, Pledge
from attendance.services.matching import link_known
from tests.factories.classes import STARTS, judge, make_class, make_course, stay
from tests.integration.attendance.test_class_pages import LIST, MOST_QUERIES, page, staff

pytestmark = pytest.mark.django_db


def crowd(count: int) -> ClassSession:
    """A class with so many learners, each on a device of their own, but for every tenth."""
    course, _ = make_course("Rosa Maro")
    session = make_class(course)
    learners = Learner.objects.bulk_create(
        Learner(
            email=f"p{n}@{course.pk}.example", email_key=f"p{n}@{course.pk}.example",
            name=f"Person {n:03}", created_at=STARTS,
        )
        for n in range(count)
    )  # fmt: skip
    Enrolment.objects.bulk_create(Enrolment(learner=who, course=course) for who in learners)
    LearnerIdentity.objects.bulk_create(
        LearnerIdentity(
            learner=who, kind="email", value_key=who.email, status="verified", created_at=STARTS
        )
        for who in learners
    )
    Pledge.objects.bulk_create(
        Pledge(learner=who, session=session, state="yes", answered_at=STARTS)
        for who in learners[::3]
    )
    for number, who in enumerate(learners):
        if number % 10:
            stay(session, email=who.email, start=number % 20)
    judge(session)
    return session


def rows(text: str) -> list[int]:
    """Which learners stand in the table of a class, in their order."""
    return [int(pk) for pk in re.findall(r'<tr id="learner-(\d+)"', text)]


def asked(client: Client, address: str) -> int:
    """How many statements a page takes, once whatever is only asked for once is known."""
    client.get(address)
    with CaptureQueriesContext(connection) as seen:
        assert client.get(address).status_code == 200
    return len(seen)


def test_many_learners_are_leafed_through_in_few_queries(
    client: Client, django_assert_max_num_queries: Any
) -> None:
    """N03: each stands on one page, those first of whom staff have to know."""
    few, session = crowd(2), crowd(120)
    who = Learner.objects.get(name="Person 007", enrolments__course=session.course)
    later = session.ends_at + timedelta(hours=4)
    services.open_dispute(learner=who, session=session, note="I was there.", now=later)
    staff(client, "operator")

    with django_assert_max_num_queries(MOST_QUERIES):
        first = client.get(page(session)).content.decode()
    pages = [rows(client.get(page(session), {"p": n}).content.decode()) for n in range(1, 4)]
    with django_assert_max_num_queries(MOST_QUERIES):
        listed = client.get(LIST).content.decode()

    assert [len(found) for found in pages] == [50, 50, 21]
    assert len({pk for found in pages for pk in found}) == 121
    assert rows(first) == pages[0]
    assert rows(first)[0] == who.pk
    assert Outcome.objects.get(learner=rows(first)[1], session=session).outcome == "missed"
    assert "1 to 50 of 121" in first
    assert "?p=2#who" in first
    assert "100% sure" in listed
    assert asked(client, page(few)) == asked(client, page(session))


def test_a_learner_is_found_on_the_page_that_has_them(client: Client) -> None:
    session = crowd(60)
    last = Learner.objects.get(name="Person 045", enrolments__course=session.course)
    staff(client, "viewer")

    text = client.get(page(session), {"learner": last.pk}).content.decode()
    late = client.get(page(session), {"outcome": "late", "p": "9"}).content.decode()

    assert last.pk in rows(text)
    assert "51 to 61 of 61" in text
    assert f"?learner={last.pk}&amp;p=1#who" in text
    assert len(rows(late)) < 50  # a page that there is not is the last one
    assert "1 to 50 of 61" in client.get(page(session), {"learner": "x"}).content.decode()


@pytest.mark.parametrize("kind", ["guest", "other"])
def test_strangers_are_leafed_through_as_well(client: Client, kind: str) -> None:
    session, what = crowd(2), "human" if kind == "guest" else "visitor"
    for number in range(55):
        stay(session, name=f"Stranger {number:02}", kind=what)
    staff(client, "operator")
    key = kind[0]

    first = client.get(page(session)).content.decode()
    second = client.get(page(session), {key: "2"}).content.decode()

    assert f"?{key}=2#{'guests' if kind == 'guest' else 'others'}" in first
    assert "Stranger 03" in first
    assert "Stranger 03" not in second
    assert "Stranger 54" in second


def test_an_outcome_is_explained_in_as_many_queries_whoever_was_there(client: Client) -> None:
    """N03: evidence is gathered once; unfold reads each field four times."""
    few, many = crowd(2), crowd(40)
    staff(client, "operator")
    outcomes = [
        Outcome.objects.get(learner__name="Person 001", session=session) for session in (few, many)
    ]
    for number in range(30):
        stay(many, email=outcomes[1].learner.email, start=number, endpoint_id=f"again{number}")
    link_known(now=many.ends_at)
    to = [reverse("admin:attendance_outcome_change", args=[row.pk]) for row in outcomes]

    counted = [asked(client, address) for address in to]

    assert counted[0] == counted[1] <= MOST_QUERIES
    text = client.get(to[1]).content.decode()
    assert text.count("recognised by") == 1
    assert text.count("web") > 30
    Outcome.objects.filter(pk=outcomes[0].pk).update(reason="a_reason_of_an_older_version")
    assert asked(client, to[0]) == counted[0]  # and the rules are still told
    assert "holds" in client.get(to[0]).content.decode()
