"""The circuit before Google, shared by all workers: after failures in a row, leave it in peace.

Its state is in Redis; where Redis is away the circuit counts as closed, so losing it costs some
vain calls and nothing else. https://pypi.org/project/pybreaker/
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import pybreaker
import redis
from django.conf import settings

from attendance.google_errors import Failure, GoogleError

log = logging.getLogger(__name__)

FAILURES = 5  # calls in a row that came to nothing, each tried three times by the client
REST_SECONDS = 60
T = TypeVar("T")


class Circuit:
    """Calls go through while it is closed; `insist` tries once also where it is open."""

    def __init__(self, name: str, *, redis_url: str) -> None:
        self._name = name
        # Without decode_responses: pybreaker compares bytes.
        self._redis = redis.Redis.from_url(redis_url, socket_timeout=2, socket_connect_timeout=2)
        self._made: pybreaker.CircuitBreaker | None = None

    @property
    def _breaker(self) -> pybreaker.CircuitBreaker | None:
        """The breaker, or None while Redis cannot be asked for its state."""
        if self._made is None:
            try:
                storage = pybreaker.CircuitRedisStorage(
                    pybreaker.STATE_CLOSED, self._redis, namespace=f"telbot-{self._name}"
                )
            except redis.RedisError:
                log.warning("google.circuit_without_redis")
                return None
            self._made = pybreaker.CircuitBreaker(
                fail_max=FAILURES,
                reset_timeout=REST_SECONDS,
                state_storage=storage,
                exclude=[_speaks_for_google],
                throw_new_error_on_trip=False,
            )
        return self._made

    @property
    def is_open(self) -> bool:
        """Say whether calls are refused now."""
        breaker = self._breaker
        return breaker is not None and breaker.current_state == pybreaker.STATE_OPEN

    def call(self, work: Callable[[], T], *, insist: bool = False) -> T:
        """Do `work` and note how it went; raise GoogleError (circuit_open) without trying."""
        breaker = self._breaker
        if breaker is None:
            return work()
        if insist and self.is_open:
            breaker.half_open()
        try:
            done: Any = breaker.call(work)
        except pybreaker.CircuitBreakerError:
            raise GoogleError(
                Failure.CIRCUIT_OPEN,
                f"Google failed {FAILURES} times in a row and is left in peace for "
                f"{REST_SECONDS} s; the next run reads the window again.",
            ) from None
        answer: T = done
        return answer


def _speaks_for_google(error: Exception) -> bool:
    """A refusal of one request, well answered, says that Google is there."""
    return isinstance(error, GoogleError) and error.failure in {
        Failure.INVALID,
        Failure.NOT_FOUND,
    }


@cache
def circuit(api: str) -> Circuit:
    """The circuit before one of Google's APIs; its state is shared by all processes."""
    return Circuit(api, redis_url=settings.REDIS_URL)
