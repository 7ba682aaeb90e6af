"""Health and metrics: what a machine asks the web process."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

import delivery.selectors
from config.pulse import pulse
from config.sealed import stock
from delivery import clock
from delivery.services.gates import FENCE
from nurture.domain.exposition import CONTENT_TYPE, render
from nurture.services.metrics import MEANINGS, collect

log = logging.getLogger(__name__)

READY_PROBLEM_STATUS = 503


class HealthMiddleware:
    """Answers /healthz and /readyz before any other middleware can.

    Render counts a 3xx as healthy, so a redirect to https or a refused host name must never
    answer in our place: https://render.com/docs/health-checks
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer a health check, or pass the request on; what was answered is a sign of life."""
        response = self._answer(request)
        if response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
            pulse.answered()
        return response

    def _answer(self, request: HttpRequest) -> HttpResponse:
        if request.path == "/healthz":
            return HttpResponse("ok", content_type="text/plain")
        if request.path == "/readyz":
            return readyz()
        return self.get_response(request)


def readyz() -> JsonResponse:
    """Say whether this process can do its work: database, Redis, migrations, keys of columns."""
    problems = {name: problem for name, check in CHECKS.items() if (problem := check())}
    return JsonResponse(
        {"ready": not problems, "problems": problems, "fence": fence()},
        status=READY_PROBLEM_STATUS if problems else 200,
    )


def fence() -> str:
    """Why this database does not send, as it is a copy; a state to see, no reason to restart."""
    try:
        gates = delivery.selectors.blocking_gates()
    except DatabaseError:
        return ""
    return next((gate.reason for gate in gates if gate.key == FENCE), "")


def database_problem() -> str:
    """Empty when the database answers."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        log.warning("readyz.database_unreachable")
        return "the database does not answer"
    return ""


def redis_problem() -> str:
    """Empty when Redis answers."""
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2) as client:
            client.ping()
    except redis.RedisError:
        log.warning("readyz.redis_unreachable")
        return "Redis does not answer"
    return ""


def migrations_problem() -> str:
    """Empty when every migration of this code is applied."""
    try:
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return "cannot read the migrations"
    return f"{len(pending)} migrations are not applied; run manage.py migrate" if pending else ""


CHECKS: dict[str, Callable[[], str]] = {
    "database": database_problem,
    "redis": redis_problem,
    "migrations": migrations_problem,
    "keys": stock.problem,
}


@require_GET
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Every figure as Prometheus reads it, for who has the token; without a token set, no page."""
    if not settings.METRICS_TOKEN:
        raise Http404("METRICS_TOKEN is not set")
    given = request.headers.get("Authorization", "").encode()
    if not constant_time_compare(given, f"Bearer {settings.METRICS_TOKEN}".encode()):
        answer = HttpResponse("a bearer token is needed", status=401, content_type="text/plain")
        answer["WWW-Authenticate"] = "Bearer"
        return answer
    page = render(collect(now=clock.now()), meanings=MEANINGS)
    return HttpResponse(page, content_type=CONTENT_TYPE)
