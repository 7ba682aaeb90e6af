"""N03, N05, N20: the list of classes and the page of one, in words, at scale, for each role."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.urls import reverse

from attendance import services
from attendance.models import (
    AttendanceEvent,
    ClassSession,
    Learner,
    Outcome,
    Pledge,
    SyncRun,
)
from nurture.services.roles import set_up_roles
from tests.factories.classes import (
    STARTS,
    judge,
    make_class,
    make_course,
    open_items,
    outcome_of,
    read_log,
    stay,
)

pytestmark = pytest.mark.django_db
LIST = reverse("admin:attendance_classsession_changelist")
READINGS = reverse("admin:attendance_syncrun_changelist")
MOST_QUERIES = 17


def staff(client: Client, role: str) -> User:
    """Somebody with this role is logged in."""
    set_up_roles()
    user = User.objects.create_user(role, password="x", is_staff=True)
    user.groups.set([Group.objects.get(name=role)])
    client.force_login(user)
    return user


def page(session: ClassSession) -> str:
    """Where a class is looked at."""
    return reverse("admin:attendance_classsession_change", args=[session.pk])


def correct(outcome: Outcome) -> str:
    """Where an outcome is put right."""
    return reverse("admin:attendance_outcome_correct", args=[outcome.pk])


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> ClassSession:
    """Amir was there, Rosa pledged and was not seen, a guest shows her name."""
    course, (rosa, amir) = make_course("Rosa Maro", "Amir Lindt")
    session = make_class(course)
    Pledge.objects.create(learner=rosa, session=session, state="yes", answered_at=STARTS)
    stay(session, email=amir.email, start=20)
    stay(session, name="Rosa Maro", end=55)
    now = judge(session)
    monkeypatch.setattr("django.utils.timezone.now", lambda: now)
    return session


def test_the_list_says_how_sure_and_how_it_went(client: Client, held: ClassSession) -> None:
    staff(client, "viewer")

    text = client.get(LIST).content.decode()

    for words in ("settling", "50% sure", "1 unmatched", "one question open", "1 late",
                  "1 pending", "0 of 1 came", "This week"):  # fmt: skip
        assert words in text, words
    assert "Nothing fits this search" in client.get(LIST, {"q": "nothing"}).content.decode()


def test_the_list_is_narrowed_to_a_week(client: Client, held: ClassSession) -> None:
    staff(client, "viewer")
    week = {
        "starts_at__gte": "2026-06-01T00:00:00+00:00",
        "starts_at__lt": "2026-06-08T00:00+00:00",
    }
    before = {"starts_at__lt": "2026-06-01T00:00:00+00:00"}

    assert page(held) in client.get(LIST, week).content.decode()
    assert page(held) not in client.get(LIST, before).content.decode()


def test_the_page_tells_who_why_and_what_is_awaited(client: Client, held: ClassSession) -> None:
    staff(client, "operator")

    text = client.get(page(held)).content.decode()

    for words in (
        "Seen, but the first join came after the grace at the start.",
        "on web",  # the bar in words
        "One learner waits for who a guest was; then it is unknown.",
        "Could be", "The name in the call is theirs.", "Say who it is",
        "✓ said yes", "Deciding rule: No unresolved guest could be them.",
        "Policy version 1: missed below 2 min", "Would change it: A person who says who",
        "1 fact", "complete",
    ):  # fmt: skip
        assert words in text, words
    assert (
        f"{correct(outcome_of(Learner.objects.get(name='Amir Lindt'), held))}?to=attended" in text
    )


def test_the_second_absence_in_a_row_is_told_as_such(client: Client) -> None:
    """P33: a row of absences stands beside the fact that a trigger may ask for."""
    course, (_, amir) = make_course("Rosa Maro", "Amir Lindt")
    for weeks in (0, 1):
        session = make_class(course, weeks=weeks)
        stay(session, email=amir.email)
        judge(session)
    staff(client, "viewer")

    assert "missed (2 in a row)" in client.get(page(session)).content.decode()


def test_one_outcome_alone_can_be_shown(client: Client, held: ClassSession) -> None:
    staff(client, "viewer")
    rosa = Learner.objects.get(name="Rosa Maro")

    text = client.get(page(held), {"outcome": "late"}).content.decode()

    assert f'id="learner-{rosa.pk}"' not in text
    assert "show everybody" in text


def test_names_in_the_call_are_for_those_who_may_see_them(
    client: Client, held: ClassSession
) -> None:
    stay(held, email="aunt@else.example", name="<b>Auntie</b>")
    staff(client, "viewer")
    hidden = client.get(page(held)).content.decode()
    staff(client, "operator")

    shown = client.get(page(held)).content.decode()

    assert "aunt@else.example" not in hidden
    assert "host@school.example" not in hidden
    assert "&lt;b&gt;Auntie&lt;/b&gt; (aunt@else.example)" in shown
    assert "?to=attended" not in hidden  # who may not decide is offered nothing


def test_a_class_that_is_not_over_and_one_that_is_gone(client: Client) -> None:
    course, _ = make_course("Rosa Maro")
    session = make_class(course)
    Pledge.objects.create(
        learner=Learner.objects.get(), session=session, state="asked", asked_at=STARTS
    )
    staff(client, "viewer")

    text = client.get(page(session)).content.decode()

    assert "asked, no answer" in text
    assert "No fact has gone out" in text
    assert "Google&#x27;s log was not read" in text or "was not read since" in text
    gone = reverse("admin:attendance_classsession_change", args=[0])
    assert client.get(gone)["Location"] == LIST


def test_an_outcome_is_put_right_in_two_clicks(client: Client, held: ClassSession) -> None:
    """N05: the effect is shown, nothing is kept of it, and the second click does it."""
    staff(client, "operator")
    amir = Learner.objects.get(name="Amir Lindt")
    before = outcome_of(amir, held)
    count = AttendanceEvent.objects.count()

    shown = client.get(correct(before), {"to": "attended"}).content.decode()

    assert "corrected: what has not gone out is withdrawn" in shown
    assert (outcome_of(amir, held), AttendanceEvent.objects.count()) == (before, count)
    said = {"to": "attended", "note": "The host let him in late."}
    done = client.post(correct(before), said, follow=True).content.decode()
    after = outcome_of(amir, held)
    assert "Amir Lindt: late → attended." in done
    assert (after.outcome, after.decided_by, after.note) == ("attended", "operator", said["note"])
    assert "operator: The host let him in late." in done
    client.post(correct(after), {"to": "records"})
    assert outcome_of(amir, held).outcome == "late"


def test_what_is_no_decision_changes_nothing(client: Client, held: ClassSession) -> None:
    staff(client, "operator")
    outcome = outcome_of(Learner.objects.get(name="Amir Lindt"), held)

    shown = client.get(correct(outcome), {"to": "nonsense"}).content.decode()
    done = client.post(correct(outcome), {"to": "records"}, follow=True).content.decode()

    assert "no answer to this question" in shown
    assert "Nothing was changed." in done
    assert Outcome.objects.filter(session=held).count() == 2


def test_what_staff_are_asked_is_answered_there(client: Client, held: ClassSession) -> None:
    staff(client, "operator")
    amir = Learner.objects.get(name="Amir Lindt")
    item = services.open_dispute(
        learner=amir, session=held, note="I was there.", now=held.ends_at + timedelta(hours=4)
    )

    answer = client.get(correct(outcome_of(amir, held)))

    assert answer["Location"] == reverse("admin:attendance_reviewitem_change", args=[item.pk])


def test_who_may_only_look_cannot_put_an_outcome_right(client: Client, held: ClassSession) -> None:
    staff(client, "viewer")
    outcome = outcome_of(Learner.objects.get(name="Amir Lindt"), held)

    assert client.get(correct(outcome)).status_code == 403
    assert client.post(correct(outcome), {"to": "missed"}).status_code == 403


def test_lists_and_questions_take_few_queries(
    client: Client, held: ClassSession, django_assert_max_num_queries: Any
) -> None:
    services.draw_audit(now=held.ends_at + timedelta(days=7))
    staff(client, "operator")
    (item,) = open_items("guest")
    asked = reverse("admin:attendance_reviewitem_change", args=[item.pk])
    lists = [f"admin:attendance_{name}_changelist" for name in ("reviewitem", "auditpair")]

    for path in (asked, READINGS, *map(reverse, lists)):
        with django_assert_max_num_queries(MOST_QUERIES, info=path):
            assert client.get(path).status_code == 200


def test_the_newest_classes_are_read_from_their_index() -> None:
    """With a hundred thousand classes the first page sorts nothing."""
    rows = ClassSession.objects.select_related("course").order_by("-starts_at", "-pk")[:50]
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")

    plan = rows.explain()

    assert "attendance_session_listed" in plan
    assert "Sort" not in plan


def test_readings_are_told_in_words(client: Client) -> None:
    read_log(at=STARTS)
    SyncRun.objects.update(lag_p50_seconds=90, lag_p99_seconds=2400, new_rows=12, ignored_rows=3)
    SyncRun.objects.create(
        source="meet", kind="routine", state="failed", failure="transient", error="503",
        window_start_at=STARTS, window_end_at=STARTS + timedelta(hours=6),
        started_at=STARTS + timedelta(hours=6), finished_at=STARTS + timedelta(hours=6),
    )  # fmt: skip
    staff(client, "viewer")

    text = client.get(READINGS).content.decode()

    for words in (
        "the Meet log, every night", "4 days: Fri 29 May", "12 new, 0 known, 3 of other kinds",
        "half within 2 min, 99 % within 40 min", "the next reading takes the window again",
        "asked as usual", "The Meet log is read until",
    ):  # fmt: skip
        assert words in text, words


def test_the_same_guest_is_asked_about_once_and_found_on_both_pages(client: Client) -> None:
    course, (_, amir) = make_course("Rosa Maro", "Amir Lindt")
    first, second = make_class(course), make_class(course, weeks=1)
    for session in (first, second):
        stay(session, email=amir.email)
        stay(session, email="stranger@else.example", name="Stranger")
        judge(session)
    (item,) = open_items("guest")
    staff(client, "operator")

    to = reverse("admin:attendance_reviewitem_change", args=[item.pk])

    assert to in client.get(page(first)).content.decode()
    assert to in client.get(page(second)).content.decode()
