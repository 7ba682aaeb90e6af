"""The bot says the same things in each of its languages."""

from __future__ import annotations

import pytest

from nurture.words import BUTTONS, PARTS, WORDS, fill, language, slots


@pytest.mark.parametrize("code", sorted(WORDS))
def test_every_language_has_every_sentence_with_the_same_slots(code: str) -> None:
    """A missing sentence would be a KeyError in front of a learner."""
    english = WORDS["en"]
    assert set(WORDS[code]) == set(english)
    assert set(english) > BUTTONS | PARTS
    assert {key: set(slots(text)) for key, text in WORDS[code].items()} == {
        key: set(slots(text)) for key, text in english.items()
    }


def test_what_is_put_in_cannot_be_markup() -> None:
    """A learner may be called anything."""
    assert "&lt;b&gt;" in fill(WORDS["en"]["is_this_you"], name="<b>")


@pytest.mark.parametrize(
    ("codes", "expected"),
    [(("", "es-MX"), "es"), (("en", "es"), "en"), (("fr", "ES"), "es"), (("", ""), "en")],
)
def test_language_is_the_contacts_then_telegrams(codes: tuple[str, ...], expected: str) -> None:
    """The first one that the bot speaks."""
    assert language(*codes) == expected
