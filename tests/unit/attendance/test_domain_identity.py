"""Normal forms: who is the same person, which is the same link."""

from __future__ import annotations

import pytest

from attendance.domain.identity import (
    email_key,
    fits_mask,
    is_full_email,
    is_masked,
    meeting_code,
)


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
