"""What it costs to let go of a month: of the archive beside DELETE, among 1,600,000 deliveries.

`make bench-archive`, or `SHORT=1 make bench-archive`: a twentieth of it. Prints a table and one
JSON object as the last line. It fails where a count is wrong, never for a time.
"""

from __future__ import annotations

import json
import os
import sys
import time
from argparse import ArgumentParser
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.db import connection, transaction  # noqa: E402

from config import audit, retention  # noqa: E402
from delivery import services as delivery  # noqa: E402
from delivery.domain.archive import Month, months_between  # noqa: E402
from delivery.models import ArchivedDelivery, Chat  # noqa: E402
from delivery.services.archive import _make as make_months  # noqa: E402
from nurture.services.archive import archivable  # noqa: E402
from tests.bench.crowds import LARGE, NOW, Crowd, fill  # noqa: E402
from tests.bench.report import Figures, expect, table  # noqa: E402
from tests.bench.worlds import own_database  # noqa: E402

OWED = 1_000


def sql(statement: str, *values: Any) -> int:
    """Run a statement; return how many rows it was about."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values or None)
        return int(cursor.rowcount)


def took(began: float) -> float:
    """Seconds since."""
    return time.perf_counter() - began


def owe(name: str) -> float:
    """Milliseconds to owe a thousand deliveries at once, at best; they are taken back."""
    return min(_owe(name) for _ in range(7))


def _owe(name: str) -> float:
    chats = list(Chat.objects.order_by("pk")[:OWED])
    with transaction.atomic():
        drafts = [
            delivery.draft(chat=chat, text="Hello", dedupe_key=f"{name}:{n}", due_at=NOW)
            for n, chat in enumerate(chats)
        ]
        began = time.perf_counter()
        delivery.enqueue_many(drafts=drafts)
        seconds = took(began)
        transaction.set_rollback(True)
    return seconds * 1000 * OWED / len(chats)


def delete_month(month: Month) -> Figures:
    """What is old of a month, by DELETE in batches; then what is left to clean up."""
    rows = archivable(before=month.ends).filter(settled_at__gte=month.begins)
    keys = list(rows.values_list("pk", flat=True))
    began = time.perf_counter()
    for at in range(0, len(keys), retention.AT_ONCE):
        some = keys[at : at + retention.AT_ONCE]
        with transaction.atomic():
            sql("DELETE FROM delivery_attempt WHERE delivery_id = ANY(%s)", some)
            found = sql("DELETE FROM nurture_deliveries WHERE id = ANY(%s)", some)
        expect("deleted", found, len(some))
    deleted, began = took(began), time.perf_counter()
    sql("VACUUM nurture_deliveries")
    sql("VACUUM delivery_attempt")
    return {
        "a month by DELETE: rows": len(keys), "a month by DELETE: s": deleted,
        "and VACUUM: s": took(began),
    }  # fmt: skip


def drop_month(month: Month) -> Figures:
    """All of a month of the archive."""
    rows = ArchivedDelivery.objects.filter(settled_at__gte=month.begins, settled_at__lt=month.ends)
    count = rows.count()
    began = time.perf_counter()
    dropped = delivery.drop_months(before=month.ends)
    seconds = took(began)
    expect("dropped", dropped[-1:], [month])
    expect("of the month", rows.count(), 0)
    return {"a month of the archive: rows": count, "its drop: ms": seconds * 1000}


def move(before: datetime) -> Figures:
    """What ended before a moment, into the archive, which has thirteen months by then."""
    with connection.cursor() as cursor, transaction.atomic():
        make_months(cursor, months_between(NOW - timedelta(days=365), NOW))
    (policy,) = (policy for policy in retention.POLICIES if policy.kind == "deliveries")
    began = time.perf_counter()
    moved = 0
    while found := policy.some(before) if policy.some else 0:
        moved += found
    seconds = took(began)
    sql("VACUUM ANALYZE")
    return {"moved to the archive": moved, "moved a second": moved / seconds}


def measure(crowd: Crowd) -> Figures:
    """Fill a database; delete a month, archive the next two, drop the first of them."""
    fill(crowd)
    first = Month.of(NOW - timedelta(days=365)).following
    figures: Figures = {"1,000 owed at once, no archive: ms": owe("none")}
    figures |= delete_month(first)
    figures |= move(first.following.following.ends)
    figures["months of the archive"] = len(delivery.months())
    figures["1,000 owed at once beside it: ms"] = owe("some")
    figures |= drop_month(first.following)
    began = time.perf_counter()
    audit.examine()
    figures["the audit: s"] = took(began)
    return figures


def main() -> None:
    """Measure, print."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true")
    crowd = replace(LARGE, deliveries=1_600_000)
    if parser.parse_args().short:
        crowd = crowd.part(20)
    with own_database():
        figures = measure(crowd)
    table((name, value, "") for name, value in figures.items())
    sys.stdout.write(f"{json.dumps(figures)}\n")


if __name__ == "__main__":
    main()
