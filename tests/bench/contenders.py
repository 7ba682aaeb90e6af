"""Ways to get the same messages to the same receiver, each in a process of its own.

`python -m tests.bench.contenders NAME COUNT URL`: prepares, says `ready`, waits for a line, works
until nothing is left, and prints what it cost as JSON. All but django-post_office, which is
synchronous, call Telegram by python-telegram-bot on telbot's own transport, eight in flight.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

TOKEN = "123456:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
IN_FLIGHT = 8
PEERS_IN_FLIGHT = 10
Work = Callable[[], dict[str, Any] | None]


def text(number: int) -> str:
    """What chat `number` is told."""
    return f"Hello {number}, we missed you today. The next class is on Tuesday at 18:00."


class _Client:
    """python-telegram-bot and nothing else, for one loop."""

    def __init__(self, url: str) -> None:
        from telegram import Bot

        from delivery.telegram_request import AiohttpRequest

        self.request = AiohttpRequest()
        self.bot = Bot(TOKEN, base_url=f"{url}/bot", request=self.request)

    async def send(self, number: int) -> None:
        await self.bot.send_message(number, text(number), parse_mode="HTML")


def raw(count: int, url: str) -> Work:
    """No books at all: a loop over a list in memory."""

    async def work() -> None:
        client = _Client(url)
        await client.request.initialize()
        numbers = iter(range(1, count + 1))

        async def one_after_another() -> None:
            for number in numbers:
                await client.send(number)

        await asyncio.gather(*(one_after_another() for _ in range(IN_FLIGHT)))
        await client.request.shutdown()

    return lambda: asyncio.run(work())


def telbot(count: int, url: str) -> Work:
    """telbot as it ships: claim, lease, consent, window, caps, intent, try, result."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    import django

    django.setup()
    import psycopg

    from delivery import sender
    from delivery.telegram import gateway
    from tests.faults.books import owe

    owe(count)
    statements = 0
    execute, transaction = psycopg.AsyncConnection.execute, psycopg.AsyncConnection.transaction

    def counted(*args: Any, **options: Any) -> Any:
        nonlocal statements
        statements += 1
        return execute(*args, **options)

    def counted_twice(*args: Any, **options: Any) -> Any:
        nonlocal statements
        statements += 2  # BEGIN and COMMIT
        return transaction(*args, **options)

    psycopg.AsyncConnection.execute = counted  # type: ignore[method-assign]
    psycopg.AsyncConnection.transaction = counted_twice  # type: ignore[method-assign]

    def work() -> dict[str, Any]:
        done = sender.drain(gateway, until_empty=True)
        return {"statements": statements, "ended": dict(done)}

    return work


def dramatiq(count: int, url: str) -> Work:
    """One task a message, an async actor, no books; the broker holds what is left."""
    import dramatiq as library
    from dramatiq.brokers.redis import RedisBroker
    from dramatiq.middleware import AsyncIO

    broker = RedisBroker(  # type: ignore[no-untyped-call]
        url=os.environ["REDIS_URL"], namespace="bench"
    )
    broker.add_middleware(AsyncIO())
    library.set_broker(broker)
    client: list[_Client] = []

    @library.actor(queue_name="bench")
    async def send(number: int) -> None:
        if not client:
            client.append(_Client(url))
            await client[0].request.initialize()
        await client[0].send(number)

    if count:
        broker.flush_all()
    for number in range(1, count + 1):
        send.send(number)

    def work() -> None:
        worker = library.Worker(broker, worker_threads=IN_FLIGHT)
        worker.start()
        broker.join("bench")
        worker.stop()

    return work


def procrastinate(count: int, url: str) -> Work:
    """One job a message, in PostgreSQL, with the library's own states and events."""
    import procrastinate as library
    import psycopg

    where = os.environ["DATABASE_URL"]
    app = library.App(connector=library.PsycopgConnector(conninfo=where))
    client: list[_Client] = []

    @app.task(name="send")
    async def send(number: int) -> None:
        if not client:
            client.append(_Client(url))
            await client[0].request.initialize()
        await client[0].send(number)

    async def prepare() -> None:
        async with app.open_async():
            with psycopg.connect(where, autocommit=True) as db:
                found = db.execute("SELECT to_regclass('procrastinate_jobs')").fetchone()
                if found == (None,):
                    await app.schema_manager.apply_schema_async()
                db.execute("TRUNCATE procrastinate_jobs CASCADE")
                await send.batch_defer_async(*({"number": n} for n in range(1, count + 1)))
                db.execute("ANALYZE procrastinate_jobs")

    async def drain() -> None:
        async with app.open_async():
            await app.run_worker_async(
                concurrency=PEERS_IN_FLIGHT, wait=False, install_signal_handlers=False
            )

    if count:
        asyncio.run(prepare())
    return lambda: asyncio.run(drain())


def post_office(count: int, url: str) -> Work:
    """One row a message; batches of 100 by five threads, over httpx, kept alive."""
    import environ
    from django.conf import settings

    os.environ["BENCH_URL"] = url
    settings.configure(
        DATABASES={"default": environ.Env().db_url("DATABASE_URL")},
        INSTALLED_APPS=["django.contrib.contenttypes", "post_office"],
        POST_OFFICE={
            "BACKENDS": {"default": "tests.bench.mail.Backend"},
            "BATCH_SIZE": 100,
            "THREADS_PER_PROCESS": 5,
        },
        USE_TZ=True,
        CACHES={"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    )
    import django

    django.setup()
    from django.core.management import call_command
    from post_office.mail import get_queued, send_queued
    from post_office.models import PRIORITY, STATUS, Email

    call_command("migrate", "post_office", verbosity=0)
    Email.objects.all().delete()
    Email.objects.bulk_create(
        Email(
            from_email="t@example.org",
            to=[f"{n}@example.org"],
            message=text(n),
            status=STATUS.queued,
            priority=PRIORITY.medium,
            backend_alias="default",
        )
        for n in range(1, count + 1)
    )

    def work() -> None:
        while get_queued().exists():
            send_queued(processes=1, log_level=2)

    return work


CONTENDERS: dict[str, Callable[[int, str], Work]] = {
    "raw": raw,
    "telbot": telbot,
    "dramatiq": dramatiq,
    "procrastinate": procrastinate,
    "post_office": post_office,
}


def main(name: str, count: str, url: str) -> None:
    """Prepare, wait to be told, work, and say what it cost."""
    work = CONTENDERS[name](int(count), url)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    began = time.process_time()
    more = work() or {}
    sys.stdout.write(json.dumps({"cpu": time.process_time() - began} | more) + "\n")
    sys.stdout.flush()
    # What a library keeps in threads of its own must not hold up the bench.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
