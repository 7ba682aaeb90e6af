"""The editor of drafts, as a browser without scripts uses it (P22, P28, P29, P30)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse
from django.utils.datastructures import MultiValueDict

import delivery.tasks
from delivery.inbound import InboundMessage
from delivery.models import Chat, Delivery
from nurture import services
from nurture.admin.editor.document import state_of
from nurture.admin.editor.state import fields_of
from nurture.inbound import handle
from nurture.models import Journey, Sequence, StaffChat
from nurture.services import trying
from nurture.services.roles import set_up_roles
from tests.factories import nurture as make
from tests.factories.delivery import make_chat
from tests.unit.nurture.test_editor_document import EVERY_KEY

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def bells(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    rung: list[str] = []
    monkeypatch.setattr(delivery.tasks, "ring", lambda: rung.append("rung"))
    return rung


@pytest.fixture
def client_of(client: Client) -> Callable[[str], Client]:
    def make_client(role: str) -> Client:
        set_up_roles()
        user, _ = User.objects.get_or_create(username=role, defaults={"is_staff": True})
        user.groups.set([Group.objects.get(name=role)])
        client.force_login(user)
        return client

    return make_client


def address(sequence: Sequence) -> str:
    return reverse("admin:nurture_sequence_edit", args=[sequence.pk])


def form_of(sequence: Sequence) -> MultiValueDict[str, str]:
    """What the page holds."""
    version = sequence.draft_version or sequence.published_version
    assert version is not None
    return fields_of(state_of(version.source) | {"checksum": version.checksum})


def send(client: Client, sequence: Sequence, fields: MultiValueDict[str, str], do: str) -> Any:
    data = {name: fields.getlist(name) for name in fields} | {"do": do}
    return client.post(address(sequence), data)


def test_an_author_saves_a_draft(client_of: Callable[[str], Client]) -> None:
    sequence, client = make.make_sequence(), client_of("author")
    fields = form_of(sequence)
    fields["steps.1.text"] = "Where were you,\r\n{{ first_name | default: 'you' }}?"

    answer = send(client, sequence, fields, "save")

    assert answer.status_code == 302
    sequence.refresh_from_db()
    draft = sequence.draft_version
    assert draft is not None
    assert draft.number == 2
    assert draft.created_by is not None
    assert draft.created_by.username == "author"
    text = draft.steps.get().text
    assert text == "Where were you,\n{{ first_name | default: 'you' }}?"
    page = client.get(answer.url).content.decode()
    assert "unpublished changes" in page
    assert "Where were you," in page


def test_a_long_sequence_is_written_in_the_editor_too(client_of: Callable[[str], Client]) -> None:
    """The page posts every field of every step."""
    step = "  - {{key: day{}, wait: {{after: 1d}}, expires: 24h, text: 'Day {}.'}}\n"
    days = "".join(step.format(day, day) for day in range(1, 41))
    sequence = make.make_sequence(make.PLAIN.partition("steps:")[0] + "steps:\n" + days)
    client = client_of("author")
    page = client.get(address(sequence)).content.decode()
    names = dict.fromkeys(re.findall(r'<(?:input|select|textarea)[^>]* name="([^"]+)"', page), "")
    fields = MultiValueDict({name: [value] for name, value in names.items()})
    fields.update(form_of(sequence))  # as it stands, with the empty fields between
    fields["steps.40.text"] = "The last day."

    assert len(fields) > 1000
    assert send(client, sequence, fields, "save").status_code == 302
    sequence.refresh_from_db()
    assert sequence.draft_version is not None
    assert sequence.draft_version.steps.get(key="day40").text == "The last day."


def test_every_key_is_in_the_page(client_of: Callable[[str], Client]) -> None:
    """Nothing of a file is left out of the page."""
    sequence, client = make.make_sequence(EVERY_KEY), client_of("author")
    page = client.get(address(sequence)).content.decode()
    missing = [name for name in form_of(sequence) if f'name="{name}"' not in page]
    assert missing == ["sequence"]  # which is the row itself


def test_problems_stand_at_their_fields_and_nothing_is_saved(
    client_of: Callable[[str], Client],
) -> None:
    sequence, client = make.make_sequence(), client_of("author")
    fields = form_of(sequence)
    fields["steps.1.text"] = "<b>Hi {{ nobody }}"
    fields["priority"] = "first"

    page = send(client, sequence, fields, "save").content.decode()

    assert "2 things to put right" in page
    assert 'href="#id_steps.1.text"' in page
    assert 'href="#id_priority"' in page
    assert "unknown variable &#x27;nobody&#x27;" in page
    assert "&lt;b&gt;Hi {{ nobody }}" in page  # what was typed is still there
    sequence.refresh_from_db()
    assert sequence.draft_version is None


def test_the_second_of_two_editors_loses_nothing(client_of: Callable[[str], Client]) -> None:
    """P29: refused with what differs; and saved in its place when they say so."""
    sequence, client = make.make_sequence(), client_of("author")
    mine = form_of(sequence)
    mine["steps.1.text"] = "Mine."
    ben = User.objects.create_user("ben")
    theirs = services.save_draft(
        sequence=sequence, source=make.PLAIN.replace("we missed you", "where were you"),
        expected_checksum=str(mine["checksum"]), by=ben, now=make.NOW,
    )  # fmt: skip

    page = send(client, sequence, mine, "save").content.decode()
    sequence.refresh_from_db()
    assert sequence.draft_version == theirs
    assert "ben saved this sequence while you wrote" in page
    assert "where were you" in page
    assert ">\nMine.</textarea>" in page

    mine["theirs"] = theirs.checksum
    assert send(client, sequence, mine, "over").status_code == 302
    sequence.refresh_from_db()
    assert sequence.draft_version is not None
    assert sequence.draft_version.steps.get().text == "Mine."


def test_rows_change_without_a_script_and_without_saving(
    client_of: Callable[[str], Client],
) -> None:
    sequence, client = make.make_sequence(EVERY_KEY), client_of("author")
    page = send(client, sequence, form_of(sequence), "down steps.1").content.decode()
    assert "hello is number 2 of 8 now." in page
    assert page.index('data-path="steps.2"') < page.index('data-path="steps.1"')
    page = send(client, sequence, form_of(sequence), "remove steps.1").content.decode()
    assert "hello is taken out when you save." in page
    assert 'name="steps.1.buttons.1.row.2.action" value="https://x.org/?a=1"' in page
    sequence.refresh_from_db()
    assert sequence.draft_version is None


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_who_may_not_edit_reads(role: str, client_of: Callable[[str], Client]) -> None:
    sequence, client = make.make_sequence(), client_of(role)
    page = client.get(address(sequence)).content.decode()
    assert "we missed you in" in page
    assert "data-save" not in page
    assert send(client, sequence, form_of(sequence), "save").status_code == 403
    assert client.get(reverse("admin:nurture_sequence_new")).status_code == 403


@pytest.mark.parametrize("like", ["", "file:two-missed", "row"])
def test_a_sequence_begins(like: str, client_of: Callable[[str], Client]) -> None:
    sequence, client = make.make_sequence(), client_of("author")
    url = reverse("admin:nurture_sequence_new")
    assert "A copy of We missed you" in client.get(url).content.decode()
    asked = {"name": "Spring", "slug": "spring", "like": like}
    if like == "row":
        asked["like"] = f"row:{sequence.pk}"

    answer: Any = client.post(url, asked)

    made = Sequence.objects.get(slug="spring")
    assert answer.url == address(made)
    assert (made.name, made.published_version) == ("Spring", None)
    assert "put right" not in client.get(answer.url).content.decode()
    again = client.post(url, asked).content.decode()
    assert "There is a sequence &#x27;spring&#x27; already" in again


def test_a_sequence_does_not_begin_without_a_name(client_of: Callable[[str], Client]) -> None:
    client = client_of("author")
    url = reverse("admin:nurture_sequence_new")
    page = client.post(url, {"name": " ", "slug": "No!", "like": "file:../x"}).content.decode()
    assert "Give it a name." in page
    assert "Choose what it begins like." in page
    assert not Sequence.objects.exists()


def test_a_message_is_seen_as_a_learner_reads_it(client_of: Callable[[str], Client]) -> None:
    """P22: as personas whose names make trouble, and as a learner there is."""
    client = client_of("author")
    sequence = make.make_sequence(make.PLAIN.replace("Hi {{", "<b>Hi</b> {{"))
    make.make_fact(contact=make.make_contact(name="Lale <Öz>"))
    fields = form_of(sequence)

    def seen(**look: str) -> str:
        fields.update({f"look.{name}": value for name, value in look.items()})
        return str(send(client, sequence, fields, "look").content.decode())

    assert "<b>Hi</b> Rosa, we missed you" in seen()
    assert "<b>Hi</b> there, we missed you" in seen(persona="nameless")
    assert "<b>Hi</b> ليلى, we missed you" in seen(persona="rtl")
    page = seen(learner="lale")
    assert "As Lale &lt;Öz&gt; reads it." in page
    assert "<b>Hi</b> Lale, we missed you in Lesson 4." in page
    assert "No learner has this name or address." in seen(learner="nobody")
    fields["steps.1.text"] = "Hi {{ next_session_title }}."
    assert "next_session_title is not known" in seen(persona="nameless", learner="")
    fields["steps.1.text"] = "😀" * 10
    assert "20 of 4096 characters" in seen()


def link_chat(name: str) -> StaffChat:
    user, _ = User.objects.get_or_create(username=name, defaults={"is_staff": True})
    user.is_staff = True
    user.save()
    token = trying.offer_link(user=user, now=make.NOW)
    assert trying.follow_link(token=token, chat=make_chat(), now=make.NOW)
    return StaffChat.objects.get(user=user)


def test_a_test_goes_to_a_chat_of_staff_and_counts_nowhere(
    client_of: Callable[[str], Client], bells: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    """P22: what is typed, not what is saved; marked, without cap, window or journey."""
    sequence, client = make.make_sequence(), client_of("author")
    to = link_chat("author")
    fields = form_of(sequence)
    fields["steps.1.text"] = "Hello {{ first_name }}."
    fields["look.chat"] = str(to.pk)

    with django_capture_on_commit_callbacks(execute=True):
        first = send(client, sequence, fields, "test").content.decode()
        send(client, sequence, fields, "test")

    assert "on its way" in first
    rows = Delivery.objects.filter(chat=to.chat)
    assert {(row.text, row.is_test, row.stream_id, row.cap_per_day) for row in rows} == {
        ("Hello Rosa.", True, "stream:", None)
    }
    assert len(rows) == 2  # no two tests are one
    assert len(bells) == 2
    assert not Journey.objects.exists()
    row = rows.order_by("pk")[0]
    make.settle(row, at=make.NOW)
    fields["look.test"] = str(row.pk)
    assert ">sent<" in send(client, sequence, fields, "look").content.decode()


def test_a_test_is_for_chats_of_staff_only(client_of: Callable[[str], Client]) -> None:
    sequence, client = make.make_sequence(), client_of("author")
    contact = make.make_contact()
    fields = form_of(sequence)
    fields["look.chat"] = str(contact.chat_id)
    assert "Choose a chat of staff" in send(client, sequence, fields, "test").content.decode()
    left = link_chat("left")
    User.objects.filter(pk=left.user_id).update(is_active=False)
    fields["look.chat"] = str(left.pk)
    assert "Choose a chat of staff" in send(client, sequence, fields, "test").content.decode()
    assert not Delivery.objects.exists()


def test_staff_link_their_own_chat_once(client_of: Callable[[str], Client]) -> None:
    sequence, client = make.make_sequence(), client_of("author")
    page = send(client, sequence, form_of(sequence), "link").content.decode()
    token = page.partition("/start ")[2].partition("<")[0]
    mine, other = make_chat(), make_chat()
    now = StaffChat.objects.get().expires_at - trying.LIFE

    assert token.startswith(trying.PREFIX)
    assert token not in StaffChat.objects.get().token_hash
    assert not trying.follow_link(token=token, chat=mine, now=now + trying.LIFE)
    assert trying.follow_link(token=token, chat=mine, now=now)
    assert trying.follow_link(token=token, chat=mine, now=now)  # safe to run twice
    assert not trying.follow_link(token=token, chat=other, now=now)
    assert [row.chat for row in trying.staff_chats()] == [Chat.objects.get(pk=mine.pk)]


def test_the_bot_answers_who_links_a_chat_of_staff() -> None:
    user = User.objects.create_user("ann", is_staff=True)
    token = trying.offer_link(user=user, now=make.NOW)

    def start(chat: Chat) -> str:
        said = InboundMessage(
            update_id=1, chat_id=chat.telegram_id, user_id=chat.telegram_id, first_name="Ann",
            language_code="en", text=f"/start {token}", command="start", argument=token,
        )  # fmt: skip
        return handle(said, now=make.NOW)[0].text

    assert "Tests of messages can be sent to this chat now." in start(make_chat())
    assert "This link cannot be used any more." in start(make_chat())
    assert "This link cannot be used any more." in start(make.make_contact().chat or make_chat())
