"""The file: a zip with each table's rows as COPY writes them, and a manifest that vouches for them.

`manifest.json` is written last: it has the rows and the SHA-256 of every table, the migrations that
made the schema, and where the sequences stood.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, NamedTuple

Block = bytes | bytearray | memoryview

FORMAT = 1
_MANIFEST = "manifest.json"
_BLOCK = 1 << 20
_LONGEST_MANIFEST = 16 << 20
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, TypeError)


class ArchiveError(Exception):
    """The file is no backup of telbot's, or not as it was written. Nothing was done with it."""


@dataclass(frozen=True, kw_only=True)
class Content:
    """What the file has of one table. Equal checksums mean equal rows."""

    name: str
    columns: tuple[str, ...]
    rows: int
    sha256: str


class Partition(NamedTuple):
    """A part of a partitioned table."""

    name: str
    table: str
    bounds: str  # FOR VALUES FROM ('…') TO ('…')


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What is in a backup, and of when."""

    taken_at: datetime
    environment: str
    kind: str  # backup | anonymised
    migrations: frozenset[tuple[str, str]]  # (app, name) of each applied one
    tables: tuple[Content, ...]
    sequences: Mapping[str, int]  # table.column → the last number given
    partitions: tuple[Partition, ...] = ()

    @property
    def rows(self) -> int:
        """All rows of all tables."""
        return sum(table.rows for table in self.tables)

    def as_json(self) -> str:
        """The text of manifest.json."""
        return json.dumps(
            {
                "format": FORMAT,
                "taken_at": self.taken_at.isoformat(),
                "environment": self.environment,
                "kind": self.kind,
                "migrations": sorted(map(list, self.migrations)),
                "tables": [asdict(table) for table in self.tables],
                "sequences": self.sequences,
                "partitions": self.partitions,
            },
            indent=1,
        )

    @classmethod
    def from_json(cls, text: bytes) -> Manifest:
        """Read it; ArchiveError where it is none that this code understands."""
        try:
            said = json.loads(text)
            if said["format"] != FORMAT:
                raise ArchiveError(f"The backup has format {said['format']}, known is {FORMAT}.")
            return cls(
                taken_at=datetime.fromisoformat(said["taken_at"]),
                environment=str(said["environment"]),
                kind=str(said["kind"]),
                migrations=frozenset((str(app), str(name)) for app, name in said["migrations"]),
                tables=tuple(
                    Content(**{**table, "columns": tuple(table["columns"])})
                    for table in said["tables"]
                ),
                sequences={str(name): int(last) for name, last in said["sequences"].items()},
                partitions=tuple(Partition(*map(str, row)) for row in said["partitions"]),
            )
        except _BROKEN:
            raise ArchiveError("The manifest of the backup cannot be read.") from None


class Tally:
    """Counts rows and hashes them while they pass."""

    def __init__(self) -> None:
        self.rows = 0
        self._hash = hashlib.sha256()

    def of(self, blocks: Iterable[Block]) -> Iterator[bytes]:
        """Pass the blocks on."""
        for block in blocks:
            data = bytes(block)
            self.rows += data.count(b"\n")  # a line break inside a value is written as \n
            self._hash.update(data)
            yield data

    @property
    def sha256(self) -> str:
        """Of all that has passed."""
        return self._hash.hexdigest()


class Writer:
    """An archive that is being written."""

    def __init__(self, zipped: zipfile.ZipFile) -> None:
        self._zip = zipped

    def add(self, name: str, columns: tuple[str, ...], blocks: Iterable[Block]) -> Content:
        """Write the rows of a table; return what they are."""
        tally = Tally()
        with self._zip.open(_member(name), "w", force_zip64=True) as out:
            for block in tally.of(blocks):
                out.write(block)
        return Content(name=name, columns=columns, rows=tally.rows, sha256=tally.sha256)

    def finish(self, manifest: Manifest) -> None:
        """Write what vouches for all the rest."""
        self._zip.writestr(_MANIFEST, manifest.as_json())


@contextmanager
def writing(path: Path) -> Iterator[Writer]:
    """Write an archive that only its owner can read; `path` appears when it is whole."""
    part = path.with_name(f"{path.name}.part")
    try:
        with _private(part) as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as zipped:
                yield Writer(zipped)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def _private(path: Path) -> Iterator[IO[bytes]]:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as file:
        yield file


class Reader:
    """An archive that is read."""

    def __init__(self, zipped: zipfile.ZipFile, manifest: Manifest) -> None:
        self._zip = zipped
        self.manifest = manifest

    def blocks(self, table: Content) -> Iterator[bytes]:
        """The rows of a table as COPY takes them; ArchiveError where the file is damaged."""
        try:
            with self._zip.open(_member(table.name)) as file:
                while block := file.read(_BLOCK):
                    yield block
        except _BROKEN:
            raise ArchiveError(f"The rows of {table.name} in the backup are damaged.") from None

    def verify(self) -> None:
        """Read everything once; raise ArchiveError where a row is not as it was written."""
        for table in self.manifest.tables:
            tally = Tally()
            for _ in tally.of(self.blocks(table)):
                pass
            if (tally.rows, tally.sha256) != (table.rows, table.sha256):
                raise ArchiveError(f"The rows of {table.name} are not those of the manifest.")


@contextmanager
def reading(path: Path) -> Iterator[Reader]:
    """Open an archive; ArchiveError where it is none, OSError where there is no such file."""
    with path.open("rb") as file:
        try:
            zipped = zipfile.ZipFile(file)
            with zipped.open(_MANIFEST) as inside:
                text = inside.read(_LONGEST_MANIFEST)
        except _BROKEN:
            raise ArchiveError(f"{path.name} is no backup of telbot, or not all of it.") from None
        with zipped:
            yield Reader(zipped, Manifest.from_json(text))


def _member(table: str) -> str:
    return f"tables/{table}.copy"
