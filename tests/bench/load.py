"""An evening of a school of 20,000: classes end together, 6,000 learners are written to at once.

`make load`, or `SHORT=1 make load`. In a database of its own with a year of messages in it, the
processes of production (web, worker, clock) work off 6,000 absences that are settled in the same
moment, at Telegram's rate, while other learners ask the bot by its webhook and staff look at the
admin. Prints a table and one JSON object as the last line. It fails where a message is lost,
doubled or refused, where a page does not answer, and never for a time.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import threading
import time
import urllib.request
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import reverse  # noqa: E402

from attendance.models import Course  # noqa: E402
from attendance.tasks import settle_sessions  # noqa: E402
from config import embedded  # noqa: E402
from config.demo.live import free_port  # noqa: E402
from config.sealed import stock  # noqa: E402
from delivery import clock  # noqa: E402
from delivery.models import Delivery  # noqa: E402
from delivery.services.installation import arm  # noqa: E402
from delivery.views import SECRET_HEADER  # noqa: E402
from nurture.models import Contact  # noqa: E402
from tests.bench.crowds import LARGE, fill  # noqa: E402
from tests.bench.report import Figures, expect, share, table  # noqa: E402
from tests.bench.worlds import own_database  # noqa: E402
from tests.e2e.commands import environment, running, started, telegram_at  # noqa: E402
from tests.factories import nurture as make  # noqa: E402
from tests.integration.delivery.inbound_updates import message  # noqa: E402
from tests.integration.delivery.receiver import Receiver, receiving  # noqa: E402

RATE, ALLOWED = 25, 30  # messages a second: the default, and what the receiver lets through
LATENCY = 0.05  # seconds until it answers
ASK_EVERY, LOOK_EVERY = 0.7, 0.5  # seconds between questions to the bot, and between pages
OF_A_CLASS = 100  # absent learners
SECRET = "a-Secret_1"
#: What staff look at while it goes out.
PAGES = ("index", "nurture_sequence_changelist", "nurture_journey_changelist",
         "delivery_delivery_changelist", "attendance_learner_changelist",
         "attendance_classsession_changelist", "attendance_reviewitem_changelist")  # fmt: skip
TABLES = ("nurture_deliveries", "delivery_attempt")
_updates = itertools.count(10_000_000)  # after all that the school has had
SEQUENCE = """\
sequence: this-evening
name: This evening
entry: {key: session, again: every key, open: 1}
triggers:
  - {fact: missed, times: any}
steps:
  - key: hello
    text: "Hi {{ first_name | default: 'there' }}, we missed you in {{ session_title }}."
"""


@dataclass(kw_only=True)
class Evening:
    """What came of it, as seen from outside: by the receiver, the bot's learners, and staff."""

    receiver: Receiver
    url: str
    asked: dict[int, float] = field(default_factory=dict)  # by chat, by the monotonic clock
    pages: list[float] = field(default_factory=list)  # seconds each
    memory: dict[str, int] = field(default_factory=dict)  # the most of each process, bytes
    over: threading.Event = field(default_factory=threading.Event)
    broken: list[BaseException] = field(default_factory=list)

    @contextmanager
    def beside(self, *works: Any) -> Iterator[None]:
        """Let these go on in threads of their own for the block. Raises what they raised."""
        threads = [threading.Thread(target=self._guarded, args=[work]) for work in works]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.over.set()
            for thread in threads:
                thread.join()
        if self.broken:
            raise self.broken[0]

    def _guarded(self, work: Any) -> None:
        try:
            work()
        except BaseException as error:  # told to whoever waits for the block
            self.broken.append(error)
        finally:
            connection.close()

    def ask(self, chats: list[int]) -> None:
        """Learners who were there ask the bot something, one after the other."""
        for chat in chats:
            update = message(next(_updates), "/help", chat={"id": chat, "type": "private"})
            self.asked[chat] = time.monotonic()
            request = urllib.request.Request(
                f"{self.url}/telegram/webhook/",
                data=json.dumps(update).encode(),
                headers={"Content-Type": "application/json", SECRET_HEADER: SECRET},
            )
            with urllib.request.urlopen(request, timeout=30) as answer:
                expect("the webhook says", answer.status, HTTPStatus.OK)
            if self.over.wait(ASK_EVERY):
                return

    def look(self, cookie: str) -> None:
        """Staff go from page to page."""
        while True:
            for page in PAGES:
                request = urllib.request.Request(
                    self.url + reverse(f"admin:{page}"), headers={"Cookie": cookie}
                )
                began = time.monotonic()
                with urllib.request.urlopen(request, timeout=30) as answer:
                    expect(page, answer.url, request.full_url)  # not sent to the login
                    answer.read()
                self.pages.append(time.monotonic() - began)
                if self.over.wait(LOOK_EVERY):
                    return

    def weigh(self, groups: dict[str, int]) -> None:
        """Note how much memory each process group holds at most."""
        while not self.over.wait(1.0):
            for name, group in groups.items():
                self.memory[name] = max(self.memory.get(name, 0), _held(group))


def _held(group: int) -> int:
    """Bytes of memory of its own (PSS) of all processes of one group."""
    total = 0
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.getpgid(int(entry.name)) == group:
                rollup = (entry / "smaps_rollup").read_text()
                total += 1024 * int(rollup.split("\nPss:")[1].split()[0])
        except OSError:
            continue  # it ended meanwhile
    return total


def school(*, part: int, now: datetime) -> None:
    """A year of a school of 20,000, and one sequence that writes at any hour; nothing due soon."""
    arm(now=now)  # while it is empty: a database with a past would not send
    fill(LARGE.part(part), now=now)
    for column in stock.columns():  # the crowd came by SQL: its hashes are made now
        stock.carry_over(column)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE nurture_sequences SET mode = 'stopped'")
        cursor.execute(
            "UPDATE user_nurture_journeys SET next_action_at = next_action_at + interval '1 day'"
        )
        cursor.execute(
            "UPDATE nurture_deliveries SET due_at = due_at + interval '1 day',"
            " run_at = run_at + interval '1 day', expires_at = expires_at + interval '1 day'"
            " WHERE status = 'pending'"
        )
        cursor.execute("VACUUM ANALYZE")
    make.make_sequence(SEQUENCE, now=now)


@transaction.atomic
def absences(contacts: list[Contact], *, now: datetime) -> None:
    """Their classes of today are settled in one moment: as attendance leaves it, by its rows."""
    courses = list(Course.objects.order_by("pk"))
    held = [
        make.make_session(
            starts_at=now - timedelta(hours=5),
            title=f"Class {number}",
            course=courses[number % len(courses)],
        )
        for number in range(len(contacts) // OF_A_CLASS + 1)
    ]
    for number, contact in enumerate(contacts):
        make.make_fact(contact=contact, session=held[number // OF_A_CLASS], recorded_at=now)


def play(*, messages: int, part: int) -> Figures:
    """The whole evening; what was measured."""
    school(part=part, now=clock.now())
    reachable = Contact.objects.filter(
        chat__reachability="ok", chat__consents__granted=True, chat__consents__category=""
    )
    # The first one has the longest history of all: she is no ordinary learner.
    contacts = list(reachable.select_related("learner", "chat").order_by("pk")[1 : messages * 2])
    missed, others = contacts[:messages], contacts[messages:]
    size = _bytes_a_million()
    receiver = Receiver(latency=LATENCY, limit_per_second=ALLOWED)
    with receiving(receiver), ExitStack() as stack:
        evening = Evening(receiver=receiver, url="")
        evening.url, groups = stack.enter_context(_processes(receiver))
        cookie = _logged_in()
        _first_words(evening, others.pop())
        already = receiver.total
        absences(missed, now=clock.now())
        began = time.monotonic()
        settle_sessions.send()
        with evening.beside(
            lambda: evening.ask([_chat(contact) for contact in others]),
            lambda: evening.look(cookie),
            lambda: evening.weigh(groups),
        ):
            _await(receiver, _chats(missed), seconds=3 * messages / RATE + 120)
        receiver.await_count(already + messages + len(evening.asked), seconds=60)
    return _figures(evening, missed, began=began) | {
        "deliveries_before": LARGE.part(part).deliveries,
        "bytes_a_million": size,
    }


def _figures(evening: Evening, missed: list[Contact], *, began: float) -> Figures:
    receiver, owed = evening.receiver, _chats(missed)
    arrived = dict(zip((chat for chat, _ in receiver.texts), receiver.times, strict=True))
    expect("refused", receiver.refused, 0)
    expect("doubled", {c: n for c, n in receiver.arrived.items() if c in owed and n > 1}, {})
    expect("on the books", _books(), len(owed))
    mine = sorted(arrived[chat] for chat in owed)
    replies = [arrived[chat] - at for chat, at in evening.asked.items()]
    return {
        "messages": len(owed),
        "first_seconds": mine[0] - began,
        "drain_seconds": mine[-1] - mine[0],
        "drain_ratio": (mine[-1] - mine[0]) / ((len(owed) - 1) / RATE),
        "ratio_from_settled": (mine[-1] - began) / ((len(owed) - 1) / RATE),
        "replies": len(replies),
        "reply_p95": share(replies, 0.95),
        "pages": len(evening.pages),
        "page_p50": share(evening.pages, 0.5),
        "page_p95": share(evening.pages, 0.95),
        **{f"memory_{name}": most for name, most in evening.memory.items()},
    }


def _books() -> int:
    return Delivery.objects.filter(stream="stream:this-evening", status="sent").count()


def _chat(contact: Contact) -> int:
    assert contact.chat is not None
    return int(contact.chat.telegram_id)


def _chats(contacts: list[Contact]) -> set[int]:
    return {_chat(contact) for contact in contacts}


def _await(receiver: Receiver, chats: set[int], *, seconds: float) -> None:
    """Until each of them has a message."""
    with receiver.changed:
        there = receiver.changed.wait_for(lambda: chats <= receiver.arrived.keys(), timeout=seconds)
    expect("who waits in vain", 0 if there else len(chats - receiver.arrived.keys()), 0)


def _first_words(evening: Evening, contact: Contact) -> None:
    """Everything is up once somebody was answered; that one is not counted."""
    evening.over.set()
    evening.ask([_chat(contact)])
    evening.over.clear()
    evening.receiver.await_count(1, seconds=90)
    evening.asked.clear()


def _logged_in() -> str:
    """The cookie of somebody who may see all."""
    client = Client()
    client.force_login(User.objects.create_superuser("load"))
    return f"sessionid={client.cookies['sessionid'].value}"


@contextmanager
def _processes(receiver: Receiver) -> Iterator[tuple[str, dict[str, int]]]:
    """Web, worker and clock as render.yaml starts them: where the web is, and their groups."""
    port = free_port(18_600)
    env = environment(
        **telegram_at(
            receiver.url,
            TELEGRAM_SENDS_PER_SECOND=str(RATE),
            TELEGRAM_WEBHOOK_SECRET=SECRET,
            REDIS_URL=settings.REDIS_URL,
            PORT=str(port),
        )
    )
    with ExitStack() as stack:
        web = ["-m", "gunicorn", "config.wsgi", "--bind", f"127.0.0.1:{port}", "--threads", "8"]
        groups = {
            "web": stack.enter_context(started(*web, env=env)),
            "worker": stack.enter_context(
                running("rundramatiq", "--processes", "1", "--threads", "8", env=env)
            ),
            "clock": stack.enter_context(running("runclock", env=env)),
        }
        url = f"http://127.0.0.1:{port}"
        embedded._await(lambda: _answers(url), seconds=60, what="the web process")
        yield url, groups


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=5) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False


def _bytes_a_million() -> float:
    """What a million deliveries take, with their tries and all indexes."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(pg_total_relation_size(t::regclass))::float8 * 1e6"
            " / (SELECT count(*) FROM nurture_deliveries) FROM unnest(%s::text[]) AS t",
            [list(TABLES)],
        )
        return float(cursor.fetchone()[0])


def main() -> None:
    """Play it and print the figures."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="a small school: under 60 s")
    short = parser.parse_args().short
    with own_database(cache=settings.CACHES["default"]["KEY_PREFIX"]):
        found = play(messages=150 if short else 6_000, part=50 if short else 1)
    mb = 1024 * 1024
    table([
        (f"{found['messages']:,} messages drained, s", found["drain_seconds"],
         f"{(found['messages'] - 1) / RATE:,.0f} at {RATE}/s"),
        ("  beside that minimum, first to last", found["drain_ratio"], "<= 1.1"),
        ("  beside it, settled to last", found["ratio_from_settled"], ""),
        ("settled to first message, s", found["first_seconds"], ""),
        (f"reply of the bot meanwhile, s, p95 of {found['replies']}", found["reply_p95"], "<= 1"),
        (f"page of the admin meanwhile, s, p50 of {found['pages']}", found["page_p50"], ""),
        ("  p95", found["page_p95"], ""),
        *((f"memory of the {name}, MB", found[f"memory_{name}"] / mb, "")
          for name in ("web", "worker", "clock")),
        (f"a million deliveries, MB (of {found['deliveries_before']:,})",
         found["bytes_a_million"] / mb, ""),
        ("load average at the end", os.getloadavg()[0], ""),
    ])  # fmt: skip
    sys.stdout.write(json.dumps({"short": short} | found, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
