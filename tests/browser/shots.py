"""The pictures of docs/staff-guide.md: every screen of the admin, in light and dark.

`make screenshots`: plays the demo in a world of its own, adds what a good month does not bring
(a guest who is perhaps Rosa, a delivery in doubt, a draft), and photographs each page with the
eyes of the role that works there. Names of pictures may be given to take only those.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
os.environ.setdefault("LOCAL_DIR", str(ROOT / ".local" / "shots"))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # Playwright leaves an event loop in this thread

import django  # noqa: E402

django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth.models import Group, User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import reverse  # noqa: E402
from playwright.sync_api import Browser, sync_playwright  # noqa: E402

from attendance.models import ClassSession, Learner, ReviewItem  # noqa: E402
from config import embedded, processes  # noqa: E402
from config.demo import live  # noqa: E402
from delivery import clock  # noqa: E402
from delivery.models import Heartbeat  # noqa: E402
from delivery.sandbox import client  # noqa: E402
from delivery.services import enqueue  # noqa: E402
from nurture import services  # noqa: E402
from nurture.domain.alerts import Code  # noqa: E402
from nurture.models import AlertEpisode, BacktestRun, Contact, Sequence, StaffTask  # noqa: E402
from nurture.services import backtests, sequences  # noqa: E402
from tests.browser.desk import DRESS, STILL, Desk  # noqa: E402
from tests.browser.palette import in_few_colours  # noqa: E402
from tests.conftest import CHROMIUM, QUIET  # noqa: E402
from tests.factories import classes  # noqa: E402
from tests.factories.delivery import make_chat  # noqa: E402
from tests.factories.nurture import settle  # noqa: E402
from tests.factories.scenarios import given, make_scenario, sent, unsent  # noqa: E402

FOLDER = ROOT / "docs" / "img" / "staff"
DESK, PHONE = (1280, 1100), (390, 780)
SLUG = "missed-class"
#: Where the draft differs from what is published.
DRAFT = (("we missed you in", "you were missing in"),)


# --- the world ------------------------------------------------------------------------------------


def play() -> None:
    """The demo's month, and the rest; the same in each run but for the day on which it is run."""
    call_command("demo", "--once", "--reset")
    embedded.ensure(settings.LOCAL_DIR)
    now = clock.now()
    _a_class_with_guests(now)
    _a_bad_hour(now)
    _a_draft(now)
    StaffTask.objects.create(
        kind="handover", key="rosa", learner=Learner.objects.get(name="Rosa Alba"),
        note="Asked the bot for a person: wants to change to the evening course.", created_at=now,
    )  # fmt: skip


def _a_class_with_guests(now: datetime) -> None:
    """Rosa and a tablet were there without an account; Google cannot say who they are."""
    course, people = classes.make_course("Rosa Alba", "Amir Haddad", "Jana Vogel", "Tom Okoro")
    for learner in people:
        chat = make_chat(telegram_id=9_000_000 + learner.pk)
        Contact.objects.update_or_create(learner=learner, defaults={"chat": chat})
    evening = (now - timedelta(days=1)).replace(hour=17, minute=0, second=0, microsecond=0)
    held = classes.make_class(
        course, starts_at=evening, ends_at=evening + timedelta(hours=1), title="Spanish A2"
    )
    classes.stay(held, email=people[1].email, start=1, end=59)
    classes.stay(held, email=people[3].email, start=21, end=60)
    classes.stay(held, name="Rosa Alba", start=2, end=57)
    classes.stay(held, name="iPad", start=5, end=48)
    classes.judge(held)


def _a_bad_hour(now: datetime) -> None:
    """Telegram did not answer twice, and one text could never be sent."""
    ends = (("unknown", "no_answer"), ("dead", "too_many_tries"), ("unknown", "no_answer"))
    at = now - timedelta(minutes=40)
    people = Contact.objects.exclude(learner__email__endswith="@school.example").order_by("pk")
    for contact, (status, reason) in zip(people, ends, strict=False):
        assert contact.chat is not None
        delivery = enqueue(
            chat=contact.chat, dedupe_key=f"shots:{contact.pk}", due_at=at, stream=SLUG,
            text=f"Hi {contact.learner.name.split()[0]}, we missed you in <b>Data basics</b>.",
        )  # fmt: skip
        settle(delivery, at=at, status=status, reason=reason)
    _what_was_told(at)


def _what_was_told(at: datetime) -> None:
    """What stands since then, and a breaker that opened and closed a day before."""
    day_before = at - timedelta(days=1)
    AlertEpisode.objects.create(
        code=Code.BREAKER_OPEN, subject="telegram", severity="critical",
        words="bot:breaker is closed.", seen_since=day_before, opened_at=day_before,
        told_at=day_before, resolved_at=day_before + timedelta(minutes=12),
    )  # fmt: skip
    for code, words in (
        (Code.DEAD_DELIVERIES, "Given up: 1 delivery."),
        (Code.UNKNOWN_DELIVERIES, "2 deliveries cannot be known."),
    ):
        AlertEpisode.objects.create(
            code=code, severity="warning", words=words, seen_since=at, opened_at=at, told_at=at
        )


def _a_draft(now: datetime) -> None:
    """Somebody is at work on the texts; what they expect of them is written down."""
    sequence = Sequence.objects.get(slug=SLUG)
    source = sequences.export(slug=SLUG)
    for old, new in DRAFT:
        source = source.replace(old, new)
    assert sequence.published_version is not None
    services.save_draft(
        sequence=sequence, source=source, by=user_of("author"), now=now,
        expected_checksum=services.checksum_of(sequence.published_version),
    )  # fmt: skip
    make_scenario(
        sequence,
        [given(1, "22:00", "missed")],
        [sent("hello", 2, "09:00"), unsent("reminder")],
        name="Rosa misses a class and says no more",
    )
    run, _ = backtests.ask(
        sequence=sequence, version=2, against=1, since=now - timedelta(days=28), until=now,
        by="author", now=now,
    )  # fmt: skip
    backtests.run_waiting(now=now, only=run.pk)


def user_of(role: str) -> User:
    """A member of staff with that role."""
    user, _ = User.objects.get_or_create(
        username=role, defaults={"is_staff": True, "first_name": role.capitalize()}
    )
    user.groups.set([Group.objects.get(name=role)])
    return user


# --- the pictures ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shot:
    """One page: its picture's name, who looks, where it is, what to do before."""

    name: str
    role: str
    path: str
    before: Callable[[Desk], None] = lambda desk: None
    size: tuple[int, int] = DESK


def of_sequence(page: str, query: str = "", *, slug: str = SLUG) -> str:
    """The address of a page of a sequence."""
    sequence = Sequence.objects.get(slug=slug)
    return reverse(f"admin:nurture_sequence_{page}", args=[sequence.pk]) + query


def a_list(model: str) -> str:
    """The address of a list."""
    return reverse(f"admin:{model}_changelist")


def shots() -> list[Shot]:
    """Every screen, in the order in which the guide comes to it."""
    rosa = Learner.objects.get(name="Rosa Alba")
    held = ClassSession.objects.get(title="Spanish A2", outcomes__learner=rosa)
    guest = ReviewItem.objects.filter(kind="guest", session=held).order_by("pk")[0]
    learner = reverse("admin:attendance_learner_change", args=[rosa.pk])
    of_class = reverse("admin:attendance_classsession_change", args=[held.pk])
    overview, run = reverse("admin:index"), BacktestRun.objects.order_by("-pk")[0]
    return [
        Shot("overview", "operator", overview, size=(1280, 1400)),
        Shot("checklist", "admin", overview, with_work_left),
        Shot("rollout", "operator", reverse("rollout")),
        Shot("alerts", "operator", a_list("nurture_alertepisode")),
        Shot("second-factor", "viewer", reverse("second_factor_set_up")),
        Shot("sequences", "author", a_list("nurture_sequence")),
        Shot("sequence", "author", of_sequence("change")),
        Shot("editor", "author", of_sequence("edit")),
        Shot(
            "walkthrough", "author", of_sequence("walkthrough", "?who=ann&start=2026-03-02T22:40")
        ),
        Shot("scenarios", "author", of_sequence("scenarios")),
        Shot("backtest", "author", of_sequence("backtest", f"?run={run.pk}")),
        Shot("publish", "publisher", of_sequence("publish")),
        Shot("mode", "publisher", of_sequence("mode")),
        Shot("versions", "publisher", of_sequence("versions")),
        Shot("dry-run", "operator", a_list("nurture_wouldsend")),
        Shot("timeline", "operator", of_sequence("timeline", "?days=all")),
        Shot("effect", "operator", of_sequence("effect")),
        Shot("learners", "operator", a_list("attendance_learner")),
        Shot("learner", "operator", learner),
        Shot("why", "operator", learner, ask_why),
        Shot("journeys", "operator", a_list("nurture_journey")),
        Shot("deliveries", "operator", a_list("delivery_delivery")),
        Shot("unknown", "operator", a_list("delivery_unknowndelivery")),
        Shot("given-up", "operator", a_list("delivery_deaddelivery")),
        Shot("classes", "operator", a_list("attendance_classsession")),
        Shot("class", "operator", of_class, size=(1440, 1250)),
        Shot("reviews", "operator", a_list("attendance_reviewitem")),
        Shot(
            "review",
            "operator",
            reverse("admin:attendance_reviewitem_change", args=[guest.pk]),
        ),
        Shot("audit", "operator", a_list("attendance_auditpair")),
        Shot("readings", "operator", a_list("attendance_syncrun")),
        Shot("words", "publisher", a_list("nurture_bottext")),
        Shot("phone-overview", "operator", overview, size=PHONE),
        Shot("phone-learner", "operator", learner, size=PHONE),
        Shot("phone-class", "operator", of_class, size=PHONE),
    ]


def with_work_left(desk: Desk) -> None:
    """As if clock and worker had not been started yet; they are seen again within seconds."""
    Heartbeat.objects.all().delete()
    desk.page.reload()


def ask_why(desk: Desk) -> None:
    """Ask why a learner heard nothing."""
    desk.page.select_option("select[name=sequence]", label="We missed you")
    desk.page.click("button:has-text('Explain')")
    desk.page.wait_for_selector("#answer li, #answer table, #answer p")


def take(browser: Browser, url: str, wanted: list[Shot]) -> None:
    """Photograph each page in both schemes; fail where a page does not answer."""
    for shot in wanted:
        client = Client()
        client.force_login(user_of(shot.role))
        context = browser.new_context(timezone_id="Europe/Berlin")
        key = client.cookies["sessionid"].value
        cookies = {"sessionid": key, "telbot_zone": "Europe/Berlin"}
        context.add_cookies([{"name": k, "value": v, "url": url} for k, v in cookies.items()])
        desk = Desk(context, url)
        page = desk.open(shot.path)
        shot.before(desk)
        page.add_style_tag(content=STILL)
        width, most = shot.size
        for scheme in ("light", "dark"):
            page.set_viewport_size({"width": width, "height": 400})
            page.evaluate(DRESS, scheme)
            tall = int(page.evaluate("document.documentElement.scrollHeight"))
            page.set_viewport_size({"width": width, "height": max(600, min(most, tall))})
            picture = in_few_colours(page.screenshot())
            (FOLDER / f"{shot.name}-{scheme}.png").write_bytes(picture)
        context.close()
        if desk.errors:
            raise SystemExit(f"{shot.name} ({shot.path}): {'; '.join(desk.errors)}")
        sys.stdout.write(f"  {shot.name}\n")


def main(names: list[str]) -> None:
    """Play the world where there is none, then take the pictures named, or all."""
    embedded.ensure(settings.LOCAL_DIR)
    call_command("migrate", verbosity=0)
    if not names or not StaffTask.objects.filter(key="rosa").exists():
        play()
    FOLDER.mkdir(parents=True, exist_ok=True)
    port = live.free_port(settings.PORT)
    url = f"http://127.0.0.1:{port}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        wanted = [it for it in shots() if not names or it.name in names]
        try:
            live.start(port=port, sandbox_url=client.ensure(), local_dir=settings.LOCAL_DIR)
            live.await_web(port=port, local_dir=settings.LOCAL_DIR)
            take(browser, url, wanted)
        finally:
            processes.stop(settings.LOCAL_DIR)
            browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
