"""Made-up values in the place of real ones: the same for the same, and no way back.

A disguise has a key of its own that nobody keeps, so two dumps have nothing in common. Equal people
stay equal in every spelling that telbot knows: address and normal form, name and mark.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable
from functools import lru_cache
from uuid import UUID

from attendance.domain.identity import email_key, is_masked, name_key, phone_key

_ADDRESS = re.compile(r"[^\s<>\"'(),:;\\{}\[\]]+@[^\s<>\"'(),:;\\{}\[\]]+")
_ERASED = re.compile(r"erased-\d+")
# Beyond all that Telegram gives (52 bits): whoever is written to by mistake does not exist.
_NUMBERS_FROM = 1 << 60


class Disguise:
    """Turns values into others. Every method takes and returns the text of a value."""

    def __init__(self, key: bytes) -> None:
        self._digest: Callable[[str, int], str] = lru_cache(maxsize=1 << 16)(
            lambda value, length: hmac.new(key, value.encode(), hashlib.sha256).hexdigest()[:length]
        )

    def token(self, value: str) -> str:
        """A word that says nothing; empty stays empty."""
        return value and f"x{self._digest(value, 15)}"

    def address(self, value: str) -> str:
        """An e-mail address; all spellings of one address get the same."""
        if not value or _ERASED.fullmatch(value):
            return value
        return f"{self._digest(email_key(value) or value, 16)}@people.invalid"

    def name(self, value: str) -> str:
        """A person's name; all orders of its words get the same."""
        return value and f"Learner {self._digest(name_key(value) or value, 10)}"

    def name_key(self, value: str) -> str:
        """The normal form of a name."""
        return name_key(self.name(value))

    def phone(self, value: str) -> str:
        """A number longer than any that exists."""
        return value and f"+9{int(self._digest(value, 16), 16) % 10**14:014}"

    def digits(self, value: str) -> str:
        """An account number."""
        return value and f"9{int(self._digest(value, 16), 16):020}"

    def number(self, value: str) -> str:
        """A number that stands for somebody; 0 stays 0."""
        return value if value == "0" else str(_NUMBERS_FROM + int(self._digest(value, 14), 16))

    def uuid(self, value: str) -> str:
        """A hash, or another number of 128 bits."""
        return str(UUID(self._digest(value, 32)))

    def staff(self, value: str) -> str:
        """The name by which a member of staff logs in; telbot itself stays."""
        return value if value in {"", "telbot"} else f"staff-{self._digest(value, 10)}"

    def title(self, value: str) -> str:
        """What a class or a course is called."""
        return value and f"Class {self._digest(value, 8)}"

    def link(self, value: str) -> str:
        """An address in the web."""
        return value and f"https://meet.invalid/{self._digest(value, 12)}"

    def identity(self, value: str) -> str:
        """By what a learner is known, as an identity keeps it or as a device showed it."""
        if is_masked(value):
            return self.token(value)
        if email_key(value):
            return self.address(value)
        if phone_key(value):
            return self.phone(phone_key(value))
        return self.digits(value) if value.isdigit() else self.name_key(value)

    def mark(self, value: str) -> str:
        """By what a guest could be known again: `email:…`, `display_name:…`."""
        kind, colon, rest = value.partition(":")
        if colon and kind in {"email", "phone", "display_name"}:
            return f"{kind}:{self.identity(rest)}"
        if colon and kind in {"device", "masked_email"}:
            return f"{kind}:{self.token(rest)}"
        return self.token(value)

    def calendar(self, value: str) -> str:
        """The calendar of a course, which may be somebody's address."""
        return value if value == "any" else self.address(value)

    def prose(self, value: str) -> str:
        """What staff wrote for everybody: only addresses are disguised."""
        return _ADDRESS.sub(lambda found: self.address(found[0]), value)

    def text(self, value: str) -> str:
        """What somebody was told: as long as it was."""
        return "x" * len(value)

    def addresses(self, value: str) -> str:
        """A JSON list of addresses."""
        return json.dumps([self.address(str(one)) for one in json.loads(value)])

    def json(self, value: str) -> str:
        """Nothing of what was in it."""
        return {"{": "{}", "[": "[]"}.get(value[:1], "null")

    def coded(self, value: str) -> str:
        """A key of ours, of codes and row numbers: as it is. Anything else is a token."""
        return value if _KEY.fullmatch(value) else self.token(value)

    def nothing(self, value: str) -> str:
        """Empty."""
        return ""

    def locked(self, value: str) -> str:
        """A password that opens nothing."""
        return "!"


_CODES = (
    "session", "journey", "pledge", "reply", "released", "handover:journey", "link_conflict",
    "attended", "late", "left_early", "partial", "missed", "missed_pledged", "first_attended",
    "returned", "pledged", "corrected", "upheld", "dispute", "learner",
)  # fmt: skip
_KEY = re.compile(rf"learner|journey:\d+:[-a-zA-Z0-9_]+:\d+|({'|'.join(_CODES)})(:\d[0-9TZ.]*)+")
