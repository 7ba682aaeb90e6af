"""Where the web process stumbles."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path

from config.urls import urlpatterns as usual
from tests.e2e.troubled.tasks import fail, stumble


def trouble(request: HttpRequest) -> HttpResponse:
    """Ring for a task that fails, and fail."""
    fail.send()
    stumble()
    return HttpResponse()


urlpatterns = [*usual, path("trouble/", trouble)]
