"""The one contract between the sender and whoever speaks to Telegram."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

CALL_SECONDS = 20.0  # after so long in all a gateway ends a call


@dataclass(frozen=True, kw_only=True)
class Call:
    """What the wire saw of one call. Facts only; `domain.outcome.judge` says what they mean."""

    #: A first byte may have been written. From here on, no answer means "cannot be known".
    started: bool
    #: HTTP status of the answer; None where none came.
    status: int | None = None
    #: The decoded JSON object of the answer; None where it was no JSON object.
    body: Mapping[str, Any] | None = None
    #: Seconds that the header Retry-After asks for; None where there is none, or no number.
    retry_after: float | None = None
    #: Class name of the transport's error; "" where there was none. Never any message text.
    cause: str = ""


class Gateway(Protocol):
    """A way to a Bot API server. One instance per event loop.

    Its methods do not raise for trouble on the wire: they return what was seen, after
    CALL_SECONDS at the latest; nobody else watches over a call. Cancellation passes through.
    """

    async def open(self) -> None:
        """Make ready to send, in the loop that will send. Safe to call twice. Calls nobody."""

    async def close(self) -> None:
        """Close every connection. Safe to call twice."""

    async def send(
        self,
        *,
        chat_id: int,
        text: str,
        buttons: Sequence[Sequence[tuple[str, str]]] = (),
        delivery_id: int,
    ) -> Call:
        """Send one text in Telegram's HTML, with rows of (text, action) below it."""

    async def get_me(self) -> Call:
        """Ask who the bot is: harmless, so it is what probes use."""
