"""Who calls without the right secret is refused twenty times a minute, then told to wait.

The view comes first: it compares the secret, in constant time and before it reads the body. Only
what it refused is counted, so whoever has the secret never meets this count, whatever else comes
from their address, and no count ever stands in the place of the comparison.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from ipaddress import IPv6Address, IPv6Network, ip_address

import redis
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac

from config.second_factor import client_ip

REFUSALS = 20  # of one caller in a window, which begins with the first
OF_ONE_CALLER = 64  # leading bits of an IPv6 address; whoever rents a line may use all below them
WINDOW_SECONDS = 60
#: No secret, a wrong one, or a method that nobody uses who has the right one.
REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.METHOD_NOT_ALLOWED})

View = Callable[[HttpRequest], HttpResponse]


def throttled(view: View) -> View:
    """Decorator: 429 with Retry-After instead of a refusal, for an address refused too often."""

    @wraps(view)
    def answer(request: HttpRequest) -> HttpResponse:
        response = view(request)
        if response.status_code in REFUSED and _refusals(request) > REFUSALS:
            wait = {"Retry-After": str(WINDOW_SECONDS)}
            return HttpResponse(status=HTTPStatus.TOO_MANY_REQUESTS, headers=wait)
        return response

    return answer


def _caller(address: str) -> str:
    """Whom an address stands for: itself, or the network of an IPv6 address."""
    try:
        known = ip_address(address)
    except ValueError:  # nobody's address: counted as it was written
        return address
    if not isinstance(known, IPv6Address):
        return address
    return str(known.ipv4_mapped or IPv6Network((int(known), OF_ONE_CALLER), strict=False))


def _refusals(request: HttpRequest) -> int:
    """Count one more for its caller, kept as a hash; 0 while Redis is away and nobody counts."""
    caller = salted_hmac(__name__, _caller(client_ip(request)), algorithm="sha256").hexdigest()
    key = f"refusals:{caller}"
    try:
        cache.add(key, 0, WINDOW_SECONDS)
        count = cache.incr(key)
        if count == 1:  # also where the window ended just now: a key without an end would stay
            cache.touch(key, WINDOW_SECONDS)
    except (redis.RedisError, ValueError):  # ValueError: the window ended just now
        return 0
    return count
