"""`make rehearse-drills`: the disaster drills of the handbook, with its own commands.

In servers and a database of their own, with the processes of production, while messages flow; a
Bot API, a Google and a storage on loopback keep books of their own. Each drill ends with the line
"Done when" of docs/operations/handbook.md. Prints a line for each; leaves with 1 if one failed.

    python -m tests.rehearsals.drills [--only database redis …] [--json]
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import django

os.environ["LOCAL_DIR"] = str(Path(__file__).resolve().parent.parent.parent / ".local" / "drills")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.db import connection  # noqa: E402

from attendance.models import Course  # noqa: E402
from config import embedded  # noqa: E402
from delivery import clock, services  # noqa: E402
from delivery.models import Chat, Delivery  # noqa: E402
from nurture import flags  # noqa: E402
from nurture.models import Contact, Journey  # noqa: E402
from nurture.services import end_all  # noqa: E402
from nurture.services.contacts import import_learners  # noqa: E402
from tests.bench.report import expect  # noqa: E402
from tests.bench.worlds import own_database  # noqa: E402
from tests.e2e.commands import stop_redis  # noqa: E402
from tests.rehearsals import school  # noqa: E402
from tests.rehearsals.school import ABSENT, CALENDAR, ENROLLED, WORLD  # noqa: E402
from tests.rehearsals.site import Site, await_that, on_server, site  # noqa: E402

IN_FLIGHT = 8  # at most, of one worker
OLD_TOKEN, NEW_TOKEN = (f"123456:{letter * 35}" for letter in "AB")


# --- the drills -----------------------------------------------------------------------------------


def database(world: Site) -> str:
    """The database is lost: the newest backup comes from the storage; Google is read again."""
    with world.flowing():
        world.more_arrive(10)
        backed_up_at = clock.now()
        for number in range(150):  # owed when it is backed up, and sent by the one or the other
            world.owe(due_at=backed_up_at + timedelta(seconds=number * 0.4))
        world.manage("backup", "--to-storage")
        school.class_is_held(world)  # after the backup: what is said of it is in no backup
        since = (backed_up_at - timedelta(days=1)).isoformat()
        world.manage("sync_attendance", "--since", since)
        await_that(lambda: school.told(world) == ABSENT, "who missed the class is told")
        world.more_arrive(10)
        lost = connection.settings_dict["NAME"]
        connection.close()
        on_server(f"DROP DATABASE {lost} WITH (FORCE)")
        await_that(lambda: world.answer("/readyz")[0] == 503, "/readyz tells it")
    world.stop("worker", "clock")
    on_server(f"CREATE DATABASE {lost}")
    before = world.telegram.total
    world.manage("restore", "--from-storage")
    expect("installation", world.doctor(fails=True)["installation"], "fail")
    world.manage("send_due", "--until-empty", fails=True)
    expect("sent by a copy", world.telegram.total - before, 0)
    told = world.manage("post_restore", "--until", school.lost_at(world))
    expect("nurture is paused", told["paused"], True)
    world.start("clock", "worker")
    world.manage("sync_attendance", "--since", since)
    world.manage("tick")
    world.manage("resume", "nurture")
    with world.flowing():
        world.more_arrive(10)
    in_doubt = school.books_are_true(world)
    expect("told twice of the class", school.told(world), ABSENT)
    services.drop(delivery_ids=in_doubt)  # staff: what is old they drop
    world.audit_holds()
    expect("wrong", [n for n, verdict in world.doctor().items() if verdict == "fail"], [])
    expect("left in doubt", Delivery.objects.filter(status="unknown").count(), 0)
    return f"{len(in_doubt)} in doubt, none doubled"


def redis(world: Site) -> str:
    """Redis is lost: the clock does the work itself; a new, empty one takes over."""
    with world.flowing():
        world.more_arrive(5)
        stop_redis()
        before = world.telegram.total
        await_that(
            lambda: "redis" in world.answer("/readyz")[1].get("problems", {}), "/readyz says Redis"
        )
        world.more_arrive(30)
        meanwhile = world.telegram.total - before
        await_that(lambda: "clock.redis_unreachable" in world.said("clock"), "the clock logs it")
        embedded.ensure(WORLD)
        world.stop("worker", "clock", "web")
        world.start()
        world.more_arrive(10)
    world.all_arrive_once()
    await_that(lambda: world.doctor()["processes"] == "pass", "the worker is seen")
    found = world.doctor("--deep")
    expect("redis", {found["redis"], found["redis_memory"]}, {"pass"})
    return f"{meanwhile} arrived without Redis, none lost or doubled"


def token(world: Site) -> str:
    """The bot's token leaked: the gate closes by itself; the new one sends all that waited."""
    with world.flowing():
        world.more_arrive(5)
        world.telegram.token = NEW_TOKEN
        await_that(lambda: "bot:token" in school.closed(), "the gate closes by itself")
        refused, before = world.telegram.refused, world.telegram.total
        time.sleep(3)  # more falls due meanwhile, and nothing is tried
        tries = world.telegram.refused - refused  # what was in flight when it closed
        expect("tries behind the gate", tries <= IN_FLIGHT, True)
        waiting = Delivery.objects.filter(status="pending").count()
        world.env["BOT_TOKEN"] = NEW_TOKEN
        world.stop()
        world.start()
        world.manage("runbot", "--webhook")
        expect("sent behind the gate", world.telegram.total - before, 0)
        world.manage("switch", "deliver", "on")
        world.more_arrive(waiting)
    found = world.doctor("--deep")
    expect("telegram and webhook", {found["telegram"], found["webhook"]}, {"pass"})
    world.all_arrive_once()
    world.audit_holds()
    return f"{waiting} waited for the new token, none lost or doubled"


def key(world: Site) -> str:
    """FIELD_ENCRYPTION_KEY is lost: what it sealed is given up; who is imported is known again."""
    first, second = (base64.urlsafe_b64encode(bytes([n]) * 32).decode() for n in (1, 2))
    people = WORLD / "learners.csv"
    people.write_text(school.learners(ENROLLED))
    school.with_key(world, first)
    world.manage("rotate_keys")
    world.stop()
    school.with_key(world, second)
    expect("encryption", world.doctor(fails=True)["encryption"], "fail")
    world.manage("tick", fails=True)
    world.manage("rotate_keys", "--forget-lost", fails=True)
    lost = school.forget(world)
    expect("lost again", sum(school.forget(world).values()), 0)
    known = Chat.objects.filter(reachability="ok").count()
    world.manage("import_learners", str(people))
    expect("known again", Chat.objects.filter(reachability="ok").count() - known, ENROLLED)
    world.start()
    world.owe(telegram_id=school.FIRST_CHAT)  # to somebody who was imported anew
    with world.flowing():  # each of its chats is met anew
        world.more_arrive(10)
    world.all_arrive_once()
    expect("encryption", world.doctor()["encryption"], "pass")
    world.audit_holds()
    return f"{lost['delivery_chat.telegram_id']} chats and {lost['attendance_learner.name']} names"


def google_key(world: Site) -> str:
    """Google's key leaked: attendance stands still, then a complete reading closes the gap."""
    world.manage("switch", "attendance", "off")
    expect("attendance", flags.attendance_is_on(), False)
    world.manage("google_probe")
    world.manage("switch", "attendance", "on")
    since = (clock.now() - timedelta(days=1)).isoformat()
    expect("reading", world.manage("sync_attendance", "--since", since)["state"], "complete")
    return "a complete reading reaches past the gap"


def sequence(world: Site) -> str:
    """A wrong sequence was published: it is held, others go on; what came due is dropped."""
    slug, words = "wrong", "you were away"
    school.publish(world, slug, "left_early", words)
    learners = school.facts("left_early", count=12)
    await_that(lambda: school.count(world, words) >= 3, "the first hear it")
    world.manage("switch", f"stream:{slug}", "off")
    late = school.facts("left_early", count=6)
    await_that(lambda: school.planned(slug) >= len(late), "more of it is planned")
    with world.flowing():
        world.more_arrive(10)  # others are not held
    told = school.count(world, words)
    school.wait_for_the_second_step(slug)
    foreseen = world.manage("resume", f"stream:{slug}", "--policy", "keep", "--dry-run")
    expect("foreseen", len(foreseen["vanish"]) > 0, True)
    expect("said while it was held", school.count(world, words), told)
    school.publish(world, slug, "left_early", "see you soon", "--in-flight", "move")
    world.manage("resume", f"stream:{slug}", "--policy", "keep")
    with world.flowing():
        world.more_arrive(30)
    expect("wrong words after all", school.count(world, words), told)
    now = clock.now()
    since = (now - timedelta(days=7)).isoformat()
    tested = world.manage("simulate", slug, "--since", since, "--until", now.isoformat())
    expect("backtest", tested["totals"]["messages"].get("sent", 0) > 0, True)
    expect("explained", world.manage("explain", learners[0], slug)["verdict"] != "", True)
    world.all_arrive_once()
    world.audit_holds()
    return f"{told} heard it, {len(foreseen['vanish'])} dropped, others went on"


def complaint(world: Site) -> str:
    """A learner complains: held, explained, exported, and a case without personal data."""
    school.publish(world, "complaint", "late", "you were late")
    (email,) = school.facts("late", count=1)
    await_that(lambda: Journey.objects.filter(learner__email=email).exists(), "a journey begins")
    world.manage("pause", f"learner:{email}")
    journey = Journey.objects.get(learner__email=email)
    expect("journey", journey.status, "paused")
    world.manage("explain", email, "complaint")
    world.manage("explain", email, "--session", str(journey.session_id))
    expect("export", email in json.dumps(world.manage("export_learner", email)), True)
    case = WORLD / "case.json"
    world.manage("case_bundle", str(journey.pk), str(case))
    expect("the case names them", email in case.read_text(), False)
    world.manage("case_replay", str(case))
    world.manage("erase_learner", email)
    expect("still known", Contact.objects.filter(learner__email=email).exists(), False)
    world.audit_holds()
    return "paused, explained, exported, replayed, erased"


def zone(world: Site) -> str:
    """A time zone is wrong: what is planned is planned anew, held meanwhile."""
    slug, there = "zone", "Asia/Tokyo"
    school.publish(world, slug, "returned", "welcome back", source=school.MORNING)
    learners = school.facts("returned", count=12)
    await_that(lambda: school.planned(slug) == len(learners), "all is planned")
    expect("planned", school.hours(slug, "UTC"), ["09:00"])
    world.manage("switch", f"stream:{slug}", "off")
    Course.objects.filter(sessions__events__kind="returned").update(time_zone=there)
    await_that(lambda: school.hours(slug, there) == ["09:00"], "it is planned anew")
    expect("planned", school.planned(slug), len(learners))
    away = WORLD / "away.csv"  # one of them lives elsewhere
    away.write_text(f"email,name,timezone\n{learners[0]},L Diaz,Europe/Madrid\n")
    world.manage("import_learners", str(away))
    expect("planned", len(school.hours(slug, there)), 2)
    for email in learners[:3]:
        at = world.manage("forecast", email)["messages"][0]["local"]
        expect("on their clock", "09:00" in at, True)
    world.manage("switch", f"stream:{slug}", "on")
    world.audit_holds()
    return f"{len(learners)} planned anew, each at nine on their clock"


def flood(world: Site) -> str:
    """A flood: from one moment to the next nothing goes out; what was not meant is ended."""
    school.publish(world, "flood", "partial", "not meant")
    school.facts("partial", count=150)
    for _ in range(150):
        world.owe()
    world.more_arrive(10)
    world.manage("switch", "deliver", "off")
    time.sleep(1)  # what was on the wire
    still = world.telegram.total
    await_that(
        lambda: school.planned("flood") + school.count(world, "not meant") >= 150, "all is planned"
    )
    ended = end_all(journeys=Journey.objects.filter(sequence__slug="flood"), now=clock.now())
    told = school.count(world, "not meant")
    expect("sent while switched off", world.telegram.total - still, 0)
    world.manage("switch", "deliver", "on")
    world.all_arrive_once()
    expect("of what was ended", school.count(world, "not meant"), told)
    await_that(lambda: school.oldest_due() < 90, "the oldest due is young")
    world.audit_holds()
    return f"{ended} journeys ended, the rest arrived once"


DRILLS: Mapping[str, tuple[str, Callable[[Site], str]]] = {
    "database": ("The database is lost", database),
    "redis": ("Redis is lost", redis),
    "token": ("The bot's token leaked", token),
    "key": ("FIELD_ENCRYPTION_KEY is lost", key),
    "google": ("Google's key leaked", google_key),
    "sequence": ("A wrong sequence was published", sequence),
    "complaint": ("A learner complains", complaint),
    "zone": ("A time zone is wrong", zone),
    "flood": ("A flood", flood),
}


# --- the rehearsal --------------------------------------------------------------------------------


def rehearse(names: list[str]) -> list[dict[str, Any]]:
    """Play these drills, one after the other; what came of each."""
    done = []
    with (
        own_database(cache="telbot"),
        site(token=OLD_TOKEN, logs=WORLD / "logs", calendars=[CALENDAR]) as world,
    ):
        import_learners(content=school.learners(ENROLLED), now=clock.now() - timedelta(days=30))
        school.publish(world, "missed-class", "missed", "we missed you")
        world.start()
        world.manage("runbot", "--webhook")
        for name in names:
            row = _play(name, world)
            done.append(row)
            sys.stdout.write(
                f"{row['seconds']:6.1f} s  {'ok    ' if row['ok'] else 'FAILED'}  {row['drill']}:"
                f" {row['found']}\n"
            )
            sys.stdout.flush()
        world.stop()
    return done


def _play(name: str, world: Site) -> dict[str, Any]:
    title, drill = DRILLS[name]
    began = time.monotonic()
    try:
        found, ok = drill(world), True
    except Exception as error:  # each drill is told, whatever became of the one before
        traceback.print_exc()
        found, ok = f"{type(error).__name__}: {error}", False
    return {"drill": title, "ok": ok, "seconds": round(time.monotonic() - began, 1), "found": found}


def main() -> None:
    """Leave with 1 if a drill failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=list(DRILLS), default=list(DRILLS))
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # nothing that was started stays
    try:
        done = rehearse(options.only)
    finally:
        embedded.stop(WORLD)
    if options.json:
        at = datetime.now(UTC).isoformat(timespec="seconds")
        sys.stdout.write(json.dumps({"at": at, "drills": done}) + "\n")
    sys.exit(0 if all(row["ok"] for row in done) else 1)


if __name__ == "__main__":
    main()
