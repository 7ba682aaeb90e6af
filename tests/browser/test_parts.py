"""The parts that pages are made of, all on one page, as docs/admin-development.md shows them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.template import Context, Template
from django.test import RequestFactory
from django.urls import reverse
from django.utils.safestring import mark_safe

from config.console.charts import Chart, Series
from config.console.lists import leaf
from tests.browser.desk import Desk

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PAGE = """{% load console %}<div class="tb-page">
<h1 class="tb-title">Parts</h1>
<div class="tb-grid">
  {% stat "Success in a week" "97.2 %" target="> 95 %" verdict="pass" trend=days url="/admin/" %}
  {% stat "Errors in a week" "1.8 %" target="< 1 %" verdict="fail" trend=days note=note %}
  {% stat "Completion" "–" target="60 %" verdict="not_yet" %}
</div>
{% chart drawn %}
<p>{% pill "good" "sent" "Telegram took it." %}</p>
<p>{% pill "warn" "waiting" "Outside the window until 09:00 there." %}</p>
<p>{% pill "bad" "failed" "The bot was blocked." %}</p>
<p>{% pill "info" "pending" %} {% pill "calm" "skipped" %}</p>
<p>{% moment at "America/Bogota" %}</p>
<p class="tb-help">Counted from the sending of the message before, in the learner's zone.</p>
<p class="tb-note tb-warn">312 learners are inside; <a href="/admin/">41 wait at this step</a>.</p>
<div class="tb-row">
  {% bubble text buttons=buttons at="09:00" theme="light" %}
  {% bubble text buttons=buttons at="09:00" theme="dark" sender="Ann" %}
</div>
{% leaves rows "p" "who" %}
{% empty "Learners come from a file." url="/admin/" button="Import learners" %}
</div>"""


def test_all_parts_are_for_everybody(desk_of: Callable[[str], Desk]) -> None:
    days = [3, 5, 4, 8, 7, 9, 12]
    drawn = Chart(
        title="Deliveries in two weeks",
        labels=[f"{day:02} Nov" for day in range(1, 15)],
        series=[
            Series("sent", [40, 42, 38, 50, 61, 44, 39, 52, 58, 61, 47, 49, 55, 60], "good"),
            Series("unknown", [1, 0, 0, 2, 0, 1, 0, 0, 3, 0, 0, 1, 0, 0], "warn"),
            Series("failed", [2, 3, 1, 4, 2, 2, 9, 3, 2, 1, 0, 2, 3, 1], "bad"),
        ],
    )
    text = mark_safe('Hi Rosa, we missed you in <b>Data basics</b>.\n<a href="#">The recording</a>')
    html = Template(PAGE).render(
        Context(
            {
                "days": days, "drawn": drawn, "note": "Of all that went out.", "text": text,
                "at": datetime(2026, 11, 24, 8, tzinfo=UTC),
                "rows": leaf(range(301), 2), "request": RequestFactory().get("/"),
                "buttons": [["I was there", "See you next time"]],
            }
        )
    )  # fmt: skip
    desk = desk_of("viewer")

    page = desk.open(reverse("admin:index"))
    page.evaluate("html => document.getElementById('content').innerHTML = html", html)

    desk.check("parts")
