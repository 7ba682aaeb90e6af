"""What staff do in the admin, with keys and mouse, up to its result in the tables."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.urls import reverse

from attendance import services
from attendance.models import AuditPair, ReviewItem
from delivery import clock
from delivery.models import Gate
from tests.browser.desk import Desk
from tests.factories.classes import judge, make_class, make_course, outcome_of, stay
from tests.factories.delivery import make_delivery
from tests.factories.nurture import settle

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
DELIVERIES = reverse("admin:delivery_delivery_changelist")
GATES = reverse("admin:delivery_gate_changelist")


def choose(desk: Desk, action: str, *keys: object) -> None:
    """Tick rows of a list and run an action on them."""
    for key in keys:
        desk.page.check(f'input[name="_selected_action"][value="{key}"]')
    desk.page.select_option('select[name="action"]', action)
    desk.page.keyboard.press("Escape")
    desk.page.click('button[name="index"]')


def test_a_guest_is_named_with_two_keys(
    desk_of: Callable[[str], Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The effect is on the page before Enter confirms it."""
    course, (rosa, amir) = make_course("Rosa Maro", "Amir Lindt")
    session = make_class(course)
    stay(session, email=amir.email)
    stay(session, name="Rosa Maro", end=55)
    now = judge(session)
    monkeypatch.setattr("django.utils.timezone.now", lambda: now)
    item = ReviewItem.objects.get(kind="guest")
    desk = desk_of("operator")

    page = desk.open(reverse("admin:attendance_reviewitem_change", args=[item.pk]))
    page.keyboard.press("1")
    page.wait_for_selector("#confirm:focus")
    effect = page.inner_text("#content")
    desk.check("review-effect")
    page.focus("#confirm")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=One outcome changed.")

    assert "pending → attended" in effect
    assert outcome_of(rosa, session).outcome == "attended"


def test_an_outcome_of_the_audit_is_judged_with_one_click_or_key(
    desk_of: Callable[[str], Desk],
) -> None:
    course, people = make_course("Rosa Maro", "Amir Lindt")
    session = make_class(course)
    stay(session, email=people[1].email)
    judge(session)
    assert services.draw_audit(now=session.ends_at + timedelta(days=7)) == 2
    pair = AuditPair.objects.get(outcome__outcome="missed")
    to = reverse("admin:attendance_auditpair_judge", args=[pair.pk])
    desk = desk_of("operator")

    page = desk.open(reverse("admin:attendance_auditpair_changelist"))
    desk.check("audit")
    page.click(f'button[formaction="{to}"][value="late"]')
    page.wait_for_selector("text=Noted.")
    page.keyboard.press("y")
    page.wait_for_selector("text=All of it is judged.")
    desk.check("audit-done")

    pair.refresh_from_db()
    assert (pair.verdict, pair.truth, pair.decided_by) == ("wrong", "late", "operator")
    assert AuditPair.objects.exclude(pk=pair.pk).get().verdict == "right"


def test_staff_send_again_what_is_in_doubt_after_a_look(desk_of: Callable[[str], Desk]) -> None:
    """P15: which go, and why the others do not, is on the page before anything is done."""
    doubtful, sent = make_delivery(text="Where were you?"), make_delivery()
    settle(doubtful, at=clock.now(), status="unknown", reason="no_answer")
    settle(sent, at=clock.now())
    desk = desk_of("operator")

    page = desk.open(DELIVERIES)
    choose(desk, "again", doubtful.pk, sent.pk)
    page.wait_for_selector("text=Send 1 of 2 again?")
    seen = page.inner_text("#content")
    desk.check("send-again")
    page.click("text=Send 1 again")
    page.wait_for_selector("text=1 will be sent again.")

    assert "It is neither unknown nor given up." in seen
    doubtful.refresh_from_db()
    assert doubtful.status == "pending"


def test_more_than_a_hundred_are_confirmed_by_typing_their_number(
    desk_of: Callable[[str], Desk],
) -> None:
    """P26: nothing happens to 120 rows by two careless clicks; and it can be undone."""
    Gate.objects.bulk_create(Gate(key=f"stream:{n}", scope="stream") for n in range(120))
    many = Gate.objects.filter(scope="stream").count()
    desk = desk_of("operator")

    page = desk.open(f"{GATES}?scope__exact=stream")
    page.check("#action-toggle")
    page.click(".question a")
    choose(desk, "close")
    page.wait_for_selector(f"text=Close {many} gates?")
    desk.check("confirm-many")
    page.click(f"button:has-text('Close {many}')")
    page.wait_for_selector("text=Nothing was done.")
    untouched = Gate.objects.filter(closed_until__year=2999).count()
    page.fill("#typed", str(many))
    page.click(f"button:has-text('Close {many}')")
    page.wait_for_selector("text=Undo")
    closed = Gate.objects.filter(closed_until__year=2999).count()
    desk.check("confirm-done")

    assert (untouched, closed) == (0, many)


def test_keys_are_listed_and_save_a_page(desk_of: Callable[[str], Desk]) -> None:
    """`?` lists the keys, Esc closes the list, Ctrl+S saves and stays."""
    course, _ = make_course("Rosa Maro")
    desk = desk_of("admin")
    page = desk.open(reverse("admin:attendance_course_change", args=[course.pk]))

    page.keyboard.press("?")
    page.wait_for_selector("dialog[open] >> text=Save and stay")
    desk.check("keys")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="hidden")
    page.keyboard.press("Control+s")

    page.wait_for_selector("text=was changed successfully")
