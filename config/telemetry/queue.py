"""The ids of whoever rang are those of the task; each task is a part of a trace."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from typing import Any

import dramatiq
from structlog.contextvars import clear_contextvars

from config import telemetry

_FROM = ("request_id", "traceparent")


class Correlation(dramatiq.Middleware):
    """Ids travel in the options of a message, which carries nothing else."""

    def __init__(self) -> None:
        self._at_work = threading.local()

    def before_enqueue(self, broker: dramatiq.Broker, message: Any, delay: int | None) -> None:
        """Called where the bell is rung."""
        found = {**telemetry.ids(), "traceparent": telemetry.traceparent()}
        message.options.update({name: found[name] for name in _FROM if found.get(name)})

    def before_process_message(self, broker: dramatiq.Broker, message: Any) -> None:
        """Called in the worker's thread.

        What is bound stays bound until the next task: reports of an error are made afterwards.
        """
        clear_contextvars()
        telemetry.bind(task=message.actor_name, task_id=message.message_id)
        if request_id := message.options.get("request_id"):
            telemetry.bind(request_id=request_id)
        parent = message.options.get("traceparent", "")
        self._at_work.span = telemetry.span(
            message.actor_name, kind="consumer", parent=parent, task=message.actor_name
        )
        self._at_work.span.__enter__()
        telemetry.bind(**telemetry.ids())

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: Any,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        """Called in the same thread, after the task's transactions and what it rings for."""
        span: AbstractContextManager[Any] | None = getattr(self._at_work, "span", None)
        if span is None:
            return
        self._at_work.span = None
        kind = type(exception) if exception else None
        trace = exception.__traceback__ if exception else None
        try:
            span.__exit__(kind, exception, trace)
        except BaseException as same:
            if same is not exception:
                raise

    def after_skip_message(self, broker: dramatiq.Broker, message: Any) -> None:
        """The task was too old to be run."""
        self.after_process_message(broker, message)

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """A worker's process ends without Python's own end, so it sends here what waits."""
        telemetry.flush()
