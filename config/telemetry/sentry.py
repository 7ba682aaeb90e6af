"""Error reports: what needs a change of the code, without anybody's data."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from config import telemetry
from config.telemetry.scrubbing import clean, event, fields, told

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

FLUSH_SECONDS = 2.0

_KEPT = (
    "event_id", "timestamp", "level", "platform", "release", "environment", "server_name",
    "logger", "type", "transaction", "transaction_info", "start_timestamp", "sdk",
)  # fmt: skip
_CONTEXTS = ("trace", "runtime")
_TRACE = ("trace_id", "span_id", "parent_span_id", "op", "status")
_FRAME = (
    "filename", "abs_path", "function", "module", "lineno", "pre_context", "context_line",
    "post_context", "in_app",
)  # fmt: skip
#: Whoever scans the internet, all day; a collector that is away, which is an alert's matter.
_NOISE = ("django.security.DisallowedHost", "opentelemetry.")
_is_on = False


def start(*, dsn: str, environment: str) -> None:
    """Report from this process; nothing without a DSN. Call it before the broker is built.

    Integrations are named one by one: those that the library finds by itself note URLs (the bot's
    token is in them) and the command line.
    """
    global _is_on
    if not dsn:
        return
    import sentry_sdk
    from sentry_sdk.integrations.argv import ArgvIntegration
    from sentry_sdk.integrations.django import DjangoIntegration
    from sentry_sdk.integrations.dramatiq import DramatiqIntegration
    from sentry_sdk.integrations.modules import ModulesIntegration
    from sentry_sdk.integrations.stdlib import StdlibIntegration

    sentry_sdk.init(
        dsn=dsn,
        environment=environment,
        release=os.environ.get("RENDER_GIT_COMMIT"),
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        auto_enabling_integrations=False,
        integrations=[DjangoIntegration(), DramatiqIntegration()],
        disabled_integrations=[ArgvIntegration(), StdlibIntegration(), ModulesIntegration()],
        auto_session_tracking=False,
        shutdown_timeout=FLUSH_SECONDS,
        before_breadcrumb=lambda crumb, hint: None,
        before_send=scrub,
        before_send_transaction=scrub,
    )
    _is_on = True


def flush() -> None:
    """Send what waits, for FLUSH_SECONDS at most."""
    if _is_on:
        import sentry_sdk

        sentry_sdk.flush(timeout=FLUSH_SECONDS)


def scrub(found: Event, hint: Hint) -> Event | None:
    """The event anew, of what may leave the process; all else is not even looked at."""
    given: Mapping[str, Any] = found
    if str(given.get("logger", "")).startswith(_NOISE):
        return None
    made: dict[str, Any] = {key: given[key] for key in _KEPT if key in given}
    if "transaction" in made:
        made["transaction"] = clean(str(made["transaction"]))
    made["contexts"] = _contexts(given.get("contexts") or {})
    made["tags"] = {key: str(value) for key, value in fields(telemetry.ids()).items()}
    made["extra"] = fields(given.get("extra") or {})
    if said := given.get("logentry"):
        made["logentry"] = {
            "message": event(logger=str(given.get("logger", "")), said=said.get("message"))
        }
    if chain := (given.get("exception") or {}).get("values"):
        made["exception"] = {"values": [_exception(link) for link in chain]}
    if method := (given.get("request") or {}).get("method"):
        made["request"] = {"method": method}
    return made  # type: ignore[return-value]  # an event, made of the given one


def _contexts(given: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: given[name] for name in _CONTEXTS if name in given}
    if "trace" in kept:
        kept["trace"] = {key: kept["trace"][key] for key in _TRACE if key in kept["trace"]}
    return kept


def _exception(link: Mapping[str, Any]) -> dict[str, Any]:
    module, name = str(link.get("module") or "builtins"), str(link.get("type"))
    frames = (link.get("stacktrace") or {}).get("frames") or []
    return {
        "type": name,
        "module": module,
        "value": told(module=module, name=name, said=str(link.get("value") or "")),
        "mechanism": {
            "type": "telbot",
            "handled": bool((link.get("mechanism") or {}).get("handled")),
        },
        "stacktrace": {"frames": [{k: frame[k] for k in _FRAME if k in frame} for frame in frames]},
    }
