"""From the login form to what a learner hears, in one sitting (P22, N11, P30)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.urls import reverse
from playwright.sync_api import Browser

from delivery import clock
from delivery.models import Chat
from nurture import flags, services
from nurture.models import Sequence
from nurture.services import trying
from nurture.services.roles import set_up_roles
from tests.browser.desk import Desk
from tests.factories.delivery import make_chat, send_aside
from tests.factories.nurture import make_contact, make_fact, make_session
from tests.integration.delivery.receiver import Receiver, receiving

pytestmark = [
    pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(300),
]  # fmt: skip
TOKEN = "123456:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


@pytest.fixture
def receiver(settings: Any) -> Any:
    with receiving(Receiver()) as running:
        settings.BOT_TOKEN, settings.TELEGRAM_API_URL = TOKEN, running.url
        settings.STAGING_ALLOWED_CHATS = None
        yield running


def test_a_publisher_writes_looks_tries_and_publishes(
    chromium: Browser, live_server: Any, receiver: Receiver
) -> None:
    set_up_roles()
    flags.set_nurture(percent=100)
    pia = User.objects.create_user("pia", password="a long password", is_staff=True)
    pia.groups.add(Group.objects.get(name="publisher"))
    own: Chat = make_chat()
    assert trying.follow_link(
        token=trying.offer_link(user=pia, now=clock.now()), chat=own, now=clock.now()
    )
    lale = make_contact(name="Lale Öz")
    context = chromium.new_context(timezone_id="Europe/Berlin")

    page = Desk(context, live_server.url).open(reverse("admin:index"))
    page.fill("#id_username", "pia")
    page.fill("#id_password", "a long password")
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:has-text('Overview')")
    page.click("nav >> text=Sequences >> nth=-1")
    page.click("text=New sequence >> nth=0")
    page.fill("#id_name", "Spring break")
    page.fill("#id_slug", "spring-break")
    page.check('[value="file:missed-class"]')
    page.click("text=Begin the draft")
    page.wait_for_selector("[data-editor]")
    page.fill('[name="steps.1.text"]', "Dear {{ first_name }}, see you after spring break.")
    page.fill("#look-learner", "lale")
    page.wait_for_selector("#ed-preview >> text=Dear Lale")
    page.click("text=Send a test")
    page.wait_for_selector("#ed-tested >> text=on its way")
    send_aside()
    page.wait_for_selector("#ed-tested >> text=sent")
    page.keyboard.press("Control+s")
    page.wait_for_selector("text=Saved as version")
    page.click("nav >> text=Draft and publish")
    page.wait_for_selector("h1:has-text('Spring break')")
    page.keyboard.press("Control+s")
    page.wait_for_selector("text=Publish it?")
    page.click("button:has-text('Publish')")
    page.wait_for_selector("text=of Spring break is published.")
    context.close()

    words = "Dear Lale, see you after spring break."
    assert receiver.texts == [(own.telegram_id, words)]
    version = Sequence.objects.get(slug="spring-break").published_version
    assert version is not None
    assert version.published_by == pia
    missed = make_session(starts_at=clock.now() - timedelta(hours=4))
    make_fact(contact=lale, session=missed)
    services.tick(now=clock.now())
    owed = lale.chat.deliveries.get(is_test=False) if lale.chat else None
    assert owed is not None
    assert owed.text == words
