"""Changing what the bot says, and going back to what it said by itself."""

from __future__ import annotations

from datetime import datetime

from nurture import voice
from nurture.models import BotText
from nurture.words import WORDS


class BotTextError(ValueError):
    """A text cannot be used; nothing was changed. `problems`: one line of words for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def change(*, key: str, language: str, text: str, by: str, now: datetime) -> BotText | None:
    """Let the bot say `text`; None where that is the default. Safe to run twice.

    Line ends become \\n. Raises BotTextError where the learner would get something broken.
    """
    text = text.replace("\r\n", "\n").strip()
    if found := voice.problems(key=key, language=language, text=text):
        raise BotTextError(found)
    if text == WORDS[language][key]:
        restore(key=key, language=language)
        return None
    row, _ = BotText.objects.update_or_create(
        key=key,
        language=language,
        defaults={"text": text, "changed_at": now, "changed_by": by},
    )
    return row


def restore(*, key: str, language: str) -> bool:
    """Let the bot say the default again; return whether it was changed. Safe to run twice."""
    return bool(BotText.objects.filter(key=key, language=language).delete()[0])
