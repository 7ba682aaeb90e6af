"""A draft is looked over, tried against a scenario and published, in a browser (N10, N11, P02)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from delivery import clock
from delivery.models import Attempt, Delivery
from nurture import flags, services
from nurture.models import Journey, Sequence, WouldSend
from tests.browser.desk import Desk
from tests.browser.test_work import choose
from tests.factories import nurture as make
from tests.factories.scenarios import given, make_scenario, sent

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SOURCE = make.PLAIN + (
    "  - {key: later, wait: {after: 2d}, text: Still there?}\n"
    "  - {key: last, wait: {after: 3d}, text: Goodbye.}\n"
)
NEW = """\
sequence: missed-class
name: We missed you
window: {opens: "09:00", closes: "20:00"}
triggers:
  - {fact: missed}
  - {fact: missed, course: a@group.calendar.google.com}
steps:
  - key: hello
    text: "Hi {{ first_name | default: 'there' }}, where were you?"
  - {key: last, wait: {after: 3d}, text: Goodbye.}
  - {key: next, wait: {before_next_session: 2h}, text: "{{ next_session_title }} begins."}
"""


def a_draft_with_somebody_inside() -> Sequence:
    """A published sequence, a learner in it, a draft that lint refuses, a scenario that holds."""
    flags.set_nurture(percent=100)
    sequence = make.make_sequence(SOURCE)
    make.make_fact(session=make.make_session(starts_at=clock.now() - timedelta(hours=4)))
    services.tick(now=clock.now())
    services.save_draft(
        sequence=sequence, source=NEW, by=User.objects.create_user("ann"), now=clock.now(),
        expected_checksum=services.checksum_of(sequence.published_version),
    )  # fmt: skip
    make_scenario(
        sequence,
        [given(1, "22:00", "missed")],
        [sent("hello", 2, "09:00"), sent("last", 5, "09:00")],
    )
    return sequence


@pytest.mark.timeout(300)
def test_a_draft_is_looked_over_and_published(desk_of: Callable[[str], Desk]) -> None:
    sequence = a_draft_with_somebody_inside()
    desk = desk_of("publisher")

    page = desk.open(reverse("admin:nurture_sequence_publish", args=[sequence.pk]))
    seen = page.inner_text("#content")
    desk.check("publish")
    page.check('input[name="in_flight"][value="exit"]')
    page.fill("#override", "Only one course has this trigger.")
    page.keyboard.press("Control+s")
    page.wait_for_selector("text=Publish it?")
    asked = page.inner_text("#content")
    desk.check("publish-confirm")
    page.click("button:has-text('Publish')")
    page.wait_for_selector("text=Version 2 of We missed you is published.")

    assert "comes after one that always wins" in seen
    assert "1 end" in seen
    assert "as expected" in seen
    assert "1 are withdrawn" in asked
    assert Journey.objects.get().exit_reason == "version_replaced"


@pytest.mark.timeout(300)
def test_an_older_state_comes_back_and_the_mode_changes(desk_of: Callable[[str], Desk]) -> None:
    sequence = a_draft_with_somebody_inside()
    desk = desk_of("publisher")

    page = desk.open(reverse("admin:nurture_sequence_versions", args=[sequence.pk]))
    page.click("summary")
    desk.check("versions")
    page.click("text=Make this the draft again >> nth=0")
    page.wait_for_selector("text=is the draft again.")
    page.click("text=Off, dry run, live")
    page.check('input[name="mode"][value="stopped"]')
    desk.check("mode")
    page.click("button:has-text('Change it')")
    page.wait_for_selector("text=off from now on.")

    sequence.refresh_from_db()
    assert sequence.mode == "stopped"


@pytest.mark.timeout(300)
def test_a_scenario_is_written_with_the_keyboard_and_played(desk_of: Callable[[str], Desk]) -> None:
    """N10: without code."""
    sequence = make.make_sequence()
    desk = desk_of("author")

    page = desk.open(reverse("admin:nurture_sequence_scenarios", args=[sequence.pk]))
    desk.check("scenarios-none")
    page.click("text=Write the first")
    page.fill("#id_name", "Rosa misses a class")
    page.fill("#id_given-0-day", "1")
    page.fill("#id_given-0-at", "22:00")
    page.select_option("#id_given-0-what", "missed")
    page.select_option("#id_expected-0-step", "hello")
    page.fill("#id_expected-0-day", "1")
    page.fill("#id_expected-0-at", "09:00")
    page.keyboard.press("Control+p")
    page.wait_for_selector("text=expected day 1 (Mon 02 Mar) at 09:00")
    desk.check("scenario-fails")
    page.fill("#id_expected-0-at", "22:00")
    page.keyboard.press("Control+s")
    page.wait_for_selector("text=is kept.")
    desk.check("scenario")

    assert sequence.scenarios.get().expected == [sent("hello", 1, "22:00")]


@pytest.mark.timeout(300)
def test_messages_of_a_dry_run_are_released_and_discarded(desk_of: Callable[[str], Desk]) -> None:
    """P24: read first, with the shared confirmation."""
    flags.set_nurture(percent=100)
    make.make_sequence(make.PLAIN.replace("entry:", "mode: dry_run\nentry:"))
    session = make.make_session(starts_at=clock.now() - timedelta(hours=4))
    for name in ("Rosa Maro", "Amir Lindt"):
        make.make_fact(session=session, contact=make.make_contact(name=name))
    services.tick(now=clock.now())
    desk = desk_of("operator")

    page = desk.open(reverse("admin:nurture_wouldsend_changelist"))
    desk.check("dry-run")
    choose(desk, "release", WouldSend.objects.get(text__startswith="Hi Rosa").pk)
    page.wait_for_selector("text=Let 1 messages go out?")
    desk.check("dry-run-release")
    page.click("text=Send 1")
    page.wait_for_selector("text=1 will be sent.")
    choose(desk, "discard", WouldSend.objects.get(text__startswith="Hi Amir").pk)
    page.click("text=Discard 1 >> nth=-1")
    page.wait_for_selector("text=1 discarded.")
    desk.check("dry-run-decided")

    assert Delivery.objects.get(status="pending").text.startswith("Hi Rosa")
    assert not Attempt.objects.exists()
