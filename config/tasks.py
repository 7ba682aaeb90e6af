"""The worker's side of the nightly work: a doorbell that says that a job may be due."""

from __future__ import annotations

import dramatiq

from config import jobs


@dramatiq.actor(queue_name="jobs", max_retries=0, time_limit=7_200_000, max_age=60_000)
def run_jobs() -> None:
    """Run what is due. Safe to ring at any time, and twice: each run is claimed in its row."""
    jobs.run_due()
