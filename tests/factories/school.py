"""A small school with some weeks behind it, made by the engine from a loopback Google."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from attendance.google import Google
from attendance.sandbox import build_world, serve, service_account_key
from attendance.services import settle, sync
from nurture import services
from nurture.services.contacts import import_learners

LONG_AGO = datetime(2026, 1, 5, 12, tzinfo=UTC)
SEQUENCES = Path(services.__file__).parent.parent / "sequences"


def make_school(*, now: datetime = LONG_AGO, learners: int = 6) -> None:
    """Two weeks of classes up to `now`, settled, and the journeys that they started."""
    made = build_world(now=now, weeks=2, learners=learners, seed=1)
    lines = ["email,name,timezone,telegram_chat_id,courses"]
    lines += [
        f"{row.email},{row.name},{row.timezone},{row.telegram_chat_id},{';'.join(row.courses)}"
        for row in made.learners
    ]
    import_learners(content="\n".join(lines), now=now - timedelta(days=30))
    source = (SEQUENCES / "missed-class.yaml").read_text()
    imported = services.import_sequence(source=source, now=now)
    services.publish(sequence=imported.sequence, now=now)
    with serve(made.google()) as url:
        key = service_account_key(f"{url}/token")
        sync(now=now, google=Google(key=key, delegated_user="a@school.example", api_url=url))
    settle(now=now)
    services.tick(now=now)
