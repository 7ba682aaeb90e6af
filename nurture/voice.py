"""What the bot says: the words of words.py, or what staff put in their place.

The defaults stay in code; a row of BotText is one changed text. A row whose slots no longer fit
its default, since telbot was updated, counts for nothing until somebody mends it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from nurture import markup
from nurture.models import BotText
from nurture.words import BUTTONS, DEFAULT, PARTS, WORDS, fill, listed, slots

MOST_UNITS = 4096  # UTF-16, as Telegram's clients count
MOST_LABEL = 40  # characters of a button; more is cut off on a phone
MOST_COMMAND = 256  # https://core.telegram.org/bots/api#botcommand
#: Slots that a text may leave out; the others carry what somebody asked for.
OPTIONAL = frozenset({"name"})
# What may stand in a slot at its longest, and at its worst.
_SAMPLES = ("x" * 300, "\"'<b>&{when}")


class Voice:
    """The bot's words for one update: what staff changed is read once, when first needed."""

    @cached_property
    def _changed(self) -> Mapping[tuple[str, str], str]:
        rows = BotText.objects.values_list("language", "key", "text")
        return {(language, key): text for language, key, text in rows if fits(key, language, text)}

    def say(self, key: str, language: str, /, **values: object) -> str:
        """A text of the bot's; what is put in is escaped for HTML."""
        return fill(self._changed.get((language, key), WORDS[language][key]), **values)


def fits(key: str, language: str, text: str) -> bool:
    """Whether a text has the slots that its default asks for, and no others."""
    known = set(slots(WORDS.get(language, {}).get(key, "")))
    return known - OPTIONAL <= set(slots(text)) <= known


def problems(*, key: str, language: str, text: str) -> list[str]:
    """What is wrong with a text of staff's, in words for people; empty if nothing is."""
    default = WORDS[language][key]
    known, given = set(slots(default)), set(slots(text))
    found = [f"{{{name}}} is not known here" for name in sorted(given - known)]
    found += [f"{{{name}}} is missing" for name in sorted(known - given - OPTIONAL)]
    if found or not text.strip():
        return found or ["the text is empty"]
    if key in BUTTONS | PARTS:
        found += _label_problems(text, button=key in BUTTONS)
    else:
        filled = (fill(text, **dict.fromkeys(known, sample)) for sample in _SAMPLES)
        found += dict.fromkeys(problem for one in filled for problem in markup.problems(one))
    if len(text.encode("utf-16-le")) // 2 > MOST_UNITS:
        found.append(f"the text is longer than {MOST_UNITS} characters")
    return found + (_menu_problems(text, default) if key == "help" else [])


def _label_problems(text: str, *, button: bool) -> list[str]:
    found = []
    if set(text) & set("<>&\n\r"):
        found.append("this stands on a button or in a sentence: one line without <, > and &")
    if button and len(text) > MOST_LABEL:
        found.append(f"a button has at most {MOST_LABEL} characters")
    return found


def _menu_problems(text: str, default: str) -> list[str]:
    """The help is the menu as well, so each of its lines that begins with / must be a command."""
    given, known = listed(text), {name for name, _ in listed(default)}
    found = [f"/{name} is no command" for name, _ in given if name not in known]
    found += [
        f"/{name}: write “/{name} – what it does” in at most {MOST_COMMAND} characters"
        for name, does in given
        if not 0 < len(does) <= MOST_COMMAND
    ]
    return found if given else ["the help lists no command: “/status – what is next for you”"]


def commands() -> dict[str, list[tuple[str, str]]]:
    """The bot's menu as its help lists it: language → command and what it does; "" for others."""
    voice = Voice()
    menus = {language: listed(voice.say("help", language)) for language in WORDS}
    return {"": menus[DEFAULT], **menus}
