"""What is sealed says nothing, is opened with the keys alone, and is found by its hash (P31)."""

from __future__ import annotations

import base64

import pytest

from config.sealed.box import Box, SealedError, words

OLD, NEW = (base64.urlsafe_b64encode(bytes([n]) * 32).decode() for n in (1, 2))
SECRET = ("a secret",)
AS = "learner.name"


def test_what_is_sealed_is_opened_and_shows_nothing() -> None:
    box = Box((NEW,), SECRET)
    one, two = box.seal("Rosa Maro", AS), box.seal("Rosa Maro", AS)

    assert one != two  # equal names cannot be told
    assert "rosa" not in one.lower()
    assert box.open(one, AS) == box.open(two, AS) == "Rosa Maro"
    assert (box.seal("", AS), box.open("", AS)) == ("", "")


def test_without_a_key_it_stands_there_marked_as_plain() -> None:
    off = Box((), SECRET)

    assert off.seal("plain:x", AS) == "plain:plain:x"
    assert off.open("plain:plain:x", AS) == "plain:x"
    assert Box((NEW,), SECRET).open("plain:Rosa", AS) == "Rosa"  # from before it was switched on


def test_an_older_key_still_opens_and_a_lost_one_is_named() -> None:
    sealed = Box((OLD,), SECRET).seal("Rosa", AS)

    assert Box((NEW, OLD), SECRET).open(sealed, AS) == "Rosa"
    for keys in ((NEW,), ()):
        with pytest.raises(SealedError, match=f"{sealed[:8]}, which is not in FIELD_ENCRYPTION"):
            Box(keys, SECRET).open(sealed, AS)


@pytest.mark.parametrize(
    "spoilt",
    [
        pytest.param(lambda text: f"{text[:-4]}AAAA", id="changed"),
        pytest.param(lambda text: text[:-8], id="cut"),
        pytest.param(lambda text: f"{text[:9]}é", id="no base64"),
        pytest.param(lambda text: text[:9], id="empty"),
    ],
)
def test_damage_is_told(spoilt: object) -> None:
    assert callable(spoilt)
    box = Box((NEW,), SECRET)
    with pytest.raises(SealedError, match=r"a value in learner\.name was damaged"):
        box.open(spoilt(box.seal("Rosa", AS)), AS)


def test_a_value_cannot_be_moved_to_another_column() -> None:
    box = Box((NEW,), SECRET)
    with pytest.raises(SealedError, match="moved"):
        box.open(box.seal("7", "chat.telegram_id"), AS)


def test_the_hash_outlives_every_change_of_keys_but_not_of_the_oldest_secret() -> None:
    first = Box((), ("first",)).hashed("7", "telegram")

    assert Box((NEW, OLD), ("first",)).hashed("7", "telegram") == first
    assert Box((NEW,), ("second", "first")).hashed("7", "telegram") == first
    assert Box((NEW,), ("second",)).hashed("7", "telegram") != first
    assert Box((), ("first",)).hashed("8", "telegram") != first
    assert Box((), ("first",)).hashed("7", "another") != first


@pytest.mark.parametrize(
    ("name", "sought", "found"),
    [
        ("Rosa García-Lind", "garc", True),
        ("Rosa García-Lind", "ROSA lin", True),
        ("Rosa García-Lind", "lind rosa garcía", True),
        ("Rosa García-Lind", "ro", True),
        ("Rosa García-Lind", "r", False),  # shorter than what is hashed
        ("Rosa García-Lind", "osa", False),  # in the middle of a word
        ("Rosa García-Lind", "rosa amir", False),
        ("Bo Å", "a bo", True),  # a whole word may be short
        ("王小明", "王", True),
        ("Анна", "а", True),
        ("Anna", "?!", False),
        ("", "anna", False),
    ],
)
def test_a_name_is_found_by_the_beginnings_of_its_words(
    name: str, sought: str, found: bool
) -> None:
    box = Box((NEW,), SECRET)
    assert set(box.sought(sought, "name")).issubset(box.hashed_words(name, "name")) is found


def test_a_whole_name_is_found_as_it_is_written_only() -> None:
    box = Box((), SECRET)
    hashes = box.hashed_words("Rosa Maro", "name")

    assert box.whole("Rosa Maro", "name")[0] in hashes
    assert box.whole("rosa maro", "name")[0] not in hashes
    assert words(" Maro,  ROSA [A1]") == ["maro", "rosa", "a1"]
