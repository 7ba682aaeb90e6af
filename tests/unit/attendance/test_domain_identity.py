"""Normal forms: who is the same person, which is the same link."""

from __future__ import annotations

import pytest

from attendance.domain.identity import (
    alike,
    email_key,
    endpoint_mark,
    fits_mask,
    identity_mark,
    is_full_email,
    is_masked,
    meeting_code,
    name_key,
    phone_key,
)
from attendance.domain.kinds import IdentityKind


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        ("Rosa.Maro+class@GMail.com", "rosamaro@gmail.com"),
        ("rosa.maro@googlemail.com", "rosamaro@gmail.com"),
        (" Rosa.Maro@School.Example ", "rosa.maro@school.example"),
        ("rosa+tag@school.example", "rosa+tag@school.example"),
        ("+tag@gmail.com", "+tag@gmail.com"),
        ("ｒosa@school.example", "rosa@school.example"),
        ("rosa", ""),
        ("rosa@", ""),
        ("a@b@c", ""),
        ("r***@s***.com", ""),
        ("rosa maro@x.org", ""),
    ],
)
def test_the_normal_form_of_an_address(raw: str, key: str) -> None:
    assert email_key(raw) == key
    assert is_full_email(raw) == bool(key)


@pytest.mark.parametrize(
    ("mask", "email", "fits"),
    [
        ("li***@s***.com", "lisa@school.com", True),
        ("li***@s***.com", "rosa@school.com", False),
        ("rosam***@gmail.com", "rosa.maro@gmail.com", True),
        ("r?s[a]*@school.com", "rosa@school.com", False),
    ],
)
def test_a_masked_address_speaks_of_those_it_fits(mask: str, email: str, fits: bool) -> None:
    assert is_masked(mask)
    assert fits_mask(mask=mask, email=email) == fits


def test_a_plain_word_is_no_masked_address() -> None:
    assert not is_masked("guest")


@pytest.mark.parametrize("raw", ["WKTIMXIVUK", "wkt-imxi-vuk", " wkt imxi vuk "])
def test_a_meeting_code_has_one_form(raw: str) -> None:
    assert meeting_code(raw) == "wktimxivuk"


@pytest.mark.parametrize(
    ("raw", "key"),
    [("+49 (30) 123-456 78", "+493012345678"), ("030 1234567", ""), ("+49 *** 78", ""), ("+1", "")],
)
def test_only_a_whole_international_number_is_one(raw: str, key: str) -> None:
    assert phone_key(raw) == key


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        ("Rosa MARO [Student]", "maro rosa"),
        ("Maro,  Rosa (she/her)", "maro rosa"),
        ("O'Neil-Straße", "neil o strasse"),
        ("🙂", ""),
    ],
)
def test_a_name_has_one_form(raw: str, key: str) -> None:
    assert name_key(raw) == key


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("maro rosa", "mara rosa", False),
        ("benali katharina", "benali katarina", True),
        ("maro rosa", "zzzz qqqq", False),
        ("a", "abcdefghijk", False),
        ("abcdefghij", "jihgfedcba", False),
    ],
)
def test_names_that_differ_by_a_slip_are_alike(one: str, other: str, expected: bool) -> None:
    assert alike(one, other) == expected


@pytest.mark.parametrize(
    ("identifier", "kind", "name", "mark"),
    [
        ("Rosa.Maro@gmail.com", "email_address", "Rosa", "email:rosamaro@gmail.com"),
        ("Box-7", "device_id", "Room 1", "device:box-7"),
        ("+49 30 1234567", "phone_number", "", "phone:+49301234567"),
        ("li***@s***.com", "email_address", "Li Na", "masked_email:li***@s***.com|li na"),
        ("", "", "Rosa (phone)", "display_name:rosa"),
        ("", "", "", ""),
    ],
)
def test_the_mark_of_an_endpoint_is_the_surest_it_shows(
    identifier: str, kind: str, name: str, mark: str
) -> None:
    assert endpoint_mark(identifier=identifier, identifier_type=kind, display_name=name) == mark


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        (IdentityKind.EMAIL, "ann@example.com", ("ann@example.com", "email_address")),
        (IdentityKind.ALIAS, "ann@example.com", ("Ann@Example.com", "email_address")),
        (IdentityKind.PHONE, "+4915112345678", ("+49 1511 2345678", "phone_number")),
        (IdentityKind.DISPLAY_NAME, "ann lee", ("", "")),
    ],
)
def test_an_identity_and_an_endpoint_that_shows_it_bear_one_mark(
    kind: IdentityKind, value: str, shown: tuple[str, str]
) -> None:
    identifier, identifier_type = shown
    assert identity_mark(kind=kind, value=value) == endpoint_mark(
        identifier=identifier, identifier_type=identifier_type, display_name="Ann Lee"
    )
