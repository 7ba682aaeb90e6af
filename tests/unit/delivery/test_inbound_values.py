"""What a learner's press or text becomes before anybody looks at it (S05)."""

from __future__ import annotations

import pytest

from delivery.inbound import base36, callback_data, read_callback, split_command


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/start", ("start", "")),
        ("/Start@telbot_bot abc-_123", ("start", "abc-_123")),
        ("/status now please", ("status", "now please")),
        ("/stop\n", ("stop", "")),
        ("hello /start", ("", "")),
        ("/", ("", "")),
        ("", ("", "")),
        ("/a/b", ("", "")),
    ],
)
def test_commands(text: str, expected: tuple[str, str]) -> None:
    assert split_command(text) == expected


@pytest.mark.parametrize("number", [0, 1, 35, 36, 10**9, 2**63 - 1])
def test_button_data_come_back(number: int) -> None:
    data = callback_data(delivery_id=number, action="pledge_next")
    assert len(data.encode()) <= 64
    assert int(base36(number), 36) == number
    assert read_callback(data) == (number, "pledge_next")


@pytest.mark.parametrize("data", ["", "v1", "v1::x", "v2:1:x", "v1:-1:x", "v1:zzzzzzzzzzzzz:x"])
def test_foreign_data_carry_no_delivery(data: str) -> None:
    assert read_callback(data) == (None, data)


@pytest.mark.parametrize("action", ["", "x" * 61, "é" * 31])
def test_what_does_not_fit_is_refused(action: str) -> None:
    with pytest.raises(ValueError, match="button"):
        callback_data(delivery_id=1, action=action)
