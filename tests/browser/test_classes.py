"""The pages of attendance as staff see them, and the story of two doubtful guests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.urls import reverse

from attendance.models import ClassSession, Learner, Pledge
from nurture import services
from nurture.services.contacts import import_learners
from tests.browser.desk import Desk
from tests.factories.classes import judge, make_class, make_course, outcome_of, stay
from tests.factories.nurture import make_sequence

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LIST = reverse("admin:attendance_classsession_changelist")
READINGS = reverse("admin:attendance_syncrun_changelist")


def page(session: ClassSession) -> str:
    """Where a class is looked at."""
    return reverse("admin:attendance_classsession_change", args=[session.pk])


def make_evening() -> ClassSession:
    """A class as they are: on time, late, on two devices, gone early, and two doubtful guests."""
    people = ("Rosa Maro", "Amir Lindt", "Lena Okoye", "Tomas Varga", "Ines Benali", "Pavel Sato")
    course, (rosa, amir, lena, tomas, ines, _) = make_course(*people)
    session = make_class(course)
    for who, said in ((rosa, "yes"), (amir, "yes"), (tomas, "no")):
        Pledge.objects.create(
            learner=who, session=session, state=said, answered_at=session.starts_at
        )
    stay(session, email=amir.email, start=20)
    stay(session, email=lena.email, start=1)
    stay(session, email=lena.email, start=10, end=40, device_type="android")
    stay(session, email=tomas.email, start=2, end=30)
    stay(session, email=tomas.email, start=33, end=41)
    stay(session, email=ines.email, start=4, end=22)
    stay(session, name="Rosa Maro", start=2, end=55)
    stay(session, name="Pavel", start=30, end=58)
    judge(session, after=timedelta(hours=4))
    return session


def test_a_class_is_seen_at_a_glance(desk_of: Callable[[str], Desk]) -> None:
    """P29: list, page, correction, readings are for everybody; bars are said in words, too."""
    session = make_evening()
    desk = desk_of("operator")

    desk.open(LIST)
    desk.check("classes")
    seen = desk.open(page(session))
    seen.click("tr:has-text('Amir Lindt') summary")
    bars = seen.locator("tr:has-text('Lena Okoye') svg").get_attribute("aria-label")
    desk.check("class")
    seen.set_viewport_size({"width": 1440, "height": 900})
    seen.click("tr:has-text('Amir Lindt') details >> text='attended'")
    seen.wait_for_selector("#confirm:focus")
    desk.check("correction")
    desk.open(READINGS)
    desk.check("readings")

    assert bars == "20:01–21:00 on web; 20:10–20:40 on android"


def link_to_chats(session: ClassSession) -> None:
    """Everybody of the course can be written to."""
    lines = ["email,name,timezone,telegram_chat_id,courses"]
    lines += [
        f"{who.email},{who.name},Europe/Berlin,{1000 + who.pk},{session.course.calendar_id}"
        for who in Learner.objects.order_by("pk")
    ]
    import_learners(content="\n".join(lines), now=session.starts_at - timedelta(days=1))


def test_the_story_of_a_class_with_two_doubtful_guests(
    desk_of: Callable[[str], Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first page to the result: review, decide, what goes out, put right, withdrawn.

    Rosa came as a guest under her name; "Pavel" was somebody's visitor, so Pavel missed it. Then
    he calls: he was ill.
    """
    session = make_evening()
    link_to_chats(session)
    make_sequence(now=session.starts_at)
    now = session.ends_at + timedelta(hours=4)
    monkeypatch.setattr("django.utils.timezone.now", lambda: now)
    services.tick(now=now)
    rosa, pavel = (Learner.objects.get(name=name) for name in ("Rosa Maro", "Pavel Sato"))
    row = f"#learner-{pavel.pk}"
    desk = desk_of("operator")

    # Two questions are open; the class says so.
    at = desk.open(reverse("admin:index"))
    at.click("nav >> text=Classes >> nth=-1")
    at.click("text=2 questions open")
    at.click("text=Who is “Rosa Maro”?")
    desk.check("review-question")
    at.set_viewport_size({"width": 1440, "height": 900})

    at.keyboard.press("?")
    keys = at.inner_text("dialog[open]")
    at.keyboard.press("Escape")

    # The first answer, with two keys; its effect is there before.
    at.keyboard.press("1")
    at.wait_for_selector("#confirm:focus")
    foreseen = at.inner_text(".at-effect")
    at.keyboard.press("Enter")
    at.wait_for_selector("text=Who is “Pavel”?")
    desk.check("review-next")
    at.set_viewport_size({"width": 1440, "height": 900})

    # The second: nobody of ours.
    at.keyboard.press("n")
    at.wait_for_selector("#confirm:focus")
    desk.check("review-effect")
    at.set_viewport_size({"width": 1440, "height": 900})
    at.focus("#confirm")
    at.keyboard.press("Enter")
    at.wait_for_selector("text=That was the last question.")
    desk.check("review-last")
    at.set_viewport_size({"width": 1440, "height": 900})
    services.tick(now=now)

    # The class says what went out because of it.
    at.click("text=The class, and what followed")
    went_out = at.inner_text(row)
    desk.check("class-followed")
    at.set_viewport_size({"width": 1440, "height": 900})

    # Put right in two clicks; what had not gone out is withdrawn.
    at.click(f"{row} summary")
    at.click(f"{row} >> text='excused'")
    at.wait_for_selector("#confirm:focus")
    warned = at.inner_text("#content")
    at.click("#confirm")
    at.wait_for_selector("text=Pavel Sato: missed → excused.")
    services.tick(now=now)
    at.reload()
    withdrawn = at.inner_text(row)
    desk.check("class-withdrawn")

    for words in ("This is Rosa Maro", "A visitor, no learner", "Later: the next question"):
        assert words in keys, words
    assert "pending → attended" in foreseen
    assert outcome_of(rosa, session).outcome == "attended"
    assert "We missed you active" in went_out
    assert "hello pending" in went_out
    assert "corrected: what has not gone out is withdrawn" in warned
    assert "We missed you exited What it was based on turned out not to be true." in withdrawn
    assert "hello cancelled" in withdrawn
