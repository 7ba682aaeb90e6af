"""P28: the way in, from password to recovery codes, as staff see it."""

from __future__ import annotations

import re
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.urls import reverse
from django_otp.plugins.otp_totp.models import TOTPDevice
from playwright.sync_api import Browser

from nurture.services.roles import set_up_roles
from tests.browser.desk import Desk
from tests.codes import code_of

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_new_member_of_staff_sets_up_their_phone(
    chromium: Browser, live_server: Any, settings: Any
) -> None:
    settings.SECOND_FACTOR_REQUIRED = True
    set_up_roles()
    ann = User.objects.create_user("ann", password="a long password", is_staff=True)
    ann.groups.add(Group.objects.get(name="operator"))
    context = chromium.new_context()
    desk = Desk(context, live_server.url)

    page = desk.open(reverse("admin:index"))
    desk.check("login")
    page.fill("#id_username", "ann")
    page.fill("#id_password", "a long password")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=No phone is set up")
    desk.check("second-factor-first")
    printed = StringIO()
    call_command("second_factor", "ann", stdout=printed)
    page.fill("#id_code", printed.getvalue().split()[0])
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Set up your phone")
    desk.check("second-factor-set-up")
    page.fill("#id_code", code_of(TOTPDevice.objects.get(user=ann)))
    page.click("button:has-text('Set up')")
    page.wait_for_selector("text=Your phone is set up")
    codes = page.locator(".tb-codes code").all_inner_texts()
    desk.check("second-factor-codes")
    page.click("text=I have kept them")
    page.wait_for_selector("h1:has-text('Overview')")

    assert len(set(codes)) == 10
    assert all(re.fullmatch(r"[a-z2-7]{8}", code) for code in codes)
    context.close()
