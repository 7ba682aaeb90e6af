"""The pages of attendance as staff see them, and the story of two doubtful guests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.urls import reverse

from attendance.models import ClassSession, Pledge
from tests.browser.desk import Desk
from tests.factories.classes import judge, make_class, make_course, stay

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
    """P29: list, page, correction and readings are for everybody; bars are said in words, too."""
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
