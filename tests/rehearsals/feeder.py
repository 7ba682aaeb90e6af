"""What makes messages fall due, in the tree of whichever code is deployed, until SIGTERM.

`rollback` runs this text in the tree of the code before as well, so it uses only what both have.
"""

from __future__ import annotations

import itertools
import signal
import sys
import threading
from datetime import timedelta

import django
from django.db import OperationalError, transaction

CHATS = 40  # each is written to every few seconds, well within one a second
A_FACT_EVERY = 5  # messages: somebody missed a class, and a journey of two steps begins


def main(first: int, pause: float) -> None:
    """Owe one message after the other, numbered from `first`, with `pause` seconds between."""
    django.setup()
    from delivery import clock, services
    from tests.factories import delivery as chats
    from tests.factories import nurture as school

    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    chats._numbers = school._numbers = itertools.count(first)  # nobody is met twice
    held = school.make_session(starts_at=clock.now() - timedelta(hours=2))
    number = first
    while not stopping.wait(pause):
        try:
            if number % A_FACT_EVERY:
                services.enqueue(
                    chat=services.register_chat(telegram_id=1000 + number % CHATS),
                    text=f"message {number}",
                    dedupe_key=f"rehearsal:{number}",
                    due_at=clock.now(),
                )
            else:
                with transaction.atomic():
                    missing = school.make_contact(name=f"L{number} Diaz")
                    school.make_fact(contact=missing, session=held, recorded_at=clock.now())
        except OperationalError as error:  # a migration was in the way: as Telegram, try again
            sys.stdout.write(f"feeder: {type(error.__cause__).__name__}, again\n")
        else:
            number += 1


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
