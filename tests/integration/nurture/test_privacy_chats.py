"""Erasure reaches what lies in chats that no row of the learner's leads to any more (P31)."""

from __future__ import annotations

import pytest

from delivery import services
from delivery.models import Chat
from nurture.models import Contact
from nurture.services import links, privacy, stored
from tests.factories import nurture as make
from tests.factories.delivery import make_delivery
from tests.factories.privacy import CHAT, NOW

pytestmark = pytest.mark.django_db


def test_a_chat_that_got_nothing_but_answers_before_it_was_unlinked_is_theirs_too() -> None:
    """Somebody linked a chat, asked the bot, and has another one since."""
    ben = make.make_contact(name="Ben Lind", linked=False).learner
    old = Chat.objects.create(telegram_id=CHAT + 5)
    asked = links.open_link(token=links.create(learner=ben, now=NOW), chat=old, now=NOW)
    assert isinstance(asked, links.AskIsThisYou)
    links.confirm(chat=old, link_id=asked.link_id, yes=True, now=NOW)
    answer = make_delivery(chat=old, text="You are Ben Lind.", category="own_data")
    Contact.objects.filter(learner=ben).update(chat=None)
    assert [row["id"] for row in stored.stored_about(learner=ben)["chats"]] == [CHAT + 5]

    privacy.erase(learner=ben, now=NOW)

    answer.refresh_from_db()
    old.refresh_from_db()
    assert (answer.text, old.reachability) == ("", "gone")


def test_what_staff_tried_out_as_they_would_read_it_is_emptied() -> None:
    """A test goes to a chat of staff; only its words tell as whom it was looked at (P22)."""
    ben = make.make_contact(name="Ben O'Lind").learner
    texts = ("Hi Ben, we missed you.", "Dear Mr O&#39;LIND!", "Hi Benita, we missed you.")
    tests = [make_delivery(text=text, is_test=True) for text in texts]
    answer = make_delivery(text="Ben Nevis is a mountain.")
    # What a dry run would say to another Ben; staff may still let it go out to him.
    pretended = make_delivery(text=texts[0], is_test=True, stream=services.dry_stream("missed"))

    privacy.erase(learner=ben, now=NOW)

    for row in (*tests, answer, pretended):
        row.refresh_from_db()
    assert [row.text for row in tests] == ["", "", texts[2]]
    assert answer.text
    assert (pretended.text, pretended.status) == (texts[0], "pending")
