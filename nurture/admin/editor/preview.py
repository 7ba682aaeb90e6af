"""How a message reads: for a learner there is, or for those whose names make trouble (P22)."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser

from django.utils.safestring import SafeString, mark_safe

from nurture import markup, texts
from nurture.domain.sequence import Step

#: Telegram counts UTF-16 units after the markup is taken away.
MOST_UNITS = 4096
_FIRST = {**texts.SAMPLE}
PERSONAS: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "rosa": ("Rosa, who has everything", _FIRST),
    "nameless": (
        "somebody without a name or a next class",
        {
            name: value
            for name, value in _FIRST.items()
            if name not in {"first_name", "last_name"} and not name.startswith("next_session")
        },
    ),
    "long": (
        "somebody with a very long name",
        {**_FIRST, "first_name": "Wolfeschlegelsteinhausenbergerdorff" * 2, "last_name": "Q" * 80},
    ),
    "rtl": ("a name from right to left", {**_FIRST, "first_name": "ليلى", "last_name": "حداد"}),
    "emoji": ("a name of emoji", {**_FIRST, "first_name": "🦋👩‍👩‍👧‍👦", "last_name": "<3 & co"}),
}


@dataclass(frozen=True, kw_only=True)
class Preview:
    """One message as its reader would see it; `problem` where there is nothing to see."""

    who: str
    text: str = ""  # safe for a page
    source: str = ""  # as it is handed to Telegram
    problem: str = ""
    units: int = 0
    buttons: Sequence[Sequence[str]] = field(default_factory=tuple)

    @property
    def too_long(self) -> bool:
        """Whether Telegram would refuse its length."""
        return self.units > MOST_UNITS


def preview(step: Step, *, text: str, who: str, variables: Mapping[str, object]) -> Preview:
    """A message rendered with the renderer that sends use."""
    buttons = [[words for words, _ in row] for row in step.buttons]
    try:
        rendered = texts.render(text, variables)
    except texts.MissingVariable as missing:
        said = f"Nothing is sent to them: {missing} is not known, and the text has no default."
        return Preview(who=who, problem=said, buttons=buttons)
    except texts.TextError as refused:
        return Preview(who=who, problem=f"{refused}.", buttons=buttons)
    units = len(markup.plain(rendered).encode("utf-16-le")) // 2
    return Preview(who=who, text=shown(rendered), source=rendered, units=units, buttons=buttons)


def shown(rendered: str) -> SafeString:
    """A text of Telegram's tags for a page of ours.

    Written anew from the tags and attributes that we know, so that a browser cannot read more in
    it than our reader did.
    """
    writer = _Writer()
    writer.feed(rendered)
    writer.close()
    return mark_safe("".join(writer.parts))  # noqa: S308 - nothing but known tags, see above


class _Writer(HTMLParser):
    """Telegram's tags, and everything else as text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An opening tag, if it is one of Telegram's."""
        said = dict(attrs)
        if tag == "a" and str(said.get("href")).startswith(("http://", "https://", "mailto:")):
            href = html.escape(str(said["href"]))
            self.parts.append(f'<a href="{href}" rel="noreferrer noopener" target="_blank">')
        elif tag == "a":
            self.parts.append("<a>")
        elif tag in _TAGS:
            self.parts.append(f"<{_TAGS[tag]}>")

    def handle_endtag(self, tag: str) -> None:
        """A closing tag."""
        if tag == "a" or tag in _TAGS:
            self.parts.append(f"</{_TAGS.get(tag, 'a')}>")

    def handle_data(self, data: str) -> None:
        """Text."""
        self.parts.append(html.escape(data))


_PLAIN = ("b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "pre", "code", "blockquote")
_TAGS = {name: name for name in _PLAIN} | {"tg-spoiler": "tg-spoiler", "span": "tg-spoiler"}
