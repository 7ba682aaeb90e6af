"""A sequence at work, in a browser: each page for everybody, and what staff do there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.urls import reverse

from delivery import clock
from delivery.models import Chat
from nurture import services
from nurture.models import BacktestRun, HoldoutAssignment, Sequence
from nurture.services import backtests, sequences
from tests.browser.desk import Desk
from tests.factories import nurture as make
from tests.factories.runs import make_runs

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
TALE = (
    make.PLAIN
    + """\
  - {key: later, wait: {after: 2d}, text: "<b>Come</b> back.",
     buttons: [[{text: I was there, action: dispute}, {text: Next time, action: pledge_next}]]}
  - {key: fork, kind: branch, when: replied, then: thanks, else: bye}
  - {key: thanks, wait: {after: 1h}, text: Thank you., when: {not: pledged_next}}
  - {key: end, kind: exit, reason: thanked}
  - {key: bye, wait: {at: "10:30", plus_days: 1}, text: Bye., enabled: false}
"""
    + make.WINDOW
)


def url(page: str, sequence: Sequence, query: str = "") -> str:
    return reverse(f"admin:nurture_sequence_{page}", args=[sequence.pk]) + query


def test_a_number_of_the_timeline_leads_to_its_journeys(desk_of: Callable[[str], Desk]) -> None:
    """P25: the picture, then the list behind a number, then the journey."""
    sequence = make_runs(runs=300)
    desk = desk_of("viewer")

    page = desk.open(url("timeline", sequence, "?days=all"))
    desk.check("timeline")
    number = page.inner_text("#step-later a:has-text('skipped') strong")
    page.click("#step-later a:has-text('skipped')")
    page.wait_for_selector(f"text=of {number}")
    desk.check("timeline-runs")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.click("td a:has-text('journey') >> nth=0")

    page.wait_for_selector("text=what was decided")


def test_every_kind_of_step_is_in_the_picture(desk_of: Callable[[str], Desk]) -> None:
    """Branches, waits, what is switched off; from the page of the sequence."""
    sequence = make.make_sequence(TALE)
    desk = desk_of("viewer")

    page = desk.open(reverse("admin:nurture_sequence_change", args=[sequence.pk]))
    page.click("text=Timeline")
    page.wait_for_selector("#step-fork >> text=thanks")
    desk.check("timeline-kinds")


def test_ann_is_walked_through_and_answers(desk_of: Callable[[str], Desk]) -> None:
    """P23: choose who and when, read why, let her answer, take it back."""
    sequence = make.make_sequence(TALE)
    desk = desk_of("viewer")

    page = desk.open(url("walkthrough", sequence, "?who=ann&start=2026-03-02T22:40"))
    page.wait_for_selector("text=Tue 03 Mar 2026 09:00 CET")
    desk.check("walkthrough")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.click("summary:has-text('And then') >> nth=0")
    page.click("a:has-text('writes something') >> nth=0")
    page.wait_for_selector("text=What they do")
    page.wait_for_selector("text=Thank you.")
    page.click("text=take back")
    page.wait_for_selector("text=What they do", state="detached")
    page.select_option("[name=who]", "luz")
    page.keyboard.press("Control+p")
    page.wait_for_selector("text=Luz Rojas, America/Lima")


def test_two_versions_are_run_over_weeks_and_compared(desk_of: Callable[[str], Desk]) -> None:
    """N01: from the form to whom the draft loses."""
    sequence = make.make_sequence()
    at = clock.now() - timedelta(days=5)
    for name, fact in (("One", "missed"), ("Two", "late")):
        session = make.make_session(starts_at=at)
        make.make_fact(fact, contact=make.make_contact(name=name), session=session)
    sequences.import_sequence(source=make.PLAIN.replace("missed}", "late}"), now=at)
    desk = desk_of("author")

    page = desk.open(url("backtest", sequence))
    page.select_option("[name=version]", "2")
    page.select_option("[name=against]", "1")
    page.click("button:has-text('Run')")
    page.wait_for_selector("text=The difference")
    desk.check("backtest")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.click("a:has-text('Lost')")
    page.wait_for_selector("td:has-text('One')")

    assert page.locator("td:has-text('Two')").count() == 0


def test_a_page_that_waits_for_a_worker_shows_the_result_by_itself(
    desk_of: Callable[[str], Desk],
) -> None:
    sequence = make.make_sequence()
    at = clock.now()
    run = BacktestRun.objects.create(
        sequence=sequence, version=1, since=at - timedelta(days=7), until=at, asked_by="ann",
        asked_at=at,
    )  # fmt: skip
    desk = desk_of("viewer")

    page = desk.open(url("backtest", sequence, f"?run={run.pk}"))
    desk.check("backtest-waiting")
    backtests.run_waiting(now=at)

    page.wait_for_selector("text=Learner by learner")


def test_the_effect_leads_to_the_joins_of_a_learner(desk_of: Callable[[str], Desk]) -> None:
    """P20, N20."""
    sequence = make.make_sequence(make.PLAIN + "holdout: 50\n")
    course = make.make_course()
    people = [make.make_contact(name=f"Learner {n}") for n in range(4)]
    session = make.make_session(course=course)
    for number, contact in enumerate(people):
        HoldoutAssignment.objects.create(
            sequence=sequence, learner=contact.learner, held_out=number % 2 == 1,
            assigned_at=make.CLASS_STARTS,
        )  # fmt: skip
        make.make_fact(contact=contact, session=session)
    services.process_events(now=make.NOW)
    following = make.make_session(course=course, starts_at=make.CLASS_STARTS + timedelta(days=7))
    for fact, contact in zip(("attended", "missed", "late", "attended"), people, strict=True):
        make.make_fact(fact, contact=contact, session=following)
    desk = desk_of("viewer")

    page = desk.open(url("effect", sequence))
    desk.check("effect")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.click("td a:has-text('Lesson 4') >> nth=0")

    page.wait_for_selector("text=Devices")


def test_the_worst_step_is_the_first(desk_of: Callable[[str], Desk]) -> None:
    """N16."""
    sequence = make.make_sequence()
    contact = make.make_contact()
    make.make_fact(contact=contact)
    services.process_events(now=make.NOW)
    at = clock.now() - timedelta(days=2)
    waiting = sequence.journeys.get().waiting_on
    assert waiting is not None
    make.settle(waiting, at=at)
    Chat.objects.update(reachability="blocked", reachability_changed_at=at + timedelta(hours=1))
    desk = desk_of("viewer")

    page = desk.open(reverse("admin:nurture_sequence_changelist"))
    page.click("text=Who leaves after what")
    page.wait_for_selector("td:has-text('100%')")
    desk.check("leaving")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.click("td a:has-text('We missed you')")

    page.wait_for_selector("#step-hello >> text=1 of 1 messages")
