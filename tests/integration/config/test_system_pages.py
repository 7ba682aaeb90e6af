"""The pages under System: what is, and what is lacking, in words (S11, S18, N13)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse

from delivery import clock
from delivery.models import Heartbeat
from nurture.models import BackupRun, Job, JobRun
from tests.factories.week import make_week
from tests.integration.config.test_overview import member

pytestmark = pytest.mark.django_db


def said(client: Client, model: str, query: str = "") -> str:
    """The list of a model, as it is sent."""
    answer = client.get(reverse(f"admin:{model}_changelist") + query)
    assert answer.status_code == 200
    return answer.content.decode()


def test_each_says_what_is_lacking(client: Client) -> None:
    now = clock.now()
    make_week(now=now)
    member(client, "viewer")
    hour = now.replace(minute=0, second=0, microsecond=0)
    Heartbeat.objects.filter(name="worker", hour=hour - timedelta(hours=3)).update(minutes=41)
    Heartbeat.objects.create(  # of an hour that is not over, also if the clock strikes meanwhile
        name="worker", hour=hour + timedelta(hours=1), first_at=now, seen_at=now, minutes=7
    )

    page = said(client, "delivery_heartbeat", "?name=worker")
    for words in ("not seen for 19 min", "all 60", "7 so far", "Uptime worker"):
        assert words in page, words

    page = said(client, "nurture_backuprun")
    assert "No backup came to a good end so far" in page
    for ago, error in ((30, ""), (2, "StorageError: 503")):
        at = now - timedelta(hours=ago)
        BackupRun.objects.create(
            kind="backup", started_at=at, finished_at=at, rows=61_000, error=error
        )
    page = said(client, "nurture_backuprun")
    for words in ("StorageError: 503", "61,000", "too old", "No rehearsal came to a good end"):
        assert words in page, words
    BackupRun.objects.filter(error="").update(
        started_at=now - timedelta(hours=25), finished_at=now - timedelta(hours=25)
    )
    assert "too old" not in said(client, "nurture_backuprun")

    page = said(client, "nurture_auditfinding")
    assert ("all invariants held" in page, "nobody has looked since" in page) == (True, False)

    late = now - timedelta(hours=27)
    JobRun.objects.update(started_at=late, finished_at=late)
    assert "nobody has looked since" in said(client, "nurture_auditfinding")

    Job.objects.update(tries=2)
    job = client.get(reverse("admin:nurture_job_change", args=["audit"])).content.decode()
    assert "run the job now" in job
