"""Settings from outside: defaults, refusals, and that a refusal tells no secret."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from config import env

DEPLOYED = {
    "ENVIRONMENT": "production",
    "DATABASE_URL": "postgresql://u:p@db/telbot",
    "REDIS_URL": "redis://redis:6379",
    "SECRET_KEY": "x" * 50,
    "ALLOWED_HOSTS": "telbot.example.org",
    "PUBLIC_URL": "https://telbot.example.org",
}
KEY = "A" * 43 + "="


def test_a_laptop_needs_no_setting() -> None:
    values = env.read({})

    assert values["ENVIRONMENT"] == "local"
    assert (values["NURTURE_ENABLED"], values["ATTENDANCE_ENABLED"]) == (True, True)
    assert values["ROLLOUT_PERCENT"] == 100
    assert values["STAGING_ALLOWED_CHATS"] == frozenset()


def test_outside_a_laptop_flags_begin_switched_off() -> None:
    values = env.read(DEPLOYED)

    assert (values["NURTURE_ENABLED"], values["ATTENDANCE_ENABLED"]) == (False, False)
    assert values["ROLLOUT_PERCENT"] == 0


@pytest.mark.parametrize("missing", ["DATABASE_URL", "REDIS_URL", "SECRET_KEY", "ALLOWED_HOSTS"])
def test_a_deployment_names_what_is_missing(missing: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=missing):
        env.read({**DEPLOYED, missing: ""})


def test_a_deployment_refuses_a_key_that_could_be_guessed() -> None:
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY: at least 40"):
        env.read({**DEPLOYED, "SECRET_KEY": "x" * 39})


def test_a_webhook_secret_as_render_generates_it_fits_telegram() -> None:
    assert env.read({"TELEGRAM_WEBHOOK_SECRET": "a+b/c="})["TELEGRAM_WEBHOOK_SECRET"] == "a-b_c"


@pytest.mark.parametrize(
    ("name", "raw", "said"),
    [
        pytest.param("ENVIRONMENT", "prod", "expected one of local", id="unknown environment"),
        pytest.param("NURTURE_ENABLED", "ture", "expected on or off", id="misspelt flag"),
        pytest.param("ROLLOUT_PERCENT", "120", "from 0 to 100", id="percent above 100"),
        pytest.param("PORT", "70000", "port number", id="no such port"),
        pytest.param("TELEGRAM_SENDS_PER_SECOND", "0", "positive", id="rate of zero"),
        pytest.param("TELEGRAM_SENDS_PER_SECOND", "inf", "positive", id="endless rate"),
        pytest.param("TELEGRAM_API_URL", "api.telegram.org", "http", id="no scheme"),
        pytest.param("TELEGRAM_API_URL", "ftp://x", "http", id="no scheme of the web"),
        pytest.param("FIELD_ENCRYPTION_KEY", "zz", "base64", id="no key"),
        pytest.param("FIELD_ENCRYPTION_KEY", f"{KEY},{KEY[:-4]}", "32 bytes", id="a short second"),
        pytest.param("STAGING_ALLOWED_CHATS", "12,x", "chat ids", id="chat that is no number"),
        pytest.param("DATABASE_URL", "mysql://db/telbot", "postgres", id="another database"),
        pytest.param("REDIS_URL", "localhost:6379", "redis", id="no URL of Redis"),
        pytest.param("REDIS_URL", "redis://r:637x", "redis", id="a port that is none"),
        pytest.param("BACKUP_S3_URL", "http://k:s@s3.x/b", "https://KEY", id="open storage"),
        pytest.param("BACKUP_S3_URL", "https://s3.x/b", "https://KEY", id="storage without key"),
        pytest.param("BACKUP_S3_URL", "https://k:s@s3.x", "https://KEY", id="no bucket"),
        pytest.param("TELEGRAM_WEBHOOK_SECRET", "a b", "letters", id="secret with a space"),
        pytest.param("SENTRY_DSN", "https://sentry.io/123", "https://KEY", id="a DSN without key"),
        pytest.param("SENTRY_DSN", "https://key@sentry.io/", "https://KEY", id="of no project"),
        pytest.param("SENTRY_DSN", "sentry", "http", id="no DSN"),
    ],
)
def test_a_wrong_value_stops_the_boot_with_its_name(name: str, raw: str, said: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"{name}: .*{said}"):
        env.read({name: raw})


def test_every_wrong_value_is_named_at_once() -> None:
    with pytest.raises(ImproperlyConfigured) as refused:
        env.read({"PORT": "x", "ROLLOUT_PERCENT": "y"})

    assert "PORT" in str(refused.value)
    assert "ROLLOUT_PERCENT" in str(refused.value)


def test_a_secret_is_never_repeated_in_the_refusal() -> None:
    values = {
        "TELEGRAM_WEBHOOK_SECRET": "pass word", "GOOGLE_SERVICE_ACCOUNT_JSON": "{top",
        "BACKUP_S3_URL": "https://key:hush\u2100hush@s3.x/b",
        "DATABASE_URL": "postgresql://u:hush/hush@db/telbot",  # read as host u and port hush
        "REDIS_URL": "redis://:hush\u2100hush@redis",
    }  # fmt: skip
    with pytest.raises(ImproperlyConfigured) as refused:
        env.read(values)

    assert "DATABASE_URL: expected a URL with one of postgres" in str(refused.value)
    assert "hush" not in str(refused.value)
    assert "pass word" not in str(refused.value)
    assert "top" not in str(refused.value).replace("stop", "")


def test_all_chats_are_accepted_only_for_a_loopback_receiver() -> None:
    """S06."""
    loopback = {"STAGING_ALLOWED_CHATS": "*", "TELEGRAM_API_URL": "http://127.0.0.1:8081"}

    assert env.read(loopback)["STAGING_ALLOWED_CHATS"] is None
    with pytest.raises(ImproperlyConfigured, match="STAGING_ALLOWED_CHATS"):
        env.read({"STAGING_ALLOWED_CHATS": "*"})


def test_a_wrong_receiver_is_called_by_its_own_name_only() -> None:
    with pytest.raises(ImproperlyConfigured, match="TELEGRAM_API_URL") as refused:
        env.read({"STAGING_ALLOWED_CHATS": "*", "TELEGRAM_API_URL": "ftp://x"})

    assert "STAGING_ALLOWED_CHATS" not in str(refused.value)


def test_encryption_keys_may_be_several_for_a_change() -> None:
    assert env.read({"FIELD_ENCRYPTION_KEY": f"{KEY}, {KEY}"})["FIELD_ENCRYPTION_KEY"] == (KEY, KEY)
    assert env.read({})["FIELD_ENCRYPTION_KEY"] == ()


def test_the_service_account_is_json_or_a_path(tmp_path: Path) -> None:
    key = {"client_email": "a@b", "private_key": "k", "token_uri": "https://t"}
    path = tmp_path / "key.json"
    path.write_text(json.dumps(key))
    subject = {"GOOGLE_DELEGATED_USER": "admin@school.example"}

    for raw in (json.dumps(key), str(path)):
        values = env.read({"GOOGLE_SERVICE_ACCOUNT_JSON": raw, **subject})
        assert values["GOOGLE_SERVICE_ACCOUNT_JSON"] == key
    with pytest.raises(ImproperlyConfigured, match="lacks private_key"):
        env.read(
            {"GOOGLE_SERVICE_ACCOUNT_JSON": '{"client_email": "", "token_uri": ""}', **subject}
        )
    with pytest.raises(ImproperlyConfigured, match="GOOGLE_DELEGATED_USER"):
        env.read({"GOOGLE_SERVICE_ACCOUNT_JSON": json.dumps(key)})


def test_tests_run_in_a_world_of_their_own() -> None:
    """Whoever develops in .local keeps what is there, whatever the tests do."""
    assert str(settings.LOCAL_DIR) == os.environ["LOCAL_DIR"]
    assert Path(os.environ["LOCAL_DIR"]) != env.BASE_DIR / ".local"
