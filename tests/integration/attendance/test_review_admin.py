"""The review queue in the admin: two clicks, the effect beforehand, rights on every action."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils.html import strip_tags

from attendance.models import AttendanceEvent, Outcome, Outsider, Pledge, ReviewItem
from attendance.selectors.queue import alike, next_open
from tests.factories.classes import judge, make_class, make_course, stay

pytestmark = pytest.mark.django_db
LIST = reverse("admin:attendance_reviewitem_changelist")


def page(item: ReviewItem) -> str:
    """Where a question is answered."""
    return reverse("admin:attendance_reviewitem_change", args=[item.pk])


@pytest.fixture
def guests(monkeypatch: pytest.MonkeyPatch) -> list[ReviewItem]:
    """Two guests in a class where one learner was not seen: under her name, and a stranger."""
    course, (_, amir) = make_course("Rosa Maro", "Amir Lindt")
    session = make_class(course)
    stay(session, email=amir.email)
    stay(session, name="Rosa Maro", end=55)
    stay(session, email="aunt@else.example", name="<b>Auntie</b>")
    now = judge(session)
    monkeypatch.setattr("django.utils.timezone.now", lambda: now)
    return list(ReviewItem.objects.filter(kind="guest").order_by("pk"))


def staff(client: Client, *rights: str) -> User:
    """Somebody with these rights is logged in."""
    user = User.objects.create_user("eve", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client.force_login(user)
    return user


def test_the_effect_is_shown_before_it_is_taken(client: Client, guests: list[ReviewItem]) -> None:
    staff(client, "view_reviewitem", "decide_review", "view_classsession")
    item = next(row for row in guests if row.mark.startswith("display_name"))
    rosa = item.evidence["candidates"][0]

    first = client.get(page(item)).content.decode()
    chosen = client.get(page(item), {"choice": f"is:{rosa}"}).content.decode()

    assert "Who is “Rosa Maro”?" in first
    assert "pending → attended" in strip_tags(chosen)
    assert "first attended" in chosen
    assert Outcome.objects.get(learner=rosa, is_current=True).outcome == "pending"
    answer = client.post(page(item), {"choice": f"is:{rosa}"}, follow=True)
    assert "One outcome changed." in answer.content.decode()
    assert Outcome.objects.get(learner=rosa, is_current=True).outcome == "attended"
    item.refresh_from_db()
    assert (item.state, item.decided_by) == ("decided", "eve")
    client.post(page(item), {"reopen": "1"})
    assert Outcome.objects.get(learner=rosa, is_current=True).outcome == "pending"


def test_what_a_guest_calls_themselves_is_never_markup(
    client: Client, guests: list[ReviewItem]
) -> None:
    staff(client, "view_reviewitem", "decide_review")
    item = next(row for row in guests if row.mark.startswith("email:"))

    assert "<b>Auntie" not in client.get(page(item)).content.decode()
    assert "<b>Auntie" not in client.get(LIST).content.decode()


def test_another_learner_is_found_by_name(client: Client, guests: list[ReviewItem]) -> None:
    staff(client, "view_reviewitem", "decide_review")
    item = next(row for row in guests if row.mark.startswith("email:"))

    text = client.get(page(item), {"who": "rosa"}).content.decode()

    assert "This is Rosa Maro" in text


def test_who_may_only_look_sees_no_answers_and_cannot_post(
    client: Client, guests: list[ReviewItem]
) -> None:
    staff(client, "view_reviewitem")

    text = client.get(page(guests[0]), {"choice": "visitor"}).content.decode()

    assert "Confirm" not in text
    assert "may look at this" in text
    assert client.post(page(guests[0]), {"choice": "visitor"}).status_code == 403
    assert "as_visitors" not in client.get(LIST).content.decode()
    assert not Outsider.objects.exists()


def test_many_are_answered_together_after_a_look_at_what_it_does(
    client: Client, guests: list[ReviewItem]
) -> None:
    staff(client, "view_reviewitem", "decide_review")
    chosen = {"action": "as_visitors", "_selected_action": [row.pk for row in guests]}

    asked = client.post(LIST, chosen).content.decode()

    assert "2 guests are visitors?" in asked
    assert "This changes 1 outcome and sends out" in asked
    assert not Outsider.objects.exists()
    done = client.post(LIST, chosen | {"confirmed": "2"}, follow=True).content.decode()
    assert "2 answered. One outcome changed." in done
    assert Outsider.objects.count() == 2
    assert Outcome.objects.get(learner__name="Rosa Maro", is_current=True).outcome == "missed"


def test_an_answer_that_is_none_is_refused_in_words(
    client: Client, guests: list[ReviewItem]
) -> None:
    staff(client, "view_reviewitem", "decide_review")

    text = client.get(page(guests[0]), {"choice": "is:999999"}).content.decode()
    posted = client.post(page(guests[0]), {"choice": "nonsense"}, follow=True).content.decode()

    assert "does not exist any more" in text
    assert "no answer to this question" in posted


def test_an_outcome_is_explained_and_put_right_from_its_page(
    client: Client, guests: list[ReviewItem]
) -> None:
    staff(client, "view_reviewitem", "decide_review", "view_outcome")
    outcome = Outcome.objects.get(learner__name="Rosa Maro", is_current=True)
    at = reverse("admin:attendance_outcome_change", args=[outcome.pk])

    text = client.get(at).content.decode()
    ask = reverse("admin:attendance_outcome_correct", args=[outcome.pk])
    answer = client.post(ask, {"to": "excused"})

    assert "No unresolved guest could be them" in text
    assert "Unresolved: display_name:maro rosa (name)" in text
    assert ask in text
    to = reverse("admin:attendance_classsession_change", args=[outcome.session_id])
    assert answer["Location"] == f"{to}?learner={outcome.learner_id}#learner-{outcome.learner_id}"
    assert Outcome.objects.get(learner=outcome.learner_id, is_current=True).outcome == "excused"


def test_who_may_not_decide_cannot_put_an_outcome_right(
    client: Client, guests: list[ReviewItem]
) -> None:
    staff(client, "view_reviewitem", "view_outcome")
    outcome = Outcome.objects.filter(is_current=True).latest("pk")

    answer = client.post(reverse("admin:attendance_outcome_correct", args=[outcome.pk]))

    assert answer.status_code == 403
    assert not ReviewItem.objects.filter(kind="dispute").exists()


@pytest.mark.parametrize(
    ("said", "state"), [("yes", "yes"), ("no", "no"), ("asked", "asked"), ("excused", "excused")]
)
def test_staff_note_what_a_learner_said(client: Client, said: str, state: str) -> None:
    staff(client, "view_pledge", "add_pledge", "view_learner", "view_classsession")
    course, (rosa,) = make_course("Rosa Maro")
    session = make_class(course)
    form = {"learner": rosa.pk, "session": session.pk, "state": said}

    answer = client.post(reverse("admin:attendance_pledge_add"), form)

    assert answer.status_code == 302
    assert Pledge.objects.get().state == state
    assert AttendanceEvent.objects.filter(kind="pledged").exists() == (said == "yes")


def test_the_next_question_comes_at_once_and_the_last_answer_can_be_undone(
    client: Client, guests: list[ReviewItem]
) -> None:
    """N03: no way back to the list between two answers; progress is counted; undo is one press."""
    user = staff(client, "view_reviewitem", "decide_review", "view_classsession")
    first, second = sorted(guests, key=lambda row: -row.evidence["holds"])

    text = client.post(page(first), {"choice": "visitor"}, follow=True).content.decode()

    assert f"Answered today: 1 of {len(guests)}" in text
    assert "Rosa Maro: pending → missed." in text
    assert "Just now: Who is “Rosa Maro”? A visitor, no learner." in text
    assert page(first) in text
    assert "“<b>" not in text
    last = client.post(page(second), {"choice": "leave"}, follow=True).content.decode()
    assert "That was the last question." in last
    undone = client.post(page(first), {"reopen": "1"}, follow=True).content.decode()
    assert "Taken back. One outcome changed. Rosa Maro: missed → pending." in undone
    assert user.get_username() == ReviewItem.objects.get(pk=second.pk).decided_by


def test_what_is_put_off_comes_back_after_the_others(guests: list[ReviewItem]) -> None:
    first = next_open()
    assert first is not None
    second = next_open(after=first)
    assert second is not None

    assert {first.pk, second.pk} == {row.pk for row in guests}
    assert next_open(after=second) == first
    ReviewItem.objects.filter(pk=second.pk).update(state="decided", decided_at=second.created_at)
    assert next_open(after=second) == first
    assert next_open(after=first) is None  # it is the only one


def test_what_holds_up_most_learners_stands_first(client: Client, guests: list[ReviewItem]) -> None:
    """As `next_open` goes through them; what is decided stands below, the latest first."""
    staff(client, "view_reviewitem", "decide_review")
    two, one = guests
    old, late = (
        ReviewItem.objects.create(
            kind="dispute", key=f"k:{number}", state="decided", decision="leave",
            evidence={"holds": 9}, created_at=one.created_at,
            decided_at=one.created_at + timedelta(hours=number),
        )
        for number in (1, 2)
    )  # fmt: skip
    none = ReviewItem.objects.create(
        kind="dispute", key="k:3", created_at=one.created_at + timedelta(hours=3)
    )
    for item, holds in ((one, 1), (two, 2)):
        ReviewItem.objects.filter(pk=item.pk).update(evidence={**item.evidence, "holds": holds})

    shown = client.get(LIST).context["cl"].result_list

    assert [row.pk for row in shown] == [row.pk for row in (two, one, none, late, old)]
    assert next_open() == two


def test_each_candidate_has_reasons_and_a_key(client: Client, guests: list[ReviewItem]) -> None:
    staff(client, "view_reviewitem", "decide_review", "view_classsession")
    item = next(row for row in guests if row.mark.startswith("display_name"))

    text = client.get(page(item)).content.decode()

    for words in (
        "The name in the call is theirs.", "Ours: Rosa Maro, rosa.maro@school.example.",
        "Not seen in this class otherwise.", "Stands as pending now.", 'data-key="1"',
        'data-key="n" data-key-words="A visitor, no learner"', 'data-key="s"',
    ):  # fmt: skip
        assert words in text, words


def test_alike_guests_are_answered_together(client: Client) -> None:
    course, (_, amir) = make_course("Rosa Maro", "Amir Lindt")
    session = make_class(course)
    stay(session, email=amir.email)
    for number in range(3):
        stay(session, email=f"aunt{number}@else.example")
    judge(session)
    staff(client, "view_reviewitem", "decide_review", "view_classsession")
    items = list(ReviewItem.objects.filter(kind="guest").order_by("pk"))

    text = client.get(page(items[0])).content.decode()

    assert "3 open questions of this course are like this one" in text
    assert alike(items[0]) == [row.pk for row in items]


def test_an_empty_queue_teaches(client: Client) -> None:
    staff(client, "view_reviewitem")

    assert "A question opens where records cannot tell" in client.get(LIST).content.decode()
