"""Normal forms: when two spellings mean the same address, and the same meeting."""

from __future__ import annotations

import re
import unicodedata
from difflib import SequenceMatcher
from fnmatch import fnmatchcase

from attendance.domain.kinds import IdentityKind

# Gmail ignores dots and everything from a plus sign on; its two domains are one.
_GMAIL_DOMAINS = frozenset({"gmail.com", "googlemail.com"})
_MASK = re.compile(r"\*+")
_ADDRESSES = frozenset({IdentityKind.EMAIL, IdentityKind.ALIAS})
_BRACKETS = re.compile(r"\([^)]*\)|\[[^\]]*\]|\{[^}]*\}")
_ALIKE = 0.9


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
    literal = str.maketrans({"[": "[[]", "?": "[?]"})
    pattern = _MASK.sub("*", _clean(mask).translate(literal))
    spellings = {_clean(email), email_key(email)}
    return any(fnmatchcase(spelling, pattern) for spelling in spellings)


def phone_key(raw: str) -> str:
    """Return a whole international number as +digits (E.164), or "" for anything else."""
    text = re.sub(r"[\s()./-]", "", _clean(raw))
    return text if re.fullmatch(r"\+[1-9]\d{6,14}", text) else ""


def name_key(raw: str) -> str:
    """Return a name without case, brackets and punctuation, its words in order of the alphabet.

    "Rosa MARO [Student]" and "maro, rosa" are one name.
    """
    bare = _BRACKETS.sub(" ", unicodedata.normalize("NFKC", raw).casefold())
    words = "".join(character if character.isalnum() else " " for character in bare).split()
    return " ".join(sorted(words))


def alike(one: str, other: str) -> bool:
    """Say whether two name keys differ by no more than a slip of the finger."""
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    # The cheap upper bounds first: most pairs end there.
    return (
        matcher.real_quick_ratio() >= _ALIKE
        and matcher.quick_ratio() >= _ALIKE
        and matcher.ratio() >= _ALIKE
    )


def endpoint_mark(*, identifier: str, identifier_type: str, display_name: str) -> str:
    """Return by what a person (or a room) could be known again, the surest first; "" if nothing.

    The same form as the marks of identities, but for the course: names and masked addresses
    mean somebody only among the people of one course.
    """
    name = name_key(display_name)[:200]
    if key := email_key(identifier):
        return f"email:{key}"
    if identifier and identifier_type == "device_id":
        return f"device:{_clean(identifier)}"
    if key := phone_key(identifier):
        return f"phone:{key}"
    if is_masked(identifier):
        return f"masked_email:{_clean(identifier)}|{name}"[:340]
    return f"display_name:{name}" if name else ""


def identity_mark(*, kind: IdentityKind, value: str) -> str:
    """Return the mark by which endpoints show an identity; first address or alias are one.

    An account is not among the marks: endpoints carry its number beside them.
    """
    return f"{'email' if kind in _ADDRESSES else kind}:{value}"


def meeting_code(raw: str) -> str:
    """Return a Meet code as lower-case letters and digits.

    The audit log writes WKTIMXIVUK where the calendar writes wkt-imxi-vuk.
    """
    return "".join(character for character in _clean(raw) if character.isalnum())
