"""The only door to Google: the Meet log of the Reports API, and Calendar.

Reads return pages of plain dictionaries; every failure leaves as a GoogleError that says
whether waiting helps. https://developers.google.com/workspace/admin/reports/reference/rest/v1
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from ipaddress import ip_address
from random import random
from typing import Any
from urllib.parse import urlsplit

import google_auth_httplib2
import httplib2
from django.conf import settings
from django.utils import timezone
from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError
from google.oauth2 import service_account
from googleapiclient.discovery import build
from googleapiclient.errors import Error as ClientError
from googleapiclient.errors import HttpError

from attendance.domain.records import CALL_ENDED
from attendance.google_circuit import circuit
from attendance.google_errors import Failure, GoogleError
from config import telemetry

REPORTS_SCOPE = "https://www.googleapis.com/auth/admin.reports.audit.readonly"
CALENDAR_SCOPE = "https://www.googleapis.com/auth/calendar.events.readonly"
_API = {REPORTS_SCOPE: "reports", CALENDAR_SCOPE: "calendar"}
TIMEOUT_SECONDS = 30
# Blips only: the client retries 5xx, 429 and rate limits after a second or two. Longer
# troubles are met by the next run, whose window overlaps.
RETRIES = 2
ACTIVITIES_A_PAGE = 1000
EVENTS_A_PAGE = 250

_RATE_LIMITS = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded"})

Page = list[dict[str, Any]]


@dataclass(frozen=True)
class CalendarPage:
    """A page of a calendar's events, and the name and zone that the calendar bears."""

    title: str
    time_zone: str
    events: Page


def is_configured() -> bool:
    """Say whether Google is on: a service account key and a user to act for."""
    return bool(settings.GOOGLE_SERVICE_ACCOUNT_JSON and settings.GOOGLE_DELEGATED_USER)


def from_settings(*, insist: bool = False) -> Google:
    """Build the door from the settings; raise GoogleError (config) where Google is off.

    `insist`: try also where the circuit is open, as a person does who has mended something.
    """
    if not is_configured():
        raise GoogleError(
            Failure.CONFIG,
            "Google is off: set GOOGLE_SERVICE_ACCOUNT_JSON, GOOGLE_DELEGATED_USER and "
            "GOOGLE_CALENDAR_IDS. Nothing was read and nothing was changed.",
        )
    return Google(
        key=settings.GOOGLE_SERVICE_ACCOUNT_JSON or {},
        delegated_user=settings.GOOGLE_DELEGATED_USER,
        api_url=settings.GOOGLE_API_URL,
        insist=insist,
    )


@dataclass(frozen=True)
class Google:
    """Reads for one delegated user. Safe for threads: calls share what no call changes."""

    key: Mapping[str, Any] = field(repr=False)
    delegated_user: str
    api_url: str = ""  # empty: Google's own
    timeout_seconds: float = TIMEOUT_SECONDS
    retries: int = RETRIES
    insist: bool = False
    _credentials: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    _services: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    _skew: list[float] = field(default_factory=list, repr=False, compare=False)

    @property
    def clock_skew_seconds(self) -> float | None:
        """Google's clock minus ours at the last answer; None before the first."""
        return self._skew[-1] if self._skew else None

    def activities(self, *, starts_at: datetime, ends_at: datetime) -> Iterator[Page]:
        """Yield pages of the Meet log with event times in [starts_at, ends_at), newest first.

        A record appears minutes to hours after its event time; reading again is the cure.
        """
        collection = self._service("admin", "reports_v1", REPORTS_SCOPE, "").activities()
        request = collection.list(
            userKey="all",
            applicationName="meet",
            eventName=CALL_ENDED,
            startTime=_stamp(starts_at),
            endTime=_stamp(ends_at),
            maxResults=ACTIVITIES_A_PAGE,
        )
        for answer in self._answers(collection, request, REPORTS_SCOPE):
            yield answer.get("items") or []

    def events(
        self, *, calendar_id: str, starts_at: datetime, ends_at: datetime
    ) -> Iterator[CalendarPage]:
        """Yield pages of single events, cancelled ones too, that touch (starts_at, ends_at)."""
        collection = self._service("calendar", "v3", CALENDAR_SCOPE, "calendar/v3/").events()
        request = collection.list(
            calendarId=calendar_id,
            timeMin=_stamp(starts_at),
            timeMax=_stamp(ends_at),
            singleEvents=True,
            showDeleted=True,
            orderBy="startTime",
            maxResults=EVENTS_A_PAGE,
        )
        for answer in self._answers(collection, request, CALENDAR_SCOPE):
            yield CalendarPage(
                title=str(answer.get("summary") or ""),
                time_zone=str(answer.get("timeZone") or ""),
                events=answer.get("items") or [],
            )

    def _answers(self, collection: Any, request: Any, scope: str) -> Iterator[dict[str, Any]]:
        while request is not None:
            request.add_response_callback(self._note_clock)
            work = partial(self._execute, request, scope)
            answer: dict[str, Any] = circuit(_API[scope]).call(work, insist=self.insist)
            yield answer
            request = collection.list_next(request, answer)

    def _execute(self, request: Any, scope: str) -> dict[str, Any]:
        """Ask, and ask again where Google names a quota that its client does not wait for."""
        for tried in range(self.retries):
            try:
                return self._ask(request, scope)
            except GoogleError as error:
                if not _is_unretried_quota(error.__cause__):
                    raise
            time.sleep(random() * 2**tried)
        return self._ask(request, scope)

    def _ask(self, request: Any, scope: str) -> dict[str, Any]:
        try:
            # A fresh Http each time: one that threads share hands out wrong answers.
            with (
                closing(self._http(scope)) as http,
                telemetry.span(f"google {request.methodId}", kind="client"),
            ):
                answer: dict[str, Any] = request.execute(http=http, num_retries=self.retries)
        except (ClientError, GoogleAuthError, httplib2.HttpLib2Error, OSError) as error:
            raise _translate(error) from error
        return answer

    def _note_clock(self, response: httplib2.Response) -> None:
        with suppress(KeyError, ValueError, TypeError):
            theirs = parsedate_to_datetime(response["date"])
            self._skew[:] = [(theirs - timezone.now()).total_seconds()]

    def _service(self, name: str, version: str, scope: str, path: str) -> Any:
        """What Google's client makes of its description of an API: read and parsed once."""
        if name in self._services:
            return self._services[name]
        options = {"api_endpoint": f"{self.api_url.rstrip('/')}/{path}"} if self.api_url else None
        with closing(self._http(scope)) as http:
            made = build(
                name,
                version,
                http=http,
                cache_discovery=False,
                static_discovery=True,
                client_options=options,
            )
        return self._services.setdefault(name, made)

    def _http(self, scope: str) -> google_auth_httplib2.AuthorizedHttp:
        proxies = {"proxy_info": None} if _is_loopback(self.api_url) else {}
        return google_auth_httplib2.AuthorizedHttp(
            self._credentials_for(scope),
            http=httplib2.Http(timeout=self.timeout_seconds, **proxies),
        )

    def _credentials_for(self, scope: str) -> Any:
        """Return the credentials of a scope; shared, so that pages share a token, too."""
        if scope in self._credentials:
            return self._credentials[scope]
        from_key: Any = service_account.Credentials.from_service_account_info
        try:
            made = from_key(dict(self.key), scopes=[scope], subject=self.delegated_user)
        except (ValueError, GoogleAuthError) as error:
            raise GoogleError(
                Failure.CONFIG,
                f"GOOGLE_SERVICE_ACCOUNT_JSON is no usable service account key ({error}). "
                "Nothing was read; create a key in Google Cloud and set it again.",
            ) from error
        return self._credentials.setdefault(scope, made)


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _translate(error: Exception) -> GoogleError:
    if isinstance(error, RefreshError):
        if error.retryable:
            return GoogleError(Failure.TRANSIENT, f"Google gave no token: {error}")
        return GoogleError(
            Failure.CONFIG,
            f"Google gave no token: {error}. Check that the service account has domain-wide "
            f"delegation for {REPORTS_SCOPE} and {CALENDAR_SCOPE}, that GOOGLE_DELEGATED_USER "
            "exists, and that the clock is right.",
        )
    if isinstance(error, HttpError):
        return _translate_http(error)
    if isinstance(error, TransportError | httplib2.HttpLib2Error | OSError):
        return GoogleError(Failure.TRANSIENT, f"Google did not answer: {type(error).__name__}")
    return GoogleError(Failure.CONFIG, f"Google's client refused: {error}")


def _translate_http(error: HttpError) -> GoogleError:
    status = error.status_code
    reasons = _reasons(error)
    text = f"Google answered {status} {', '.join(sorted(reasons)) or error.reason}"
    if status == 429 or status >= 500 or reasons & _RATE_LIMITS:
        return GoogleError(Failure.TRANSIENT, f"{text}; the next run reads the window again.")
    if status == 404:
        return GoogleError(
            Failure.NOT_FOUND, f"{text}; is the calendar shared with GOOGLE_DELEGATED_USER?"
        )
    if status in {400, 410}:
        return GoogleError(Failure.INVALID, f"{text}; the next run reads the window again.")
    return GoogleError(
        Failure.CONFIG,
        f"{text}. Check that the Admin SDK and Calendar APIs are enabled, that the scopes are "
        "delegated, and that GOOGLE_DELEGATED_USER holds the Reports privilege.",
    )


def _is_unretried_quota(error: BaseException | None) -> bool:
    """Say whether it is a 403 that waiting helps and the client gives up at once."""
    return isinstance(error, HttpError) and "quotaExceeded" in _reasons(error)


def _reasons(error: HttpError) -> set[str]:
    details = error.error_details
    if not isinstance(details, list):
        return set()
    return {str(item["reason"]) for item in details if isinstance(item, dict) and "reason" in item}
