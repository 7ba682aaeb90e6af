"""What browsers are told, and what a deployment must have (docs/security.md)."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from config import headers

DEPLOYED = {
    "ENVIRONMENT": "production", "SECRET_KEY": "8f3-k2_9dQ" * 7, "ALLOWED_HOSTS": "telbot.test",
    "PUBLIC_URL": "https://telbot.test", "DATABASE_URL": "postgresql://u:p@db/telbot",
    "REDIS_URL": "redis://redis:6379",
}  # fmt: skip
#: Asked of the settings of production, in a process of its own.
ASK = """
from django.conf import settings as s
from django.contrib.auth.hashers import make_password
import django
from django.core.management import call_command
django.setup()
call_command("check", deploy=True, fail_level="WARNING")
assert s.SESSION_COOKIE_SECURE and s.CSRF_COOKIE_SECURE and s.SESSION_COOKIE_HTTPONLY
assert {s.SESSION_COOKIE_SAMESITE, s.CSRF_COOKIE_SAMESITE} == {"Lax"}
assert s.SECURE_HSTS_SECONDS >= 31_536_000 and s.SECURE_SSL_REDIRECT and not s.DEBUG
assert make_password("x").startswith("argon2$argon2id$")
"""


def ask_production() -> str:
    """Empty if everything that ASK wants is so."""
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning", "-c", ASK],
        cwd=settings.BASE_DIR, env=os.environ | DEPLOYED, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    return done.stderr if done.returncode else ""


def test_production_passes_djangos_own_checklist() -> None:
    """`check --deploy` at warning level; cookies, HSTS, HTTPS, and passwords with argon2."""
    assert ask_production() == ""


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "policy"),
    [
        (reverse("admin:login"), headers.ADMIN), (reverse("admin:index"), headers.ADMIN),
        (reverse("telegram_webhook"), headers.NOTHING), ("/", headers.NOTHING),
        ("/nowhere/", headers.NOTHING),
    ],
)  # fmt: skip
def test_each_answer_says_what_a_browser_may_do(client: Client, path: str, policy: str) -> None:
    said = client.get(path).headers

    assert said["Content-Security-Policy"] == policy
    assert "frame-ancestors 'none'" in policy
    assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]
    assert said["Permissions-Policy"] == headers.NO_DEVICES
    assert (said["X-Frame-Options"], said["X-Content-Type-Options"]) == ("DENY", "nosniff")
    assert said["Referrer-Policy"] == said["Cross-Origin-Opener-Policy"] == "same-origin"


@pytest.mark.django_db
def test_a_form_that_is_too_large_is_refused(client: Client, settings: Any) -> None:
    """Before it is read: what a client says of its length counts first."""
    client.force_login(User.objects.create_superuser("boss"))
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000

    answer = client.post(
        reverse("admin:password_change"), "a=" + "x" * 2000, "application/x-www-form-urlencoded"
    )

    assert answer.status_code in {400, 413}
