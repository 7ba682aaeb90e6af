"""The webhook: what Telegram pushes is stored and acknowledged, and handled elsewhere."""

from __future__ import annotations

import hmac
import json
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from delivery import clock, inbound_tasks
from delivery.services.updates import MalformedUpdateError, store_updates

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - the name of a header
LIMIT = 1024**2  # bytes; Telegram's updates are some kilobytes


@csrf_exempt
@require_POST
def telegram_webhook(request: HttpRequest) -> HttpResponse:
    """Take one update: 403 without the secret (the body is not read then), 413, 400 or 200.

    A 200 means: stored. Handling never delays or fails the answer, since Telegram holds back the
    whole chat after any other status. https://core.telegram.org/bots/api#setwebhook
    An address that gets too many refusals gets 429 in their place (config/strangers.py).
    """
    if not _is_telegram(request):
        return HttpResponse(status=403)
    if int(request.META.get("CONTENT_LENGTH") or 0) > LIMIT:
        return HttpResponse(status=413)
    body = request.read(LIMIT + 1)
    if len(body) > LIMIT:
        return HttpResponse(status=413)
    try:
        payload = json.loads(body, parse_constant=_refuse)
        if not isinstance(payload, dict):
            raise MalformedUpdateError("an update is a JSON object")
        store_updates(payloads=[payload], now=clock.now())
    except (ValueError, RecursionError):  # MalformedUpdateError is a ValueError
        return HttpResponse(status=400)
    inbound_tasks.ring()
    return HttpResponse(status=200)


def _is_telegram(request: HttpRequest) -> bool:
    """Compare in constant time; with no secret set, nobody is Telegram."""
    expected = settings.TELEGRAM_WEBHOOK_SECRET.encode()
    given = request.headers.get(SECRET_HEADER, "").encode("utf-8", "replace")
    return bool(expected) and hmac.compare_digest(given, expected)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
