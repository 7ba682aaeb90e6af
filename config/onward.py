"""What attendance's tasks and the bot leave behind is worth a bell of nurture's at once.

Neither may know nurture, and the clock would notice only at its next tick.
"""

from __future__ import annotations

from typing import Any

import dramatiq

#: Actors that write facts.
LEAVE_FACTS = frozenset({"sync_attendance", "settle_sessions", "handle_updates"})


class RingOnward(dramatiq.Middleware):
    """After a task that may have left facts: ring, where there is work. A lost one costs a tick."""

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: dramatiq.MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        """Called in the worker's thread, after the task's transactions."""
        if message.actor_name not in LEAVE_FACTS:
            return
        from delivery import clock
        from nurture import services, tasks

        if services.has_work(now=clock.now()):
            tasks.ring()
