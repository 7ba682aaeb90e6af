"""Backups in any S3-compatible storage, which BACKUP_S3_URL names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from config.backups import address

_PART = 8 << 20  # bytes of one part of an upload; S3 takes at most 10,000 of them


class StorageError(Exception):
    """The storage does not do what it is asked for; the message has no key in it."""


class Storage:
    """One bucket, below one prefix."""

    def __init__(self, url: str) -> None:
        given = address.parse(url)
        self.label = given.label
        self._secrets = [given.key, given.secret]
        self._store = S3Store(
            given.bucket,
            prefix=given.prefix or None,
            endpoint=given.endpoint,
            access_key_id=given.key,
            secret_access_key=given.secret,
            region=given.region,
            virtual_hosted_style_request=False,  # MinIO, R2 and others have no names for buckets
            client_options={
                "allow_http": given.endpoint.startswith("http:"),
                "timeout": timedelta(minutes=5),
            },
            retry_config={"max_retries": 4, "retry_timeout": timedelta(minutes=2)},
        )

    def names(self) -> list[str]:
        """What is there, sorted."""
        with self._explained("list"):
            found = [meta["path"] for batch in obstore.list(self._store) for meta in batch]
        return sorted(found)

    def put(self, *, name: str, path: Path) -> None:
        """Store a file; in parts where it is large, so that memory stays small."""
        with self._explained("store into"), path.open("rb") as file:
            obstore.put(self._store, name, file, chunk_size=_PART, max_concurrency=2)

    def get(self, *, name: str, path: Path) -> None:
        """Fetch a file."""
        with self._explained("read from"), path.open("wb") as file:
            for block in obstore.get(self._store, name).stream():
                file.write(block)

    def delete(self, *, name: str) -> None:
        """Delete a file; nothing happens where there is none."""
        with self._explained("delete from"):
            obstore.delete(self._store, name)

    @contextmanager
    def _explained(self, deed: str) -> Iterator[None]:
        try:
            yield
        except (BaseError, FileNotFoundError, PermissionError) as error:
            said = " ".join(str(error).split())
            for secret in self._secrets:
                said = said.replace(secret, "***")
            raise StorageError(f"Cannot {deed} {self.label}: {said[:300]}") from None
