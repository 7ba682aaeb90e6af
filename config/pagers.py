"""Who is told of alerts: Slack by an incoming webhook, PagerDuty by its Events API v2.

https://api.slack.com/messaging/webhooks
https://developer.pagerduty.com/docs/send-alert-event
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, Protocol
from urllib.parse import urlsplit

from django.conf import settings

from nurture.domain.alerts import CATALOGUE, Code, Severity, Tell

SECONDS = 10.0
EVENTS = "https://events.pagerduty.com"
ENQUEUE = "/v2/enqueue"
RUNBOOK = "docs/operations/alerts.md"


class TellError(Exception):
    """A receiver did not take it; the text names no secret."""


@dataclass(frozen=True, kw_only=True)
class Word:
    """What is said. `key` is the same for all that is said of one alert."""

    code: Code
    kind: Tell
    key: str
    words: str
    link: str  # the page of the alert

    @property
    def runbook(self) -> str:
        """Where the handbook says what to do."""
        return f"{RUNBOOK}#{self.code}"


class Channel(Protocol):
    """A receiver."""

    @property
    def name(self) -> str:
        """As its notices are kept."""

    @property
    def repeats(self) -> bool:
        """Whether it is told again of what still stands."""

    def tell(self, word: Word) -> None:
        """Say it, within ten seconds or so. Raises TellError where it was not taken."""


@dataclass(frozen=True, slots=True)
class Slack:
    """An incoming webhook. It knows no keys, so each word is a line of its own."""

    url: str
    name: str = "slack"
    repeats: bool = True

    def tell(self, word: Word) -> None:
        """Post one message."""
        _post(self.url, {"text": self.text(word)})

    def text(self, word: Word) -> str:
        """The message, in Slack's markup."""
        rule = CATALOGUE[word.code]
        where = settings.ENVIRONMENT
        links = f"<{word.link}|Look> · {word.runbook}"
        if word.kind is Tell.RESOLVE:
            return f":white_check_mark: *{rule.title}* is over ({where}). {links}"
        sign = ":rotating_light:" if rule.severity is Severity.CRITICAL else ":warning:"
        still = "Still: " if word.kind is Tell.AGAIN else ""
        said = f"{_plain(word.words)} {_plain(rule.do)}"
        return f"{sign} {still}*{rule.title}* ({where}). {said} {links}"


@dataclass(frozen=True, slots=True)
class PagerDuty:
    """It opens one incident for each key and repeats by itself, so it is told once of each."""

    url: str
    routing_key: str
    name: str = "pagerduty"
    repeats: bool = False

    def tell(self, word: Word) -> None:
        """Enqueue one event."""
        _post(self.url, self.event(word))

    def event(self, word: Word) -> dict[str, Any]:
        """The event; PagerDuty takes the same one twice as one."""
        event: dict[str, Any] = {
            "routing_key": self.routing_key, "dedup_key": word.key,
            "event_action": "resolve" if word.kind is Tell.RESOLVE else "trigger",
        }  # fmt: skip
        if word.kind is Tell.RESOLVE:
            return event
        rule = CATALOGUE[word.code]
        return event | {
            "payload": {
                "summary": f"{rule.title} ({settings.ENVIRONMENT}): {word.words}"[:1024],
                "source": urlsplit(settings.PUBLIC_URL).hostname or "telbot",
                "severity": rule.severity.value,
                "component": "telbot",
                "class": word.code.value,
                "custom_details": {"do": rule.do, "runbook": word.runbook},
            },
            "client": "telbot",
            "client_url": word.link,
            "links": [{"href": word.link, "text": "Look"}],
        }


def channels() -> list[Channel]:
    """Who is told, as set."""
    found: list[Channel] = []
    if settings.SLACK_WEBHOOK_URL:
        found.append(Slack(settings.SLACK_WEBHOOK_URL))
    if settings.PAGERDUTY_ROUTING_KEY:
        url = settings.PAGERDUTY_API_URL or EVENTS
        # Of a server alone, the one address of the API that there is.
        url += "" if urlsplit(url).path else ENQUEUE
        found.append(PagerDuty(url, settings.PAGERDUTY_ROUTING_KEY))
    return found


class _StaysHere(urllib.request.HTTPRedirectHandler):
    """Nobody is led elsewhere with what we say."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Never."""
        return


_opener = urllib.request.build_opener(_StaysHere)


def _post(url: str, body: Mapping[str, Any]) -> None:
    request = urllib.request.Request(  # noqa: S310 - env.py takes http and https alone
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with _opener.open(request, timeout=SECONDS) as answer:
            answer.read(1000)
    except urllib.error.HTTPError as error:
        error.close()
        raise TellError(f"it answered {error.code}") from None
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise TellError(f"no answer: {type(reason).__name__}") from None


def _plain(text: str) -> str:
    """Without what Slack takes for markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
