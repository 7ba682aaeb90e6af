"""What may go wrong with Google, and what it means for us."""

from __future__ import annotations

from enum import StrEnum


class Failure(StrEnum):
    """What a failure of Google means for us."""

    TRANSIENT = "transient"  # wait; the watermark stays
    CONFIG = "config"  # a person must change something; waiting does not help
    INVALID = "invalid"  # the request was refused: window or page token
    NOT_FOUND = "not_found"  # no such calendar, or not shared with us
    CIRCUIT_OPEN = "circuit_open"  # not even tried


class GoogleError(Exception):
    """A request to Google failed; `failure` says what kind, the text says what to do."""

    def __init__(self, failure: Failure, message: str) -> None:
        super().__init__(message)
        self.failure = failure
