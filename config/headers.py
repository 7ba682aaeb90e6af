"""What browsers may do with our pages, said in each answer.

Content-Security-Policy: Django has it from 6.0 on (SECURE_CSP); until then two fixed policies need
no library. Permissions-Policy: a page of ours uses no device. The other headers are Django's own
(config/settings.py).
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

#: For what is no page: webhook, redirects, errors. Nothing is loaded, nothing is framed.
NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
#: The admin: files of our own only. unfold needs two exceptions: its Alpine turns attributes into
#: functions ('unsafe-eval'; no script in a page runs, so text that is shown cannot become one), and
#: it styles elements one by one (style 'unsafe-inline').
ADMIN = (
    "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
NO_DEVICES = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"


class BrowserPolicy:
    """Middleware: the policy of the admin for its pages, of nothing for all else."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Add both headers to the answer."""
        answer = self.get_response(request)
        inside = request.path.startswith(reverse("admin:index"))
        answer.headers["Content-Security-Policy"] = ADMIN if inside else NOTHING
        answer.headers["Permissions-Policy"] = NO_DEVICES
        return answer
