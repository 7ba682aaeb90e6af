"""Normal forms: when two spellings mean the same address, and the same meeting."""

from __future__ import annotations

import re
import unicodedata

# Gmail ignores dots and everything from a plus sign on; its two domains are one.
_GMAIL_DOMAINS = frozenset({"gmail.com", "googlemail.com"})
_MASK = re.compile(r"\*+")


def _clean(raw: str) -> str:
    return unicodedata.normalize("NFKC", raw).strip().lower()


def is_full_email(raw: str) -> bool:
    """Say whether `raw` is one whole, unmasked address."""
    text = _clean(raw)
    local, at, domain = text.partition("@")
    if not (local and at and domain) or "@" in domain:
        return False
    return "*" not in text and not any(character.isspace() for character in text)


def email_key(raw: str) -> str:
    """Return the normal form of an address, or "" where `raw` is not a whole address.

    Gmail's dots and +tags are dropped; for other providers they may mean another person.
    """
    if not is_full_email(raw):
        return ""
    local, _, domain = _clean(raw).partition("@")
    if domain in _GMAIL_DOMAINS:
        bare = local.partition("+")[0].replace(".", "")
        return f"{bare or local}@gmail.com"
    return f"{local}@{domain}"


def is_masked(raw: str) -> bool:
    """Say whether `raw` is an address with parts starred out, such as li***@s***.com."""
    return "*" in raw and "@" in raw


def fits_mask(*, mask: str, email: str) -> bool:
    """Say whether the masked address could be `email`, in either of its spellings."""
    pattern = ".*".join(re.escape(part) for part in _MASK.split(_clean(mask)))
    spellings = {_clean(email), email_key(email)}
    return any(re.fullmatch(pattern, spelling) is not None for spelling in spellings)


def meeting_code(raw: str) -> str:
    """Return a Meet code as lower-case letters and digits.

    The audit log writes WKTIMXIVUK where the calendar writes wkt-imxi-vuk.
    """
    return "".join(character for character in _clean(raw) if character.isalnum())
