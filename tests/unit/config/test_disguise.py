"""The same for the same, and nothing of what it was (S09)."""

from __future__ import annotations

from typing import Any

import pytest

from attendance.domain.identity import email_key, name_key, phone_key
from attendance.models import Learner
from config.backups.anonymise import _opened
from config.backups.disguise import Disguise

ONE, OTHER = Disguise(b"one"), Disguise(b"other")


@pytest.mark.parametrize(
    ("way", "value", "same"),
    [
        ("address", "Rosa.Maro+x@Gmail.com", "rosamaro@gmail.com"),
        ("identity", "Rosa.Maro@gmail.com", "rosamaro@gmail.com"),
        ("name", "Rosa MARO", "maro, rosa"),
        ("identity", "rosa maro", "maro rosa"),
        ("identity", "+49 30 123456", "+4930123456"),
        ("mark", "display_name:rosa maro", "display_name:maro rosa"),
    ],
)
def test_all_spellings_get_the_same(way: str, value: str, same: str) -> None:
    found = getattr(ONE, way)(value)

    assert found == getattr(ONE, way)(same)
    assert found != getattr(OTHER, way)(value)
    assert "rosa" not in found.lower()


def test_made_up_values_are_of_the_same_kind() -> None:
    """What was a normal form is one, and marks fit the identities that they show."""
    address, name = ONE.address("rosa@x.org"), ONE.name("Rosa Maro")

    assert email_key(address) == address
    assert phone_key(ONE.phone("+4930123456"))
    assert ONE.digits("90071992547").isdigit()
    assert ONE.mark("email:rosa@x.org") == f"email:{address}"
    assert ONE.mark("display_name:maro rosa") == f"display_name:{name_key(name)}"
    assert ONE.mark("device:Room 7").startswith("device:x")
    assert "rosa" not in ONE.mark("masked_email:ro***@x.org|rosa maro")
    assert "rosa" not in ONE.identity("ro***@rosa.org")
    assert ONE.mark("rosa").startswith("x")
    assert int(ONE.number("7000123456")) > 1 << 60
    assert ONE.uuid("a") == ONE.uuid("a") != ONE.uuid("b")


@pytest.mark.parametrize(
    ("way", "value", "becomes"),
    [
        ("number", "0", "0"),
        ("address", "erased-17", "erased-17"),
        ("address", "", ""),
        ("name", "", ""),
        ("staff", "telbot", "telbot"),
        ("calendar", "any", "any"),
        ("json", '{"rosa": 1}', "{}"),
        ("json", '["rosa"]', "[]"),
        ("json", '"rosa"', "null"),
        ("text", "Hi Rosa", "xxxxxxx"),
        ("locked", "argon2$…", "!"),
        ("nothing", "Rosa", ""),
        ("coded", "journey:7:hello-rosa:1", "journey:7:hello-rosa:1"),
        ("coded", "missed:3:9:20260303T170000.5Z", "missed:3:9:20260303T170000.5Z"),
        ("coded", "learner", "learner"),
    ],
)
def test_what_says_nothing_stays_and_what_said_something_is_empty(
    way: str, value: str, becomes: str
) -> None:
    assert getattr(ONE, way)(value) == becomes


def test_keys_that_are_not_ours_and_addresses_in_texts_go() -> None:
    assert ONE.coded("rosa:3").startswith("x")
    assert ONE.coded("guest:display_name:rosa").startswith("x")
    said = ONE.prose("course: rosa@x.org # <b>x</b>\nto: any")
    assert said == f"course: {ONE.address('rosa@x.org')} # <b>x</b>\nto: any"
    assert ONE.addresses('["rosa@x.org"]') == f'["{ONE.address("rosa@x.org")}"]'


def test_what_is_sealed_is_opened_first_and_left_open() -> None:
    """A column sealed with production's key would be noise in staging."""
    sealed: Any = Learner._meta.get_field("name")

    assert _opened(sealed, ONE.name)("plain:Rosa Maro") == f"plain:{ONE.name('Rosa Maro')}"
    assert _opened(sealed, ONE.name)("") == ""
