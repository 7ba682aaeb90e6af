"""Telegram's HTML: which tags it takes, and what is wrong with a text that uses others.

https://core.telegram.org/bots/api#html-style. Only `<` is dangerous; `&nbsp;` and its kin are not
known to Telegram and would be shown as they are written.
"""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

MAX_LENGTH = 4096  # code points after the markup is taken away
MAX_RAW_BYTES = 32_768

_PLAIN = frozenset(
    {"b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "tg-spoiler", "pre", "code"}
)
_LINKS = re.compile(r"(https?://|tg://|mailto:)\S+\Z")
_LANGUAGE = re.compile(r"language-[\w+#.-]+\Z")
_ENTITY = re.compile(r"&([a-zA-Z]+);")
_KNOWN_ENTITIES = frozenset({"lt", "gt", "amp", "quot"})


def problems(text: str) -> list[str]:
    """What Telegram would refuse in `text`, or not show as it was meant; empty if nothing."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    found = list(reader.problems)
    found += [f"<{tag}> is never closed" for tag in reader.open]
    found += [
        f"&{name}; is not known to Telegram"
        for name in dict.fromkeys(_ENTITY.findall(text))
        if name not in _KNOWN_ENTITIES
    ]
    if not reader.plain.strip():
        found.append("the text is empty")
    if len(reader.plain) > MAX_LENGTH:
        found.append(f"the text has {len(reader.plain)} characters, {MAX_LENGTH} are allowed")
    if len(text.encode()) > MAX_RAW_BYTES:
        found.append("the text with its markup is too long")
    return found


def plain(text: str) -> str:
    """What a text says without its markup."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    return reader.plain


class _Reader(HTMLParser):
    """Follows the tags of a text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.open: list[str] = []
        self.problems: list[str] = []
        self.plain = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An opening tag."""
        if why := _refusal(tag, dict(attrs)):
            self.problems.append(why)
        else:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag that closes itself; Telegram has none."""
        self.problems.append(f"<{tag}/> is not one of Telegram's tags")

    def handle_endtag(self, tag: str) -> None:
        """A closing tag."""
        if self.open and self.open[-1] == tag:
            self.open.pop()
        else:
            self.problems.append(f"</{tag}> closes nothing that is open")

    def handle_data(self, data: str) -> None:
        """Text. A stray < would be read as the beginning of a tag."""
        self.plain += data
        if "<" in data:
            self.problems.append("write &lt; for a < that begins no tag")

    def handle_entityref(self, name: str) -> None:
        """A named character."""
        self.plain += html.unescape(f"&{name};")

    def handle_charref(self, name: str) -> None:
        """A numbered character."""
        self.plain += html.unescape(f"&#{name};")

    def handle_comment(self, data: str) -> None:
        """A comment."""
        self.problems.append("Telegram knows no comments")

    def handle_decl(self, decl: str) -> None:
        """A declaration."""
        self.problems.append("Telegram knows no declarations")


def _refusal(tag: str, attrs: dict[str, str | None]) -> str:
    """Why Telegram would refuse an opening tag; empty if it would not."""
    allowed: dict[str, bool] = {
        "a": set(attrs) == {"href"} and bool(_LINKS.match(attrs.get("href") or "")),
        "span": attrs == {"class": "tg-spoiler"},
        "blockquote": set(attrs) <= {"expandable"},
        "tg-emoji": set(attrs) == {"emoji-id"},
        "code": not attrs
        or (set(attrs) == {"class"} and bool(_LANGUAGE.match(attrs.get("class") or ""))),
    }
    if tag in allowed:
        return "" if allowed[tag] else f"<{tag}> has an attribute that Telegram refuses"
    if tag in _PLAIN:
        return f"<{tag}> takes no attributes" if attrs else ""
    return f"<{tag}> is not one of Telegram's tags"
