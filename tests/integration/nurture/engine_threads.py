"""Several workers at once, each on a database connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

from django.db import connection


def together(work: Callable[[], None], *, times: int) -> None:
    """Run `work` in `times` threads that begin at one moment; raise what one of them raised."""
    barrier, errors = threading.Barrier(times), []

    def run() -> None:
        try:
            barrier.wait(timeout=10)
            work()
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    if errors:
        raise errors[0]
