"""Seal a text with AES-256-GCM, open it again, and hash it with a key so that it can be found.

A sealed text is `<id of the key>:<base64 of nonce, ciphertext, tag>`, or `plain:<the text>` where
FIELD_ENCRYPTION_KEY is empty. Both can be read at any time, so that encryption may be switched on,
off and to another key while telbot runs; `manage.py rotate_keys` carries over what is there. An
empty text stays empty: that nothing is known of somebody is no secret.

AES-GCM and not Fernet, because the sender opens a chat's id for each message: a third of the
time. What a text is for (`purpose`) goes into the tag, so that none can be moved to another column.
A nonce is random: a key may seal some 2^32 texts, which is one a second for a century.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import unicodedata
import uuid
from base64 import urlsafe_b64decode
from binascii import Error as NotBase64
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterator
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

PLAIN = "plain"
_NONCE = 12  # bytes
_SHORTEST = 2  # bytes in UTF-8 of what finds a name: two Latin letters, one Chinese one


class SealedError(Exception):
    """A stored value cannot be read with the keys that are set. Nothing was changed."""


class DamagedError(SealedError):
    """It was changed, cut or moved since it was sealed: no key will ever open it."""


class Box:
    """The keys of one configuration."""

    def __init__(self, keys: tuple[str, ...], secrets: tuple[str, ...]) -> None:
        """`keys` as in FIELD_ENCRYPTION_KEY, `secrets` as SECRET_KEY and its fallbacks.

        Hashes are made with the oldest secret: as long as it is kept among the fallbacks, a new
        SECRET_KEY leaves every hash as it is.
        """
        ciphers = [_derived(urlsafe_b64decode(key), b"telbot sealed columns") for key in keys]
        self._ciphers = {hashlib.sha256(key).hexdigest()[:8]: AESGCM(key) for key in ciphers}
        self.newest = next(iter(self._ciphers), PLAIN)
        self._hash_key = _derived(secrets[-1].encode(), b"telbot keyed hashes")

    def seal(self, text: str, purpose: str) -> str:
        """The text as it is stored: sealed with the newest key, or marked as plain."""
        if not text or self.newest == PLAIN:
            return text and f"{PLAIN}:{text}"
        nonce = os.urandom(_NONCE)
        sealed = self._ciphers[self.newest].encrypt(nonce, text.encode(), purpose.encode())
        return f"{self.newest}:{b2a_base64(nonce + sealed, newline=False).decode()}"

    def open(self, stored: str, purpose: str) -> str:
        """The text that was stored. Raises SealedError, DamagedError where no key would help."""
        name, _, rest = stored.partition(":")
        if name == PLAIN or not stored:
            return rest
        cipher = self._ciphers.get(name)
        if cipher is None:
            raise SealedError(
                f"a value in {purpose} is sealed with the key {name[:8]}, which is not in"
                " FIELD_ENCRYPTION_KEY; set the key it had, beside the new one if there is one"
            )
        try:
            raw = a2b_base64(rest)
            return cipher.decrypt(raw[:_NONCE], raw[_NONCE:], purpose.encode()).decode()
        except (InvalidTag, NotBase64, ValueError) as error:
            raise DamagedError(f"a value in {purpose} was damaged or moved there") from error

    def digest(self, text: str, purpose: str) -> bytes:
        """HMAC-SHA-256 of a text: equal texts are found by it, and without the key tell nothing."""
        return hmac.digest(self._hash_key, f"{purpose}\0{text}".encode(), "sha256")

    def hashed(self, text: str, purpose: str) -> uuid.UUID:
        """128 bits of the digest, as PostgreSQL keeps them best."""
        return uuid.UUID(bytes=self.digest(text, purpose)[:16])

    def hashed_words(self, text: str, purpose: str) -> list[int]:
        """By what a text is found: as a whole, and by each beginning of its words."""
        parts = {part for word in words(text) for part in beginnings(word)}
        return self.whole(text, purpose) + sorted(self._short(part, purpose) for part in parts)

    def sought(self, text: str, purpose: str) -> list[int]:
        """What `hashed_words` of a text has where each of these words begins one of its own."""
        return [self._short(word, purpose) for word in words(text)] or [0]  # no words find nobody

    def whole(self, text: str, purpose: str) -> list[int]:
        """What `hashed_words` of this very text has, and of no other."""
        return [self._short(f"={text}", purpose)]

    def _short(self, text: str, purpose: str) -> int:
        # 64 bits: rows are looked at again by nobody, but a stranger among 10^9 of them would be
        # no more than a stranger in a list that was searched.
        return int.from_bytes(self.digest(text, purpose)[:8], signed=True)


def box() -> Box:
    """The box of the settings as they are now."""
    return _made(
        settings.FIELD_ENCRYPTION_KEY, (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    )


@lru_cache(maxsize=8)
def _made(keys: tuple[str, ...], secrets: tuple[str, ...]) -> Box:
    return Box(keys, secrets)


def words(text: str) -> list[str]:
    """The words of a name without case and accents: García-Lind → garcia, lind."""
    bare = unicodedata.normalize("NFKD", text.casefold())
    kept = (c if c.isalnum() else "" if unicodedata.combining(c) else " " for c in bare)
    return "".join(kept).split()


def beginnings(word: str) -> Iterator[str]:
    """A word, and each of its beginnings that is long enough to mean something."""
    for length in range(1, len(word)):
        if len(word[:length].encode()) >= _SHORTEST:
            yield word[:length]
    yield word


def _derived(key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(key)
