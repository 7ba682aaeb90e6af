"""What the drills find and do in a school: its classes, its books, its sequences."""

from __future__ import annotations

import re
from pathlib import Path
from zoneinfo import ZoneInfo

from django.conf import settings

from attendance.domain.records import parse_time
from delivery import clock
from delivery.models import Delivery
from delivery.selectors import closed_gates, queues
from nurture.models import Contact
from tests.bench.report import expect
from tests.bench.worlds import HOUR, Plan, google_of
from tests.factories import nurture as make
from tests.rehearsals.site import Site, await_that

WORLD = Path(settings.LOCAL_DIR)
CALENDAR = "c0@group.calendar.example"
FIRST_CHAT = 5000
ENROLLED, ABSENT = 30, 3  # of the class that Google knows of
LOST = re.compile(r"(\S+\+00:00).*(?:sender\.database_lost|clock\.database_unreachable)")
_HEAD = """\
sequence: {slug}
name: {slug}
entry: {{key: session, again: every key}}
triggers:
  - {{fact: {fact}}}
steps:
"""
SEQUENCE = (
    _HEAD
    + """\
  - {{key: one, text: "{{{{ first_name }}}}, {words}"}}
  - {{key: two, wait: {{after: 1m}}, text: "{{{{ first_name }}}}, {words} again"}}
"""
)

MORNING = (
    _HEAD
    + """\
  - {{key: one, wait: {{at: "09:00", plus_days: 1}}, text: "{{{{ first_name }}}}, {words}"}}
"""
)


def class_is_held(world: Site) -> None:
    """Google tells of a class of this morning; three of those enrolled were not there."""
    plan = Plan(courses=1, learners=ENROLLED, classes=1, newest=clock.now() - 5 * HOUR,
                apart=HOUR, second_devices=0)  # fmt: skip
    held = google_of(plan)
    world.google.calendars[CALENDAR] = held.calendars[CALENDAR]
    world.google.records += sorted(
        (record for day in held.by_day.values() for record in day),
        key=lambda record: parse_time(record.body["id"]["time"]),
    )


def learners(count: int) -> str:
    """A file with those who are enrolled, and their chats."""
    lines = [
        f"l{n}.c0@mail.example,Enrolled{n} Diaz,{FIRST_CHAT + n},{CALENDAR}" for n in range(count)
    ]
    return "\n".join(["email,name,telegram_chat_id,courses", *lines, ""])


def told(world: Site) -> int:
    """How many messages about the missed class have arrived."""
    return count(world, "we missed you")


def count(world: Site, words: str) -> int:
    """How many messages with these words have arrived."""
    return sum(n for text, n in world.arrived().items() if words in text)


def lost_at(world: Site) -> str:
    """The moment from which nothing can have been sent, as the logs tell it."""
    lines = (world.said("worker") + world.said("clock")).splitlines()
    return min(found[1] for line in lines if (found := LOST.search(line)))


def books_are_true(world: Site) -> list[int]:
    """The receiver's books beside ours; which deliveries staff have to decide about."""
    open_ones = Delivery.objects.filter(status__in=["pending", "leased", "sending"])
    await_that(lambda: not open_ones.filter(due_at__lte=clock.now()).exists(), "nothing is due")
    world.none_doubled()
    arrived = world.arrived()
    sent = Delivery.objects.filter(status="sent").values_list("text", flat=True)
    expect("called sent, and not arrived", [text for text in sent if text not in arrived], [])
    known = set(Delivery.objects.values_list("text", flat=True))
    # What was owed after the backup, and not sent before the loss, is nowhere any more.
    world.owed &= set(arrived) | known
    in_doubt = Delivery.objects.filter(status="unknown")
    world.owed -= set(in_doubt.values_list("text", flat=True))
    return list(in_doubt.values_list("pk", flat=True))


def closed() -> set[str]:
    """The gates that are closed."""
    return {gate.key for gate in closed_gates()}


def publish(
    world: Site, slug: str, fact: str, words: str, *options: str, source: str = SEQUENCE
) -> None:
    """Import a sequence, by default of two steps, a minute apart, and publish it."""
    path = WORLD / f"{slug}.yaml"
    path.write_text(source.format(slug=slug, fact=fact, words=words))
    world.manage("import_sequence", str(path), "--publish", *options)


def facts(kind: str, *, count: int) -> list[str]:
    """So many learners of whom this is true of a class of today; their addresses."""
    now, emails = clock.now(), []
    held = make.make_session(starts_at=now - 5 * HOUR)
    for _ in range(count):
        contact = make.make_contact(name=f"L{Contact.objects.count()} Diaz")
        make.make_fact(kind, contact=contact, session=held, recorded_at=now)
        emails.append(contact.learner.email)
    held.outcomes.update(reason="joined_late")  # what made it is no matter here
    return emails


def planned(slug: str) -> int:
    """How many messages of a sequence are owed."""
    return Delivery.objects.filter(stream=f"stream:{slug}", status="pending").count()


def hours(slug: str, zone: str) -> list[str]:
    """At which times of day, there, messages of a sequence are due; each once."""
    mine = Delivery.objects.filter(stream=f"stream:{slug}", status="pending")
    return sorted({f"{row.due_at.astimezone(ZoneInfo(zone)):%H:%M}" for row in mine})


def wait_for_the_second_step(slug: str) -> None:
    """Until what was planned of it has come due behind its gate."""
    mine = Delivery.objects.filter(stream=f"stream:{slug}", status="pending")
    await_that(lambda: not mine.filter(due_at__gt=clock.now()).exists(), "it comes due")


def oldest_due() -> float:
    """How long the oldest due delivery of any stream has been due, in seconds."""
    now = clock.now()
    ages = [(now - queue.oldest).total_seconds() for queue in queues() if queue.oldest]
    return max(ages, default=0.0)


def forget(world: Site) -> dict[str, int]:
    """Give up what a lost key sealed: how many values of each column."""
    found: dict[str, int] = world.manage("rotate_keys", "--forget-lost", "--for-ever")["forgotten"]
    return found


def with_key(world: Site, value: str) -> None:
    """As it stands in the settings of each process, and of this one."""
    world.env["FIELD_ENCRYPTION_KEY"] = value
    settings.FIELD_ENCRYPTION_KEY = (value,)
