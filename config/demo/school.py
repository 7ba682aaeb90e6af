"""The school of the demo: who is in it, and the Google that knows about it."""

from __future__ import annotations

import csv
import json
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from attendance.sandbox import FakeGoogle, World, build_world, service_account_key

# Google's paths, as the sandbox serves them beside Telegram's.
PREFIXES = ("/token", "/admin", "/calendar")
DELEGATED_USER = "reports@school.example"


@dataclass(frozen=True, kw_only=True)
class School:
    """What a school is made from: the same values give the same school, in any process."""

    made_at: str  # ISO
    weeks: int = 4
    learners: int = 24
    seed: int = 7
    played: bool = True  # its past is there as a whole

    def world(self) -> World:
        """Everything Google would know of it."""
        return build_world(
            now=datetime.fromisoformat(self.made_at),
            weeks=self.weeks,
            learners=self.learners,
            seed=self.seed,
        )


def folder(local_dir: Path) -> Path:
    """Where the demo keeps its files."""
    return local_dir / "demo"


def save(school: School, *, local_dir: Path) -> None:
    """Let other processes find the school."""
    folder(local_dir).mkdir(parents=True, exist_ok=True)
    fresh = folder(local_dir) / "school.new"
    fresh.write_text(json.dumps(asdict(school)))
    fresh.replace(folder(local_dir) / "school.json")


def load(local_dir: Path) -> School | None:
    """The school of this LOCAL_DIR, or None."""
    try:
        return School(**json.loads((folder(local_dir) / "school.json").read_text()))
    except FileNotFoundError:
        return None


def write_learners(world: World, path: Path) -> None:
    """The school's learners as an import file."""
    with path.open("w", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(["email", "name", "timezone", "telegram_chat_id", "courses"])
        for row in world.learners:
            writer.writerow(
                [row.email, row.name, row.timezone, row.telegram_chat_id, ";".join(row.courses)]
            )


def key_file(*, url: str, local_dir: Path) -> Path:
    """A service account key that gets its tokens at the sandbox."""
    path = folder(local_dir) / "google-key.json"
    path.write_text(json.dumps(service_account_key(f"{url}/token")))
    path.chmod(0o600)
    return path


def newest_class_ended(world: World) -> datetime:
    """When the class ended that has just been settled (UTC)."""
    return max(held.starts_at for held in world.classes) + timedelta(minutes=60)


class MountedGoogle:
    """The sandbox's Google; it follows the school when that changes."""

    def __init__(self, local_dir: Path) -> None:
        self._local_dir = local_dir
        self._school: School | None = None
        self._fake = FakeGoogle()
        self._lock = threading.Lock()

    def __call__(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Answer one request as Google would."""
        with self._lock:
            school = load(self._local_dir)
            if school is not None and school != self._school:
                self._school, self._fake = school, school.world().google()
        return self._fake.handle(method, path, headers, body)
