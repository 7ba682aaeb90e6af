"""How the text of a setting is read: each raises ValueError with what it expected."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ENVIRONMENTS = ("local", "staging", "production")


def text(raw: str) -> str:
    """As it is, without spaces around it."""
    return raw.strip()


def flag(raw: str) -> bool:
    """On or off."""
    # django-environ reads any unknown word as False ("ture" would switch something off).
    known = {"on": True, "true": True, "1": True, "yes": True}
    known |= {"off": False, "false": False, "0": False, "no": False}
    try:
        return known[raw.strip().lower()]
    except KeyError:
        raise ValueError("expected on or off") from None


def rate(raw: str) -> float:
    """So many a second."""
    rate = float(raw)
    if not 0 < rate < float("inf"):
        raise ValueError("expected a positive number")
    return rate


def percent(raw: str) -> float:
    """0 to 100."""
    percent = float(raw)
    if not 0 <= percent <= 100:
        raise ValueError("expected a number from 0 to 100")
    return percent


def port(raw: str) -> int:
    """A TCP port."""
    port = int(raw)
    if not 0 < port < 65536:
        raise ValueError("expected a port number")
    return port


def environment(raw: str) -> str:
    """One of ENVIRONMENTS."""
    if raw.strip() not in ENVIRONMENTS:
        raise ValueError(f"expected one of {', '.join(ENVIRONMENTS)}")
    return raw.strip()


def listed(raw: str) -> tuple[str, ...]:
    """Parts with commas between."""
    return tuple(part.strip() for part in raw.split(",") if part.strip())


def url(raw: str) -> str:
    """An http(s) address without a slash at its end; "" where none is given."""
    url = raw.strip().rstrip("/")
    if url and (urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname):
        raise ValueError("expected an http(s) URL")
    return url


def dsn(raw: str) -> str:
    """Where Sentry takes reports; "" for none. Its own library would not name the setting."""
    dsn = url(raw)
    parts = urlsplit(dsn)
    if dsn and not (parts.username and parts.path.rpartition("/")[2].isdecimal()):
        raise ValueError("expected https://KEY@host/PROJECT")
    return dsn


def server(*schemes: str) -> Callable[[str], str]:
    """A reader of a server's URL with one of these schemes; empty: none is named."""
    expected = f"expected a URL with one of {', '.join(schemes)}, its password percent-encoded"

    def read(raw: str) -> str:
        url = raw.strip()
        with suppress(ValueError):  # what urlsplit says quotes the password
            parts = urlsplit(url)
            if not url or (parts.scheme in schemes and parts.port != 0):  # no number: it raises
                return url
        raise ValueError(expected)

    return read


def webhook_secret(raw: str) -> str:
    """What Telegram sends in a header of each call."""
    # Render generates base64. Both ends take the secret from here, so they agree on its letters.
    secret = raw.strip().translate(str.maketrans("+/", "-_", "="))
    # https://core.telegram.org/bots/api#setwebhook: 1-256 of A-Z a-z 0-9 _ -
    allowed = all(c.isascii() and (c.isalnum() or c in "_-") for c in secret)
    if len(secret) > 256 or not allowed:
        raise ValueError("expected at most 256 letters, digits, _ or -")
    return secret


def keys(raw: str) -> tuple[str, ...]:
    """Keys of 32 bytes, the newest first: what is kept is read with any of them."""
    keys = listed(raw)
    with suppress(ValueError):
        if all(len(base64.urlsafe_b64decode(key)) == 32 for key in keys):
            return keys
    raise ValueError("expected URL-safe base64 of 32 bytes, or several with commas between")


def chats(raw: str) -> frozenset[int] | None:
    """Chat ids; None means every chat."""
    if raw.strip() == "*":
        return None
    try:
        return frozenset(int(part) for part in listed(raw))
    except ValueError:
        raise ValueError("expected chat ids with commas between, or *") from None


def service_account(raw: str) -> Mapping[str, Any] | None:
    """A Google service account key: the JSON itself, or the path of a file that holds it."""
    if not raw.strip():
        return None
    text = raw if raw.lstrip().startswith("{") else Path(raw.strip()).read_text()
    key = json.loads(text)
    missing = {"client_email", "private_key", "token_uri"} - set(key)
    if missing:
        raise ValueError(f"the key lacks {', '.join(sorted(missing))}")
    return dict(key)
