"""Columns that a stolen database does not show: sealed with keys from outside it (P31).

`box` has the arithmetic, `fields` what models declare, `stock` what commands and checks ask of all
sealed columns together. It knows no app, so that each may use it (docs/decisions/0013).
"""

from __future__ import annotations

from config.sealed.box import DamagedError, SealedError

__all__ = ["DamagedError", "SealedError"]
