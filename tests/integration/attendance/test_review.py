"""Questions to staff: asked once, decided with the effect known, remembered (N04, N05)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from attendance import services
from attendance.domain.kinds import IdentityKind, OutcomeKind
from attendance.domain.reasons import EXPLAIN, WOULD_CHANGE, Reason
from attendance.models import (
    AttendancePolicy,
    Conference,
    Learner,
    LearnerIdentity,
    Outcome,
    Pledge,
    ReviewItem,
)
from attendance.services import review
from attendance.services.answers import ReviewError
from attendance.services.matching import match
from nurture.services.explain import explain_session
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


def test_a_guest_under_a_learners_name_is_asked_about_and_holds_only_that_learner() -> None:
    course, (rosa, amir, lena) = make_course("Rosa Maro", "Amir Lindt", "Lena Okoye")
    session = make_class(course)
    stay(session, email=lena.email)
    stay(session, name="ROSA Maro (iPad)")

    judge(session)

    assert [outcome_of(who, session).outcome for who in (rosa, amir, lena)] == [
        "pending", "missed", "attended",
    ]  # fmt: skip
    (item,) = open_items("guest")
    assert item.evidence["candidates"] == [rosa.pk]
    assert review.choices(item)[0].code == f"is:{rosa.pk}"


def test_the_preview_shows_what_the_decision_does_and_keeps_nothing() -> None:
    course, (rosa, _amir) = make_course("Rosa Maro", "Amir Lindt")
    session = make_class(course)
    stay(session, name="Rosa Maro", end=55)
    now = judge(session)
    (item,) = open_items("guest")

    seen = review.preview(item=item, choice=f"is:{rosa.pk}", now=now)

    assert [(row.learner, row.before, row.after, row.facts) for row in seen] == [
        (rosa, "pending", "attended", ("attended", "first_attended"))
    ]
    assert outcome_of(rosa, session).outcome == "pending"
    assert not LearnerIdentity.objects.filter(kind="display_name").exists()
    assert review.decide(item=item, choice=f"is:{rosa.pk}", by=BY, now=now) == seen
    assert outcome_of(rosa, session).outcome == "attended"
    assert facts(rosa) == ["attended", "first_attended"]


def test_each_person_is_asked_about_once_also_in_the_next_class() -> None:
    course, (rosa, amir) = make_course("Rosa Maro", "Amir Lindt")
    first, second = make_class(course), make_class(course, weeks=1)
    for session in (first, second):
        stay(session, name="Rosa Maro")
        stay(session, email="aunt@else.example", name="Auntie")
    now = judge(first)
    assert len(open_items("guest")) == 2
    for item in open_items("guest"):
        is_rosa = item.mark.startswith("display_name")
        review.decide(item=item, choice=f"is:{rosa.pk}" if is_rosa else "visitor", by=BY, now=now)

    judge(second)

    assert open_items("guest") == []
    assert outcome_of(rosa, second).outcome == "attended"
    assert outcome_of(amir, second).outcome == "missed"


def test_who_it_is_not_is_remembered_and_the_others_stay_in_doubt() -> None:
    course, (rosa, amir) = make_course("Rosa Maro", "Amir Lindt")
    session = make_class(course)
    stay(session, name="Visitor")
    now = judge(session)
    (item,) = open_items("guest")
    assert outcome_of(rosa, session).reason == "unresolved_guest"

    review.decide(item=item, choice=f"not:{rosa.pk}", by=BY, now=now)

    assert outcome_of(rosa, session).outcome == "missed"
    assert outcome_of(amir, session).outcome == "pending"
    assert open_items("guest") == [item]


def test_two_learners_never_share_an_identity() -> None:
    course, (rosa, amir) = make_course("Rosa Maro", "Amir Lindt")
    session = make_class(course)
    stay(session, email="shared@else.example", name="Rosa Maro")
    now = judge(session)
    (item,) = open_items("guest")
    review.decide(item=item, choice=f"is:{rosa.pk}", by=BY, now=now)

    with pytest.raises(services.IdentityError, match="Another learner surely has"):
        services.confirm_identity(
            learner=amir, kind=IdentityKind.ALIAS, value="shared@else.example", course=None,
            by=BY, now=now,
        )  # fmt: skip
    with pytest.raises(services.IdentityError):  # an alias may not be another's first address
        services.confirm_identity(
            learner=amir, kind=IdentityKind.ALIAS, value=rosa.email_key, course=None,
            by=BY, now=now,
        )  # fmt: skip


def test_a_decision_is_taken_back_with_all_that_it_did() -> None:
    course, (rosa, _) = make_course("Rosa Maro", "Amir Lindt")
    session = make_class(course)
    stay(session, name="Rosa Maro")
    now = judge(session)
    (item,) = open_items("guest")
    review.decide(item=item, choice=f"is:{rosa.pk}", by=BY, now=now)

    review.reopen(item=item, by=BY, now=now + timedelta(minutes=5))

    assert outcome_of(rosa, session).outcome == "pending"
    assert facts(rosa) == ["attended", "first_attended", "corrected"]
    assert open_items("guest") == [item]


def test_a_decision_counts_once() -> None:
    course, _ = make_course("Rosa Maro", "Amir Lindt")
    session = make_class(course)
    stay(session, name="Visitor")
    now = judge(session)
    (item,) = open_items("guest")
    review.decide(item=item, choice="visitor", by=BY, now=now)

    with pytest.raises(ReviewError, match="ann has decided"):
        review.decide(item=item, choice="bot", by="bob", now=now)
    with pytest.raises(ReviewError, match="no answer"):
        review.preview(item=_reopened(item), choice="is:x", now=now)


def test_what_was_asked_anew_is_not_reopened_beside_it() -> None:
    course, (rosa, amir) = make_course("Rosa Maro", "Amir Lindt")
    session = make_class(course)
    stay(session, email=amir.email)
    now = judge(session)
    first = services.open_dispute(learner=rosa, session=session, note="", now=now)
    review.decide(item=first, choice="leave", by=BY, now=now)
    services.open_dispute(learner=rosa, session=session, note="again", now=now)

    with pytest.raises(ReviewError, match="asked anew"):
        review.reopen(item=first, by=BY, now=now)


def test_a_decision_that_somebody_else_replaced_cannot_be_taken_back_twice() -> None:
    course, (rosa, amir) = make_course("Rosa Maro", "Amir Lindt")
    session = make_class(course)
    stay(session, email=amir.email)
    now = judge(session)
    item = services.open_dispute(learner=rosa, session=session, note="", now=now)
    review.decide(item=item, choice="attended", by=BY, now=now)
    services.take_back(outcome=outcome_of(rosa, session), now=now)

    with pytest.raises(ReviewError, match="no person's decision"):
        review.reopen(item=item, by=BY, now=now)


def _reopened(item: ReviewItem) -> ReviewItem:
    ReviewItem.objects.filter(pk=item.pk).update(state="open", decided_at=None)
    return item


def test_an_absence_of_someone_seen_briefly_is_a_fact_only_when_staff_say_so() -> None:
    course, (rosa, amir) = make_course("Rosa Maro", "Amir Lindt")
    session = make_class(course)
    stay(session, email=rosa.email, end=1)
    stay(session, email=amir.email)
    now = judge(session)
    assert facts(rosa) == []
    (item,) = open_items("brief")

    review.decide(item=item, choice="missed", by=BY, now=now)

    assert facts(rosa) == ["missed"]


def test_what_staff_say_stands_against_later_records_until_it_is_taken_back() -> None:
    course, (rosa, amir) = make_course("Rosa Maro", "Amir Lindt")
    session = make_class(course)
    stay(session, email=amir.email)
    services.pledge(
        learner=rosa, session=session, answer=True, source="test", now=session.starts_at
    )
    now = judge(session)
    assert facts(rosa) == ["pledged", "missed", "missed_pledged"]
    assert Pledge.objects.get().state == "broken"

    services.correct_outcome(
        learner=rosa, session=session, outcome=OutcomeKind.EXCUSED, by=BY, note="ill", now=now
    )
    stay(session, email=rosa.email, end=20)
    judge(session, after=timedelta(hours=5))

    assert outcome_of(rosa, session).outcome == "excused"
    assert Pledge.objects.get().state == "excused"
    assert facts(rosa)[3:] == ["corrected"]
    services.take_back(outcome=outcome_of(rosa, session), now=now + timedelta(hours=3))
    assert outcome_of(rosa, session).outcome == "partial"
    assert Pledge.objects.get().state == "kept"
    with pytest.raises(ValueError, match="no person's decision"):
        services.take_back(outcome=outcome_of(rosa, session), now=now)


def test_a_dispute_is_decided_in_favour_and_the_fact_withdrawn() -> None:
    course, (rosa, amir) = make_course("Rosa Maro", "Amir Lindt")
    session = make_class(course)
    stay(session, email=amir.email)
    now = judge(session)
    item = services.open_dispute(learner=rosa, session=session, note="I was there", now=now)

    changed = review.decide(item=item, choice="attended", by=BY, now=now)

    assert [(row.before, row.after) for row in changed] == [("missed", "attended")]
    assert facts(rosa) == ["missed", "corrected", "attended", "first_attended"]


def test_an_address_that_a_learner_names_waits_for_staff_and_then_counts_everywhere() -> None:
    course, (rosa, amir) = make_course("Rosa Maro", "Amir Lindt")
    session = make_class(course)
    stay(session, email="rm.private@gmail.com", name="iPad")
    stay(session, email=amir.email)
    now = judge(session)
    assert outcome_of(rosa, session).outcome == "missed"

    item = services.suggest_address(
        learner=rosa, email="RM.private@gmail.com", origin="bot", now=now
    )
    assert item is not None
    services.settle(now=now)
    assert outcome_of(rosa, session).reason == "unresolved_guest"  # in doubt from now on
    assert item.evidence["seen"] == 1

    review.decide(item=item, choice="confirm", by=BY, now=now)

    assert outcome_of(rosa, session).outcome == "attended"
    assert services.suggest_address(
        learner=rosa, email="rmprivate@gmail.com", origin="bot", now=now
    ) is None  # fmt: skip
    assert open_items("guest") == []


def test_two_classes_at_once_on_one_link_are_told_apart_by_a_person_for_good() -> None:
    course, (rosa,) = make_course("Rosa Maro")
    one = make_class(course, title="One")
    two = make_class(course, title="Two")
    call = one.matches.get().conference
    call.matches.all().delete()
    Conference.objects.filter(pk=two.matches.get().conference_id).delete()
    stay_in(call, rosa)
    Conference.objects.filter(pk=call.pk).update(dirty_at=one.ends_at)
    match(now=one.ends_at)
    (item,) = open_items("ambiguous_call")
    assert set(item.evidence["sessions"]) == {one.pk, two.pk}

    review.decide(item=item, choice=f"class:{two.pk}", by=BY, now=one.ends_at)
    Conference.objects.filter(pk=call.pk).update(dirty_at=one.ends_at)
    match(now=one.ends_at)

    assert [row.session_id for row in call.matches.all()] == [two.pk]


def stay_in(call: Conference, learner: Learner) -> None:
    """The learner in a call that belongs to no class yet."""
    endpoint = call.endpoints.get()
    endpoint.pk, endpoint.endpoint_id = None, "second"
    endpoint.identifier, endpoint.mark = learner.email, f"email:{learner.email_key}"
    endpoint.kind = "human"
    endpoint.save()


def test_names_count_for_presence_only_where_the_course_says_so() -> None:
    course, (rosa, amir) = make_course("Rosa Maro", "Amir Lindt")
    AttendancePolicy.objects.create(course=course, version=2, names_prove_presence=True)
    session = make_class(course)
    stay(session, name="Rosa Maro")

    judge(session)

    found = outcome_of(rosa, session)
    assert (found.outcome, found.flags, found.effective) == ("attended", ["by_name"], True)
    assert found.policy == AttendancePolicy.objects.latest("version")
    assert outcome_of(amir, session).outcome == "missed"


def test_a_late_record_beyond_three_days_is_a_question_whose_answer_only_takes_back() -> None:
    course, (rosa, amir) = make_course("Rosa Maro", "Amir Lindt")
    session = make_class(course)
    stay(session, email=amir.email)
    judge(session)
    stay(session, email=rosa.email)

    now = judge(session, after=timedelta(hours=73))

    assert outcome_of(rosa, session).outcome == "missed"
    (item,) = open_items("late_record")
    review.decide(item=item, choice="attended", by=BY, now=now)
    assert outcome_of(rosa, session).outcome == "attended"
    assert facts(rosa) == ["missed", "corrected"]
    assert Outcome.objects.filter(learner=rosa).count() == 2


def test_half_a_first_reading_of_an_old_class_freezes_nothing() -> None:
    """A back-fill broke off in mid-page: the rest is not late, only read later."""
    course, (rosa, amir) = make_course("Rosa Maro", "Amir Lindt")
    session = make_class(course)
    stay(session, email=rosa.email, end=20)
    now = session.ends_at + timedelta(hours=80)
    match(now=now)
    services.settle_session(session_id=session.pk, now=now)
    assert outcome_of(rosa, session).outcome == "partial"
    stay(session, email=rosa.email, start=20)

    judge(session, after=timedelta(hours=80, minutes=1))

    assert outcome_of(rosa, session).outcome == "attended"
    assert open_items("late_record") == []
    stay(session, email=amir.email)
    judge(session, after=timedelta(hours=81))
    assert (outcome_of(amir, session).outcome, len(open_items("late_record"))) == ("missed", 1)
    assert facts(rosa) == facts(amir) == []


def test_an_explanation_names_records_intervals_policy_rules_and_what_would_change_it() -> None:
    course, (rosa, amir) = make_course("Rosa Maro", "Amir Lindt")
    session = make_class(course)
    stay(session, email=rosa.email, start=0, end=30)
    stay(session, email=rosa.email, start=20, end=40)
    stay(session, name="Amir Lindt")
    now = judge(session)

    seen = explain_session(email=rosa.email, session_id=session.event_id, now=now).as_dict()
    held = explain_session(email=amir.email, session_id=str(session.pk), now=now).as_dict()

    assert (seen["verdict"], seen["rule"]) == ("left_early", "policy")
    assert len(seen["evidence"]["records"]) == 2
    assert seen["evidence"]["records"][0]["recognised_by"] == "email:verified"
    assert [end[14:16] for _, end in seen["evidence"]["intervals"]] == ["40"]
    assert seen["evidence"]["policy"]["early_grace_seconds"] == 600
    assert (held["verdict"], held["rule"]) == ("pending", "no_unresolved_guest")
    assert held["evidence"]["guests"][0]["why"] == "name"
    assert "who the guest was" in held["evidence"]["would_change"]
    services.correct_outcome(
        learner=amir, session=session, outcome=OutcomeKind.EXCUSED, by=BY, note="ill", now=now
    )
    decided = explain_session(email=amir.email, session_id=session.event_id, now=now)
    assert (decided.verdict, decided.rule) == ("excused", "decided_by_a_person")


def test_every_reason_says_what_it_means_and_what_would_change_it() -> None:
    assert set(EXPLAIN) == set(WOULD_CHANGE) == set(Reason)


def test_a_new_policy_holds_for_classes_that_begin_after_it() -> None:
    """A closed class keeps what it was judged by; no fact fires for a changed threshold."""
    course, (rosa, amir) = make_course("Rosa Maro", "Amir Lindt")
    first, second = make_class(course), make_class(course, weeks=1)
    for session in (first, second):
        stay(session, email=rosa.email, end=49)
        stay(session, email=amir.email)
    now = judge(first)
    AttendancePolicy.objects.create(
        course=course, version=2, early_grace_seconds=1800, valid_from=now
    )

    judge(first, after=timedelta(hours=5))
    judge(second)

    assert outcome_of(rosa, first).outcome == "left_early"
    assert outcome_of(rosa, second).outcome == "attended"
    assert facts(rosa) == ["left_early", "attended", "first_attended"]
