"""The timetable as staff see it: what is well, what failed, and a pause with its reason."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.urls import reverse

from config import clock
from config import jobs as timetable
from delivery.clock import now
from nurture.models import Job, JobRun
from nurture.services import jobs
from tests.browser.desk import Desk
from tests.factories.everything import make_everything

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_staff_see_how_each_job_stands_and_pause_one(desk_of: Callable[[str], Desk]) -> None:
    make_everything()
    clock.timetable()[-1].due()  # lists every line
    at = now()
    Job.objects.filter(name="audit").update(next_at=at + timedelta(hours=16))
    for name, ago in (("prune", 9), ("audit", 8)):
        JobRun.objects.create(
            job_id=name, started_at=at - timedelta(hours=ago), counts={"updates": 41},
            finished_at=at - timedelta(hours=ago, seconds=-72), outcome="done",
        )  # fmt: skip
    JobRun.objects.create(
        job_id="prune", started_at=at - timedelta(minutes=9), finished_at=at, outcome="failed",
        error="OperationalError",
    )  # fmt: skip
    Job.objects.filter(name="prune").update(tries=1)
    jobs.pause(names=["draw-audit"], by="ann", why="Nobody is here to judge.", now=at)
    desk = desk_of("operator")

    page = desk.open(reverse("admin:nurture_job_changelist"))
    desk.check("jobs")
    assert page.get_by_text("by ann: Nobody is here to judge.").count()
    page = desk.open(reverse("admin:nurture_job_change", args=["prune"]))
    desk.check("job")
    page.get_by_role("button", name="Pause…").click()
    page.get_by_label("Why? Others will read it.").fill("We restore a backup.")
    desk.check("job-pause")
    page.get_by_role("button", name="Pause 1").click()
    page.wait_for_load_state()

    row = Job.objects.get(name="prune")
    assert (row.paused_by, row.paused_why) == ("operator", "We restore a backup.")
    assert set(timetable.works()) < set(Job.objects.values_list("name", flat=True))
