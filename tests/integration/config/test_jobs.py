"""Nightly work: once however many clocks there are, made up for once, paused, repeated, shown."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse

from config import clock, tasks
from config import jobs as timetable
from nurture.domain.jobs import RETRY, TRIES, Hour
from nurture.models import Job, JobRun, RunOutcome
from nurture.services import jobs
from nurture.services.jobs import Line, Work

NIGHT = datetime(2026, 3, 10, 3, tzinfo=UTC)
EVENING = NIGHT - timedelta(hours=8)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
LINES = [
    Line(name="clean", does="Cleans.", hour=Hour(3)),
    Line(name="ring", does="Rings.", every_seconds=1),
]


def work(do: Callable[[datetime], Mapping[str, int]] = lambda now: {"swept": 2}) -> dict[str, Work]:
    """One job, and what it does."""
    return {"clean": Work(do=do, within=HOUR)}


def broken(now: datetime) -> Mapping[str, int]:
    """Work that fails, and names somebody while it does."""
    raise ValueError("Rosa Diaz, chat 7000123456")


def outcomes() -> list[str]:
    """How the runs ended, in order."""
    return list(JobRun.objects.order_by("pk").values_list("outcome", flat=True))


def run(now: datetime, do: Callable[[datetime], Mapping[str, int]] | None = None) -> int:
    """Let a process run what is due; return how many runs were its own."""
    works = work(do) if do else work()
    return len(jobs.run_due(works=works, clock=lambda: now))


@pytest.mark.django_db
def test_nights_that_were_missed_are_made_up_for_once() -> None:
    jobs.list_jobs(lines=LINES, now=EVENING)
    assert not jobs.are_due(now=EVENING)
    later = NIGHT + 5 * DAY + HOUR  # everything was down for five nights

    assert [run(later), run(later)] == [1, 0]

    row = Job.objects.get(name="clean")
    assert row.next_at == NIGHT + 6 * DAY
    ended = JobRun.objects.get()
    assert (ended.outcome, ended.counts, ended.by) == ("done", {"swept": 2}, "")


@pytest.mark.django_db(transaction=True)
def test_of_two_clocks_at_once_one_runs_it() -> None:
    jobs.list_jobs(lines=LINES, now=EVENING)
    together, runs = threading.Barrier(4), []

    def one_clock() -> None:
        try:
            together.wait(10)
            runs.append(run(NIGHT))
        finally:
            connection.close()

    clocks = [threading.Thread(target=one_clock) for _ in range(4)]
    for one in clocks:
        one.start()
    for one in clocks:
        one.join(20)

    assert sorted(runs) == [0, 0, 0, 1]
    assert outcomes() == ["done"]


@pytest.mark.django_db
def test_a_paused_job_waits_and_then_runs_once() -> None:
    jobs.list_jobs(lines=LINES, now=EVENING)
    assert jobs.pause(names=["clean", "ring"], by="ann", why="restore", now=EVENING) == 1
    assert run(NIGHT + DAY) == 0
    assert jobs.troubles(now=NIGHT + DAY) == []
    (forgotten,) = jobs.troubles(now=NIGHT + DAY + HOUR)
    assert (forgotten.name, forgotten.kind) == ("clean", "overdue")

    assert jobs.run_now(names=["clean", "ring"], by="ann", now=NIGHT) == 1  # paused or not
    assert [run(NIGHT), run(NIGHT)] == [1, 0]
    assert JobRun.objects.get().by == "ann"

    jobs.resume(names=["clean"])
    assert [run(NIGHT + 9 * DAY), run(NIGHT + 9 * DAY)] == [1, 0]


@pytest.mark.django_db
def test_a_job_that_fails_is_repeated_shown_and_names_nobody() -> None:
    jobs.list_jobs(lines=LINES, now=EVENING)
    assert run(NIGHT, broken) == 1
    (trouble,) = jobs.troubles(now=NIGHT)
    assert (trouble.name, trouble.kind, trouble.error, trouble.tries) == (
        "clean", "failed", "ValueError", 1,
    )  # fmt: skip
    assert Job.objects.get(name="clean").next_at == NIGHT + RETRY

    assert run(NIGHT + RETRY, broken) == 1
    assert run(NIGHT + 3 * RETRY, broken) == 1
    assert Job.objects.get(name="clean").next_at == NIGHT + DAY  # TRIES times are enough
    assert jobs.troubles(now=NIGHT + HOUR)[0].tries == TRIES

    assert run(NIGHT + DAY) == 1
    assert jobs.troubles(now=NIGHT + DAY) == []
    assert outcomes() == ["failed", "failed", "failed", "done"]


@pytest.mark.django_db
def test_a_run_whose_process_died_is_seen_and_repeated() -> None:
    jobs.list_jobs(lines=LINES, now=EVENING)
    lost = jobs.claim(works=work(), now=NIGHT)  # and never heard of again
    assert lost is not None
    assert run(NIGHT + HOUR / 2) == 0
    assert jobs.troubles(now=NIGHT + HOUR) == []  # its time is not over for long
    assert jobs.troubles(now=NIGHT + 3 * HOUR)[0].kind == "overdue"  # nobody came to bury it
    assert jobs.are_due(now=NIGHT + HOUR)

    assert run(NIGHT + HOUR) == 0
    assert outcomes() == ["died"]
    assert not jobs.finish(run=lost, outcome=RunOutcome.DONE, now=NIGHT + HOUR)  # it lived
    assert run(NIGHT + HOUR + RETRY) == 1

    assert outcomes() == ["died", "done"]


@pytest.mark.django_db
def test_a_process_that_is_stopped_says_so() -> None:
    jobs.list_jobs(lines=LINES, now=EVENING)

    def stopped(now: datetime) -> Mapping[str, int]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(NIGHT, stopped)

    assert outcomes() == ["died"]
    assert Job.objects.get(name="clean").next_at == NIGHT + RETRY


@pytest.mark.django_db
def test_a_job_that_nobody_runs_is_overdue() -> None:
    jobs.list_jobs(lines=LINES, now=EVENING)

    assert jobs.troubles(now=NIGHT + HOUR) == []
    (trouble,) = jobs.troubles(now=NIGHT + HOUR + timedelta(seconds=1))

    assert (trouble.name, trouble.kind, trouble.since) == ("clean", "overdue", NIGHT)


@pytest.mark.django_db
def test_the_rows_follow_the_timetable() -> None:
    jobs.list_jobs(lines=[*LINES, Line(name="gone", does="-", hour=Hour(1))], now=EVENING)

    jobs.list_jobs(lines=[Line(name="clean", does="Cleans.", hour=Hour(7)), LINES[1]], now=EVENING)

    assert dict(Job.objects.values_list("name", "next_at")) == {
        "clean": NIGHT + timedelta(hours=4), "ring": None,
    }  # fmt: skip


@pytest.mark.django_db
def test_the_clock_lists_every_line_and_rings_for_what_is_due(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rung: list[None] = []
    bells = clock.timetable()
    ringer = bells[-1]
    assert ringer.actor is tasks.run_jobs
    monkeypatch.setattr(tasks.run_jobs, "send", lambda: rung.append(None))

    assert not ringer.look(monotonic=0.0)  # it lists them; none is due before its hour
    jobs.run_now(names=["prune"], by="ann", now=NIGHT)
    assert not ringer.look(monotonic=1.0)
    assert ringer.look(monotonic=5.0)

    names = {bell.name for bell in bells if bell.name}
    assert set(Job.objects.values_list("name", flat=True)) == names | set(timetable.works())
    assert len(rung) == 1
    assert {"updates", "send", "journeys"} <= names


@pytest.mark.django_db
def test_each_nightly_job_does_its_work() -> None:
    jobs.list_jobs(lines=timetable.lines(), now=EVENING)
    jobs.run_now(names=list(timetable.works()), by="ann", now=NIGHT)

    done = {run.job_id: run.outcome for run in timetable.run_due()}

    assert done == dict.fromkeys(timetable.works(), "done")


@pytest.mark.django_db
def test_staff_pause_with_a_reason_and_run_now(client: Client) -> None:
    jobs.list_jobs(lines=LINES, now=EVENING)
    client.force_login(User.objects.create_superuser("ann"))
    url = reverse("admin:nurture_job_changelist")

    def act(action: str, **more: str) -> str:
        data = {"action": action, "_selected_action": ["clean", "ring"], "index": "0", **more}
        return client.post(url, data, follow=True).content.decode()

    asked = act("pause")
    assert 'name="why"' in asked
    assert "always on" in asked  # the bell is left as it is
    act("pause", confirmed="1", why="We restore.")

    row = Job.objects.get(name="clean")
    assert (row.paused_by, row.paused_why) == ("ann", "We restore.")
    assert "by ann: We restore." in client.get(url).content.decode()
    act("run_now", confirmed="1")
    assert run(NIGHT) == 1
    act("resume", confirmed="1")
    assert Job.objects.get(name="clean").paused_at is None
