"""A draw that stays the same: who is in a share, who is held out, which arm somebody takes."""

from __future__ import annotations

from hashlib import sha256

_BYTES = 6  # 48 bits: exact as a float


def bucket(key: str) -> float:
    """Where `key` lies in [0, 100); the same for ever, on every machine.

    A share of p percent is `bucket(key) < p`, so raising p only adds and never swaps people.
    """
    digest = sha256(key.encode()).digest()[:_BYTES]
    return int.from_bytes(digest, "big") / float(1 << 8 * _BYTES) * 100
