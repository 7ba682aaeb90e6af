"""The pictures of docs/staff-guide.md: every screen of the admin, in light and dark.

`make screenshots`: plays the demo in a world of its own, adds what a good month does not bring
(scenery.py), and photographs each page with the eyes of the role that works there. Names of
pictures may be given to take only those.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
os.environ.setdefault("LOCAL_DIR", str(ROOT / ".local" / "shots"))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # Playwright leaves an event loop in this thread

# Somebody is told of alerts, as it should be; nobody answers there.
os.environ.setdefault("SLACK_WEBHOOK_URL", "https://slack.invalid/hook")

import django  # noqa: E402

django.setup()

from django.conf import settings  # noqa: E402
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
from nurture.models import BacktestRun, Sequence, StaffTask  # noqa: E402
from tests.browser.desk import DRESS, STILL, Desk  # noqa: E402
from tests.browser.palette import in_few_colours  # noqa: E402
from tests.browser.scenery import COMPARED, SLUG, play, user_of  # noqa: E402
from tests.conftest import CHROMIUM, QUIET  # noqa: E402

FOLDER = ROOT / "docs" / "img" / "staff"
#: Where one is in the menu, which scrolls by itself.
IN_SIGHT = """document.querySelectorAll('#nav-sidebar-inner a.active').forEach(
    here => here.scrollIntoView({block: 'center'}))"""
DESK, PHONE = (1280, 1100), (390, 780)


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
    held = ClassSession.objects.distinct().get(title="Spanish A2", outcomes__learner=rosa)
    guest = ReviewItem.objects.filter(kind="guest", session=held).order_by("pk")[0]
    learner = reverse("admin:attendance_learner_change", args=[rosa.pk])
    of_class = reverse("admin:attendance_classsession_change", args=[held.pk])
    month = (clock.now() - timedelta(days=28)).date()
    overview, run = reverse("admin:index"), BacktestRun.objects.order_by("-pk")[0]
    return [
        Shot("overview", "operator", overview, once_all_are_seen, size=(1280, 1400)),
        Shot("checklist", "admin", overview, with_work_left),
        Shot("rollout", "operator", reverse("rollout")),
        Shot("go-no-go", "operator", reverse("go_no_go"), once_all_are_seen, size=(1280, 1400)),
        Shot("uptime", "operator", a_list("delivery_heartbeat")),
        Shot("alerts", "operator", a_list("nurture_alertepisode")),
        Shot("jobs", "operator", a_list("nurture_job"), size=(1280, 1250)),
        Shot("job", "operator", reverse("admin:nurture_job_change", args=["prune"])),
        Shot("self-audit", "operator", a_list("nurture_auditfinding")),
        Shot("backups", "operator", a_list("nurture_backuprun")),
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
        Shot("publish-asked", "publisher", of_sequence("publish"), go_on),
        Shot("mode", "publisher", of_sequence("mode")),
        Shot("versions", "publisher", of_sequence("versions")),
        Shot("dry-run", "operator", a_list("nurture_wouldsend")),
        Shot("timeline", "operator", of_sequence("timeline", "?days=all")),
        Shot("effect", "operator", of_sequence("effect", slug=COMPARED)),
        Shot("learners", "operator", a_list("attendance_learner")),
        Shot("learner", "operator", learner),
        Shot("why", "operator", learner, ask_why),
        Shot("contact", "admin", reverse("admin:nurture_contact_change", args=[rosa.contact.pk])),
        Shot("journeys", "operator", a_list("nurture_journey") + f"?started_at__gte={month}"),
        Shot("deliveries", "operator", a_list("delivery_delivery")),
        Shot("archive", "operator", a_list("delivery_archiveddelivery")),
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
    seen = list(Heartbeat.objects.all())
    Heartbeat.objects.all().delete()
    desk.page.reload()
    Heartbeat.objects.bulk_create(
        seen, update_conflicts=True, unique_fields=["name", "hour"],
        update_fields=["minutes", "first_at"],
    )  # fmt: skip


def once_all_are_seen(desk: Desk) -> None:
    """Clock and worker were started a moment ago; until they are seen they count as missing."""
    for _ in range(40):
        if "was not seen" not in desk.page.content():
            return
        desk.page.wait_for_timeout(1000)
        desk.page.reload()


def go_on(desk: Desk) -> None:
    """Ask what it would do to end the journeys of all who are inside."""
    desk.page.check("input[name=in_flight][value=exit]")
    desk.page.click("button:has-text('See exactly what it does')")
    desk.page.wait_for_selector("text=Publish it?")


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
            page.evaluate(IN_SIGHT)
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
