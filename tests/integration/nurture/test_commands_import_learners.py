"""Learners from a CSV: all lines or none, and never twice."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from attendance.management import importing
from attendance.models import Enrolment, Learner
from delivery.models import Chat, Consent
from delivery.services import has_consent, meet_chat, set_consent
from nurture.models import Contact

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HEADER = "email,name,timezone,telegram_chat_id,courses\n"


def _import(tmp_path: Path, content: str, *options: str) -> dict[str, Any]:
    file = tmp_path / "learners.csv"
    file.write_text(content, encoding="utf-8")
    out = StringIO()
    call_command("import_learners", str(file), "--json", *options, stdout=out)
    said: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    assert said.pop("dry_run") == ("--dry-run" in options)
    return said


def test_a_line_becomes_a_linked_consenting_learner_once(tmp_path: Path) -> None:
    """With a byte order mark, two courses, and twice in a row."""
    content = "\ufeff" + HEADER + "Rosa.Luz@gmail.com,Rosa Luz,Europe/Madrid,77,a@x; b@x\n"
    assert _import(tmp_path, content) == {"created": 1, "updated": 0, "unchanged": 0}
    assert _import(tmp_path, content) == {"created": 0, "updated": 0, "unchanged": 1}
    contact = Contact.objects.get()
    assert contact.learner.email == "Rosa.Luz@gmail.com"
    assert contact.time_zone == "Europe/Madrid"
    assert contact.chat is not None
    assert (contact.chat.telegram_id, contact.chat.reachability) == (77, "ok")
    assert has_consent(chat=contact.chat, category="")
    assert Enrolment.objects.count() == 2
    changed = content.replace("Rosa Luz", "Rosa Paz")
    assert _import(tmp_path, changed) == {"created": 0, "updated": 1, "unchanged": 0}


def test_two_columns_are_enough(tmp_path: Path) -> None:
    """The last three may be left out."""
    assert _import(tmp_path, "email,name\nana@example.com,Ana\n")["created"] == 1
    assert Contact.objects.get().chat is None


def test_a_spreadsheet_with_semicolons_is_read(tmp_path: Path) -> None:
    """As many save it; courses are in quotes there."""
    content = HEADER.replace(",", ";") + 'ana@x.org;"Luz; Ana";Europe/Madrid;77;"a@x;b@x"\n'
    assert _import(tmp_path, content) == {"created": 1, "updated": 0, "unchanged": 0}
    assert Learner.objects.get().name == "Luz; Ana"
    assert Enrolment.objects.count() == 2


def test_a_trial_says_what_would_change_and_changes_nothing(tmp_path: Path) -> None:
    content = HEADER + "ana@x.org,Ana,Europe/Madrid,77,a@x\n"
    assert _import(tmp_path, content, "--dry-run")["created"] == 1
    assert not Learner.objects.exists()
    assert not Chat.objects.exists()


def test_a_withdrawn_consent_stays_withdrawn(tmp_path: Path) -> None:
    """A file does not outvote /stop; a chat that only wrote once has said nothing yet."""
    for number, stopped in ((77, True), (78, False)):
        chat = meet_chat(telegram_id=number, now=NOW)
        if stopped:
            set_consent(chat=chat, category="", granted=False, source="stop", now=NOW)
    _import(tmp_path, HEADER + "ana@x.org,Ana,,77,\nbea@x.org,Bea,,78,\n")
    assert dict(Consent.objects.values_list("chat__telegram_id", "granted")) == {
        77: False,
        78: True,
    }


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (",Nobody,,,", "line 3: the e-mail address is missing"),
        ("b@x.org,,,,", "line 3: the name is missing"),
        ("nobody,Nobody,,,", "line 3: 'nobody' is not an e-mail address"),
        ("r.osa+x@gmail.com,Again,,,", "line 3: .* same address as in line 2"),
        ("b@x.org,Bea,Mars/North,,", "line 3: unknown time zone 'Mars/North'"),
        ("b@x.org,Bea,,seven,", "line 3: .*'seven' is not a whole number"),
        ("b@x.org,Bea,,0,", "line 3: .* out of range"),
        ("b@x.org,Bea,,77,", "line 3: .*77 is also in line 2"),
        ("b@x.org,Bea,,99,", "line 3: the chat 99 is linked to another learner"),
        ("c@x.org,Cleo,,98,", "line 3: this learner is linked to another chat"),
        ("b@x.org,Bea,,,,,more", "line 3: 7 cells"),
        (f"b@x.org,Bea,,,{'c' * 321}", "line 3: a calendar id in courses is longer than 320"),
        ("b@x.org,B\0a,,,", "line 3: it holds a zero character"),
    ],
)
def test_one_bad_line_refuses_the_file(tmp_path: Path, line: str, reason: str) -> None:
    """With its number and its reason; nothing of the good lines is kept."""
    _import(tmp_path, HEADER + "c@x.org,Cleo,,99,\n")
    with pytest.raises(CommandError, match=reason):
        _import(tmp_path, HEADER + "rosa@gmail.com,Rosa,,77,\n" + line + "\n")
    assert Learner.objects.count() == 1
    assert Chat.objects.count() == 1


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("email\n", "column name is missing"),
        ("", "column email is missing"),
        ("email,name,phone\n", "unknown column 'phone'"),
        ("email,name,name\n", "name is there twice"),
    ],
)
def test_a_wrong_header_is_named(tmp_path: Path, header: str, reason: str) -> None:
    """Before any line is read."""
    with pytest.raises(CommandError, match=reason):
        _import(tmp_path, header)


def test_a_file_that_is_too_large_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "MOST_BYTES", 100)

    with pytest.raises(CommandError, match="larger than 100 bytes"):
        _import(tmp_path, HEADER + "a@example.org,Rosa\n" * 9)
