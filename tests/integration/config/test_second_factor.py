"""P28: a password alone opens nothing; who guesses is locked out."""

from __future__ import annotations

import os
import subprocess
import sys
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client, RequestFactory
from django.urls import reverse
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from config.second_factor import client_ip
from tests.codes import code_of

pytestmark = pytest.mark.django_db
INDEX = reverse("admin:index")
LOGIN = reverse("admin:login")
VERIFY = reverse("second_factor")
SET_UP = reverse("second_factor_set_up")
PASSWORD = "a long password"


@pytest.fixture(autouse=True)
def _required(settings: Any) -> None:
    settings.SECOND_FACTOR_REQUIRED = True


@pytest.fixture
def ann() -> User:
    return User.objects.create_superuser("ann", password=PASSWORD)


def log_in(client: Client, password: str = PASSWORD) -> int:
    """Give name and password as the form does."""
    return client.post(LOGIN, {"username": "ann", "password": password}).status_code


def one_time_code() -> str:
    """What `manage.py second_factor ann` prints."""
    printed = StringIO()
    call_command("second_factor", "ann", stdout=printed)
    return printed.getvalue().split()[0]


def test_a_password_alone_reaches_no_page(client: Client, ann: User) -> None:
    assert log_in(client) == 302

    for name in ("index", "auth_user_changelist", "waffle_switch_changelist", "password_change"):
        path = reverse(f"admin:{name}")
        answer = client.get(path)
        assert (answer.status_code, answer.headers["Location"]) == (302, f"{VERIFY}?next={path}")
    assert client.get(SET_UP).headers["Location"] == f"{VERIFY}?next={SET_UP}"
    assert not TOTPDevice.objects.exists()


@pytest.mark.parametrize(("environment", "required"), [("local", "False"), ("production", "True")])
def test_it_is_required_outside_a_laptop(environment: str, required: str) -> None:
    deployed = {
        "ENVIRONMENT": environment, "SECRET_KEY": "x" * 50, "ALLOWED_HOSTS": "telbot.example.org",
        "PUBLIC_URL": "https://telbot.example.org", "DATABASE_URL": "postgresql://u:p@db/telbot",
        "REDIS_URL": "redis://redis:6379",
    }  # fmt: skip
    code = "from config import settings; print(settings.SECOND_FACTOR_REQUIRED)"

    said = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | deployed, capture_output=True, text=True,
        cwd=settings.BASE_DIR, check=True,
    )  # fmt: skip

    assert said.stdout.strip() == required


def test_a_one_time_code_leads_to_the_phone_and_works_once(client: Client, ann: User) -> None:
    log_in(client)
    code = one_time_code()

    assert client.post(VERIFY, {"code": code}).headers["Location"] == SET_UP
    client.get(SET_UP)
    done = client.post(SET_UP, {"code": code_of(TOTPDevice.objects.get(user=ann))})
    assert client.get(INDEX).status_code == 200
    recovery = done.context["codes"]

    other = Client()
    log_in(other)
    assert "does not fit" in other.post(VERIFY, {"code": code}).content.decode()
    TOTPDevice.objects.update(throttling_failure_count=0)
    StaticDevice.objects.update(throttling_failure_count=0)
    assert other.post(VERIFY, {"code": recovery[0]}).headers["Location"] == INDEX


def test_a_link_with_a_filter_leads_to_its_rows_after_the_code(client: Client, ann: User) -> None:
    """As an alert has them: what stands behind the question mark comes along."""
    log_in(client)
    TOTPDevice.objects.create(user=ann, confirmed=True)
    code = one_time_code()
    TOTPDevice.objects.create(user=ann, confirmed=True)
    wanted = f"{reverse('admin:delivery_delivery_changelist')}?status__exact=failed&due_at__gte=1+1"

    asked = client.get(wanted).headers["Location"]

    assert client.post(asked, {"code": code}).headers["Location"] == wanted


def test_who_opened_two_pages_at_once_still_sets_up_a_phone(client: Client, ann: User) -> None:
    log_in(client)
    client.post(VERIFY, {"code": one_time_code()})
    for _ in range(2):
        TOTPDevice.objects.create(user=ann, confirmed=False, name="phone")

    assert client.get(SET_UP).status_code == 200
    client.post(SET_UP, {"code": code_of(TOTPDevice.objects.order_by("pk")[0])})

    assert TOTPDevice.objects.get(user=ann).confirmed


def test_only_staff_get_a_one_time_code(ann: User) -> None:
    User.objects.create_user("learner")

    with pytest.raises(CommandError, match="No active member of staff"):
        call_command("second_factor", "learner")


def test_the_page_after_the_code_is_one_of_ours(client: Client, ann: User) -> None:
    log_in(client)
    TOTPDevice.objects.create(user=ann, confirmed=True)
    code = one_time_code()
    TOTPDevice.objects.create(user=ann, confirmed=True)

    answer = client.post(f"{VERIFY}?next=https://evil.example/", {"code": code})

    assert answer.headers["Location"] == INDEX


def test_guessed_codes_are_slowed_down(client: Client, ann: User) -> None:
    """After a wrong code the right one has to wait, too: twice as long after each."""
    log_in(client)
    code = one_time_code()

    client.post(VERIFY, {"code": "wrongone"})
    answer = client.post(VERIFY, {"code": code})

    assert "does not fit" in answer.content.decode()
    assert client.get(INDEX).status_code == 302
    StaticDevice.objects.update(throttling_failure_timestamp=None, throttling_failure_count=0)
    assert client.post(VERIFY, {"code": code}).status_code == 302


def test_who_guesses_is_locked_out_by_name_and_address(client: Client, ann: User) -> None:
    for _ in range(5):
        last = log_in(client, "wrong")

    assert last == 429
    assert log_in(client) == 429
    assert client.post(
        LOGIN, {"username": "ann", "password": PASSWORD}, REMOTE_ADDR="203.0.113.9"
    ).status_code == 302  # fmt: skip


@pytest.mark.parametrize(
    ("forwarded", "seen"),
    [
        ("", "10.0.0.1"),
        ("198.51.100.7, 172.68.0.1", "198.51.100.7"),
        ("1.2.3.4, 198.51.100.7, 172.68.0.1", "198.51.100.7"),  # what a client writes is left of it
    ],
)
def test_the_address_is_what_the_proxies_saw(settings: Any, forwarded: str, seen: str) -> None:
    settings.IS_LOCAL = False
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}

    assert client_ip(RequestFactory().get("/", headers=headers, REMOTE_ADDR="10.0.0.1")) == seen
