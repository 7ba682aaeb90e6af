"""BACKUP_S3_URL: which storage, which bucket, and the key to it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

_FORM = "expected https://KEY:SECRET@host/bucket/prefix?region=…, percent-encoded"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, kw_only=True)
class Address:
    """One bucket, below one prefix."""

    endpoint: str
    bucket: str
    prefix: str
    key: str
    secret: str
    region: str

    @property
    def label(self) -> str:
        """To people, without the key."""
        return f"{self.endpoint.partition('://')[2]}/{self.bucket}/{self.prefix}".rstrip("/")


def parse(raw: str) -> Address:
    """Read the URL; plain http only to this very machine. ValueError, in which no secret is."""
    with suppress(ValueError):  # what urlsplit says quotes the secret
        url = urlsplit(raw.strip())
        host = f"{url.hostname}:{url.port}" if url.port else f"{url.hostname}"
        bucket, _, prefix = unquote(url.path).strip("/").partition("/")
        safe = url.scheme == "https" or (url.scheme == "http" and url.hostname in _LOOPBACK)
        if safe and url.hostname and url.username and url.password and bucket:
            return Address(
                endpoint=f"{url.scheme}://{host}",
                bucket=bucket,
                prefix=prefix,
                key=unquote(url.username),
                secret=unquote(url.password),
                region=parse_qs(url.query).get("region", ["us-east-1"])[0],
            )
    raise ValueError(_FORM)


def checked(raw: str) -> str:
    """The URL as it was given, "" for none; ValueError where `parse` would raise it."""
    if raw.strip():
        parse(raw)
    return raw.strip()
