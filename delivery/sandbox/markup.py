"""Telegram's HTML, read as Telegram reads it: plain text, entities, and the same error texts.

Held to TDLib's own parser by tests. https://core.telegram.org/bots/api#html-style
Offsets in errors count UTF-8 bytes; offsets and lengths of entities count UTF-16 units.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

SPACES = frozenset(b" \t\r\n\0\v")
NAMED = {b"lt": ord("<"), b"gt": ord(">"), b"amp": ord("&"), b"quot": ord('"')}
SIMPLE_TAGS = {
    "b": "bold", "strong": "bold", "i": "italic", "em": "italic", "u": "underline",
    "ins": "underline", "s": "strikethrough", "strike": "strikethrough", "del": "strikethrough",
    "tg-spoiler": "spoiler", "span": "spoiler",
}  # fmt: skip
TAGS = frozenset(SIMPLE_TAGS) | {"a", "code", "pre", "blockquote", "tg-emoji", "tg-time"}
# What stands first among entities of the same place and length.
PRIORITY = {
    "blockquote": 0, "expandable_blockquote": 0, "pre": 11, "code": 20, "text_link": 49,
    "text_mention": 49, "bold": 90, "italic": 91, "underline": 92, "strikethrough": 93,
    "spoiler": 94, "custom_emoji": 99,
}  # fmt: skip
# Which attribute of which tag matters, and how its value must begin.
ARGUMENTS = {
    ("a", "href"): "", ("code", "class"): "language-", ("span", "class"): "tg-",
    ("tg-emoji", "emoji-id"): "", ("blockquote", "expandable"): "", ("tg-time", "unix"): "",
}  # fmt: skip


class MarkupError(ValueError):
    """The text cannot be parsed; the message is what Telegram says after "can't parse entities"."""


@dataclass
class Entity:
    """A styled part of a text; offset and length in UTF-16 units."""

    type: str
    offset: int
    length: int
    argument: str = ""

    def as_json(self) -> dict[str, Any]:
        """The Bot API's MessageEntity."""
        made: dict[str, Any] = {"offset": self.offset, "length": self.length, "type": self.type}
        match self.type:
            case "text_link":
                made["url"] = self.argument
            case "pre" if self.argument:
                made["language"] = self.argument
            case "custom_emoji":
                made["custom_emoji_id"] = self.argument
            case "text_mention":
                made["user"] = {"id": int(self.argument), "is_bot": False, "first_name": "User"}
            case "date_time":
                made["unix_time"] = int(self.argument)
        return made


@dataclass
class _Open:
    tag: str
    argument: str
    offset: int
    start: int  # in the result, bytes


def utf16_length(text: str) -> int:
    """Length in the unit that entities count in."""
    return len(text) + sum(character > "\uffff" for character in text)


def parse_html(text: str) -> tuple[str, list[Entity]]:
    """Return the plain text and its entities; raise MarkupError as Telegram would refuse it."""
    parser = _Parser(text.encode("utf-8", "surrogatepass"))
    parser.run()
    entities = sorted(
        parser.entities, key=lambda e: (e.offset, -e.length, PRIORITY.get(e.type, 50))
    )
    for entity in entities:
        if entity.type == "code":
            entity.argument = ""
    return parser.out.decode("utf-8", "replace"), entities


class _Parser:
    """One pass over the bytes. `text` ends with NULs, so looking ahead is always legal."""

    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self.text = data + b"\0\0\0"
        self.at = 0
        self.out = bytearray()
        self.offset = 0  # UTF-16 units written
        self.open: list[_Open] = []
        self.entities: list[Entity] = []

    def run(self) -> None:
        while self.at < self.size:
            byte = self.text[self.at]
            if byte == ord("&") and (character := self._reference()):
                self._put(character)
            elif byte == ord("<"):
                self._tag()
            else:
                if byte & 0xC0 != 0x80:  # first byte of a character
                    self.offset += 2 if byte >= 0xF0 else 1
                self.out.append(byte)
                self.at += 1
        if self.open:
            last = self.open[-1].tag
            raise MarkupError(f'Can\'t find end tag corresponding to start tag "{last}"')

    def _put(self, character: int) -> None:
        self.out += chr(character).encode("utf-8", "surrogatepass")
        self.offset += 2 if character > 0xFFFF else 1

    def _reference(self) -> int:
        """Decode `&…;` at the cursor and move past it; 0 and no move where it is none."""
        end = self.at + 1
        if self.text[end] == ord("#"):
            pattern = rb"x([0-9a-fA-F]*)" if self.text[end + 1] == ord("x") else rb"([0-9]*)"
            found = re.compile(pattern).match(self.text, end + 1)
            digits = found.group(1) if found else b""
            end = found.end() if found else end
            base = 16 if pattern.startswith(rb"x") else 10
            code = int(digits, base) if digits and len(digits) < 10 else 0
            if not 0 < code < 0x10FFFF or end - self.at >= 10:
                return 0
        else:
            while self.text[end : end + 1].isalpha():
                end += 1
            code = NAMED.get(self.text[self.at + 1 : end], 0)
            if not code:
                return 0
        self.at = end + 1 if self.text[end] == ord(";") else end
        return code

    def _tag(self) -> None:
        begin = self.at
        self.at += 1
        if self.text[self.at] == ord("/"):
            self._end_tag(begin)
        else:
            self._start_tag(begin)

    def _skip_name(self) -> None:
        while self.text[self.at] not in SPACES and self.text[self.at] != ord(">"):
            self.at += 1

    def _skip_spaces(self) -> None:
        while self.at < self.size and self.text[self.at] in SPACES:
            self.at += 1

    def _start_tag(self, begin: int) -> None:
        self._skip_name()
        if self.at >= self.size:
            raise MarkupError(f"Unclosed start tag at byte offset {begin}")
        tag = _lower(self.text[begin + 1 : self.at])
        if tag not in TAGS:
            raise MarkupError(f'Unsupported start tag "{tag}" at byte offset {begin}')
        argument = ""
        while self.text[self.at] != ord(">"):
            self._skip_spaces()
            if self.text[self.at] == ord(">"):
                break
            name, value = self._attribute(tag, begin)
            prefix = ARGUMENTS.get((tag, name))
            if prefix is not None and value.startswith(prefix):
                argument = value[len(prefix) :]
        if tag == "span" and argument != "spoiler":
            raise MarkupError(f'Tag "span" must have class "tg-spoiler" at byte offset {begin}')
        self.at += 1
        self.open.append(_Open(tag, argument, self.offset, len(self.out)))

    def _attribute(self, tag: str, begin: int) -> tuple[str, str]:
        start = self.at
        while self.text[self.at] not in SPACES and self.text[self.at] not in b"=>/\"'":
            self.at += 1
        name = self.text[start : self.at].decode("utf-8", "replace")
        if not name:
            raise MarkupError(f'Empty attribute name in the tag "{tag}" at byte offset {begin}')
        self._skip_spaces()
        unclosed = MarkupError(f'Unclosed start tag "{tag}" at byte offset {begin}')
        if self.text[self.at] != ord("="):
            if self.at >= self.size:
                raise unclosed
            return name, "1" if name == "expandable" else ""
        self.at += 1
        self._skip_spaces()
        if self.at >= self.size:
            raise unclosed
        value = self._quoted() if self.text[self.at] in b"\"'" else self._name_token()
        if self.at >= self.size:
            raise MarkupError(f"Unclosed start tag at byte offset {begin}")
        return name, "1" if name == "expandable" else value

    def _name_token(self) -> str:
        start = self.at
        while self.text[self.at : self.at + 1].isalnum() or self.text[self.at] in b".-":
            self.at += 1
        if self.text[self.at] not in SPACES and self.text[self.at] != ord(">"):
            raise MarkupError(f"Unexpected end of name token at byte offset {start}")
        return _lower(self.text[start : self.at])

    def _quoted(self) -> str:
        quote = self.text[self.at]
        self.at += 1
        value = bytearray()
        while self.at < self.size and self.text[self.at] != quote:
            if self.text[self.at] == ord("&") and (character := self._reference()):
                value += chr(character).encode("utf-8", "surrogatepass")
                continue
            value.append(self.text[self.at])
            self.at += 1
        if self.at < self.size:
            self.at += 1
        return value.decode("utf-8", "replace")

    def _end_tag(self, begin: int) -> None:
        if not self.open:
            raise MarkupError(f"Unexpected end tag at byte offset {begin}")
        self._skip_name()
        found = _lower(self.text[begin + 2 : self.at])
        self._skip_spaces()
        if self.text[self.at] != ord(">"):
            raise MarkupError(f"Unclosed end tag at byte offset {begin}")
        self.at += 1
        opened = self.open.pop()
        if found and found != opened.tag:
            raise MarkupError(
                f"Unmatched end tag at byte offset {begin}, "
                f'expected "</{opened.tag}>", found "</{found}>"'
            )
        if self.offset > opened.offset:
            self._close(opened)

    def _close(self, opened: _Open) -> None:
        place = (opened.offset, self.offset - opened.offset)
        last = self.entities[-1] if self.entities else None
        twin = last if last is not None and (last.offset, last.length) == place else None
        match opened.tag:
            case "a":
                inside = self.out[opened.start :].decode("utf-8", "replace")
                kind, argument = _link(opened.argument or inside)
            case "pre":
                if twin is not None and twin.type == "code" and twin.argument:
                    twin.type = "pre"
                    return
                kind, argument = "pre", ""
            case "code":
                if twin is not None and twin.type == "pre" and opened.argument:
                    twin.argument = opened.argument
                    return
                kind, argument = "code", opened.argument
            case _:
                kind, argument = _plain(opened)
        if kind:
            self.entities.append(Entity(kind, *place, argument))


def _plain(opened: _Open) -> tuple[str, str]:
    match opened.tag:
        case "blockquote":
            return ("expandable_blockquote" if opened.argument else "blockquote"), ""
        case "tg-emoji":
            if not re.fullmatch(r"-?[1-9][0-9]{0,18}", opened.argument):
                raise MarkupError("Invalid custom emoji identifier specified")
            return "custom_emoji", opened.argument
        case "tg-time":
            if not re.fullmatch(r"[1-9][0-9]{0,9}", opened.argument):
                raise MarkupError("Invalid Unix time specified")
            return "date_time", opened.argument
    return SIMPLE_TAGS[opened.tag], ""


def _lower(data: bytes) -> str:
    return data.lower().decode("utf-8", "replace")  # ASCII only, as TDLib does


def _link(url: str) -> tuple[str, str]:
    """("text_link", checked URL), ("text_mention", user id) or ("", "") where Telegram drops it."""
    mention = re.fullmatch(r"tg://user/?\?id=([1-9][0-9]{0,15})", url, re.IGNORECASE)
    if mention:
        return "text_mention", mention.group(1)
    checked = checked_url(url)
    return ("text_link", checked) if checked else ("", "")


def checked_url(url: str) -> str:
    """The URL as Telegram stores it, or "" where it refuses it (no dot in the host, odd scheme)."""
    if re.search(r"\s", url):
        return ""
    if re.match(r"(?i)tg:(//)?[a-z0-9_]", url):
        return "tg://" + re.sub(r"(?i)^tg:(//)?", "", url)
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "http", url
    if scheme.lower() not in {"http", "https", "ftp"}:
        return ""
    try:
        parts = urlsplit(f"{scheme.lower()}://{rest}")
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    if not _is_public_name(host):
        return ""
    location = parts.netloc.rpartition("@")
    netloc = location[0] + location[1] + location[2].lower()
    path = rest[len(parts.netloc) :] or "/"
    return f"{scheme.lower()}://{netloc}{path if path[0] == '/' else '/' + path}"


def _is_public_name(host: str) -> bool:
    try:
        return bool(ip_address(host))
    except ValueError:
        label = host.rpartition(".")[2]
        return "." in host.strip(".") and len(label) > 1 and ".." not in host


# --- what is done to a text before it is stored ------------------------------------------------

_CONTROLS = {code: " " for code in range(32) if code not in (10, 13)}
_REMOVED = dict.fromkeys([13, *range(0x202A, 0x202F)])
_FOUND = re.compile(
    r"(?P<url>https?://[^\s<>\"]+[^\s<>\".,;:!?)\]'])"
    r"|(?P<bot_command>(?<![\w/<>])/[A-Za-z0-9_]{1,64}(?:@[A-Za-z0-9_]{3,32})?(?![\w/]))"
    r"|(?P<email>[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,})"
    r"|(?P<mention>(?<!\w)@[A-Za-z][A-Za-z0-9_]{2,31}\b)"
)


def tidy(text: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    """Trim the text as Telegram does, keep entities inside it, and find links and commands."""
    text = text.translate(_CONTROLS)
    if not entities:  # entity offsets would move; a client never sends these with markup
        text = text.translate(_REMOVED)
    lead = len(text) - len(text.lstrip())
    shift = utf16_length(text[:lead])
    text = text.strip()
    end = utf16_length(text)
    kept = []
    for entity in entities:
        start = max(0, entity.offset - shift)
        stop = min(end, entity.offset + entity.length - shift)
        if stop > start:
            kept.append(Entity(entity.type, start, stop - start, entity.argument))
    return text, _with_found(text, kept)


def _with_found(text: str, entities: list[Entity]) -> list[Entity]:
    closed = [e for e in entities if e.type in {"code", "pre", "text_link", "text_mention"}]
    for found in _FOUND.finditer(text):
        start, size = utf16_length(text[: found.start()]), utf16_length(found.group())
        if not any(e.offset < start + size and start < e.offset + e.length for e in closed):
            entities.append(Entity(str(found.lastgroup), start, size))
    return sorted(entities, key=lambda e: (e.offset, -e.length, PRIORITY.get(e.type, 50)))
