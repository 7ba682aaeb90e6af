"""Nothing is left of who was erased but numbers, and nobody brings them back (P31)."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse

from attendance import selectors as attendance_selectors
from attendance import services as attendance
from attendance.models import Endpoint, Learner, ReviewItem
from attendance.services import review
from attendance.services.answers import ReviewError
from config.audit import examine
from config.sealed import stock
from delivery import selectors as delivery_selectors
from delivery import services as delivery
from delivery.models import Chat, Delivery, InboundUpdate
from nurture import services
from nurture.models import Contact, Decision, Journey
from nurture.services import contacts, privacy, stored
from nurture.voice import Voice
from nurture.words import WORDS as BOT_WORDS
from tests.factories import nurture as make
from tests.factories.privacy import (
    CALENDAR,
    CHAT,
    CSV,
    EMAIL,
    NOW,
    WORDS,
    event,
    found,
    hear,
    make_rosa,
    plan,
    read,
    records,
    text_columns,
    totals,
    update,
)

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
LATER = NOW + HOUR
#: Tables that have something of her before, so that to find nothing afterwards means something.
FILLED = {
    "attendance_activity", "attendance_classsession", "attendance_conference",
    "attendance_endpoint", "attendance_learner", "attendance_learneridentity",
    "attendance_outcome", "attendance_reviewitem", "delivery_attempt", "delivery_chat",
    "delivery_inboundupdate", "django_admin_log", "nurture_contact", "nurture_contacttag",
    "nurture_deliveries", "delivery_archive", "nurture_stafftask", "attendance_outsider",
}  # fmt: skip
#: What is not about her: the sequence that says "Rosa" of itself.
NOT_HERS = {"nurture_messages", "nurture_sequenceedit", "nurture_sequenceversion"}


@pytest.fixture
def rosa() -> Learner:
    return make_rosa()


@pytest.mark.parametrize("keys", [(), ("A" * 43 + "=",)], ids=["readable", "sealed"])
def test_nothing_personal_is_left_in_any_column_and_the_totals_stay(
    settings: Any, keys: tuple[str, ...]
) -> None:
    settings.FIELD_ENCRYPTION_KEY = keys
    rosa = make_rosa()
    before, amirs = totals(), found("amir")
    assert set(found(*WORDS)) - NOT_HERS == FILLED

    done = privacy.erase(learner=rosa, now=LATER)

    assert set(found(*WORDS)) - NOT_HERS == set()
    assert totals() == before
    assert found("amir") == amirs
    assert done.rows["deliveries"] > 2
    assert not attendance_selectors.named("maro").exists()
    assert examine() == []
    row = Learner.objects.get(pk=rosa.pk)
    assert (row.name, row.email, row.erased_at) == ("", f"erased-{rosa.pk}", LATER)


#: Columns of tables about a learner that hold nothing of theirs, and what they hold instead.
KEPT = {
    "a code of ours": {
        "delivery_consent.source", "nurture_deliveries.reason", "nurture_deliveries.withdrawal",
        "attendance_learneridentity.origin", "attendance_endpoint.identifier_type",
        "attendance_endpoint.device_type", "attendance_endpoint.identity_rule",
        "attendance_outcome.flags", "attendance_outcome.reason", "attendance_pledge.source",
        "attendance_reviewitem.decision", "nurture_contact.language", "nurture_decision.code",
        "user_nurture_journeys.exit_reason", "nurture_pledgequestion.code",
        "delivery_archive.status", "delivery_archive.reason",
    },
    "keys of rows": {
        "nurture_deliveries.dedupe_key", "delivery_archive.dedupe_key",
        "attendance_attendanceevent.key",
        "user_nurture_journeys.entry_key", "nurture_stafftask.key",
    },
    "the id of a trace": {
        "attendance_attendanceevent.trace", "user_nurture_journeys.trace",
        "nurture_deliveries.trace",
    },
    "words of the school": {
        "delivery_archive.stream", "delivery_archive.category",
        "delivery_consent.category", "nurture_deliveries.category", "nurture_decision.step_key",
        "user_nurture_journeys.step_key", "attendance_endpoint.calendar_event_id",
    },
    "who of staff, or which worker": {
        "nurture_deliveries.leased_by", "attendance_learneridentity.created_by",
        "attendance_outcome.decided_by", "attendance_reviewitem.decided_by",
        "attendance_auditpair.decided_by",
    },
    "a class and moments": {"nurture_pledgequestion.inputs"},
    "the hash of a link": {"nurture_linktoken.token_hash", "nurture_staffchat.token_hash"},
}  # fmt: skip
#: Emptied, though nothing of Rosa happens to stand there.
EMPTIED = {"attendance_outcome.inputs", "nurture_decision.inputs", "nurture_deliveries.buttons"}


def test_every_column_about_a_learner_is_emptied_or_known_to_hold_nothing(rosa: Learner) -> None:
    """A new column of text fails here until somebody has thought of it."""
    columns = text_columns(Learner, Contact, Chat)
    hers = {name for name, sql in columns.items() if count(sql)}
    sealed = {column.name for column in stock.columns()}  # looked into by `found`
    known = hers | sealed | EMPTIED | set().union(*KEPT.values())

    assert set(columns) - known == set()
    privacy.erase(learner=rosa, now=LATER)
    assert {name for name in hers if count(columns[name])} == set()


def count(sql: str) -> int:
    """In how many rows one of her words stands."""
    with connection.cursor() as cursor:
        cursor.execute(sql, [[f"%{word}%" for word in WORDS]])
        number: int = cursor.fetchone()[0]
    return number


def test_what_is_owed_is_cancelled_and_the_chat_cannot_be_written_to(rosa: Learner) -> None:
    owed = Delivery.objects.get(status="pending", lane=1)
    chat = Chat.objects.get(telegram_id=CHAT)
    privacy.erase(learner=rosa, now=LATER)

    owed.refresh_from_db()
    chat.refresh_from_db()
    assert (owed.status, owed.reason) == ("cancelled", "erased")
    assert not Delivery.objects.filter(status="pending", chat=chat).exists()
    assert (chat.reachability, chat.telegram_id < -(2**62)) == ("gone", True)
    assert not delivery.has_consent(chat=chat, category="")
    journey = Journey.objects.get(learner=rosa)
    assert (journey.status, journey.exit_reason) == ("exited", "erased")
    assert Decision.objects.filter(journey=journey, code="erased").count() == 1
    services.tick(now=LATER + HOUR)
    assert not Delivery.objects.filter(status="pending", chat=chat).exists()


def test_it_may_be_done_twice_and_looked_at_beforehand(rosa: Learner) -> None:
    before = found(*WORDS)
    foreseen = privacy.foresee(learner=rosa, now=LATER)
    assert found(*WORDS) == before

    assert privacy.erase(learner=rosa, now=LATER) == foreseen
    after = totals()
    assert privacy.erase(learner=rosa, now=LATER + HOUR).rows == {}
    assert totals() == after


def test_no_file_and_no_log_brings_them_back(rosa: Learner) -> None:
    privacy.erase(learner=rosa, now=LATER)
    people, amirs = Learner.objects.count(), found("amir")

    done = contacts.import_learners(content=CSV, now=LATER)
    assert (done.erased, done.created) == (1, 0)
    assert Learner.objects.count() == people
    with pytest.raises(attendance.ErasedAddressError):
        attendance.upsert_learner(email=EMAIL, name="R", calendar_ids=[CALENDAR], now=LATER)
    starts = make.CLASS_STARTS - timedelta(days=7)
    read(*records(starts + timedelta(minutes=59)), now=LATER)  # the same again
    read(*records(make.CLASS_STARTS + timedelta(minutes=59), 2)[:2], now=LATER)  # and new ones
    plan(event(1, starts), event(2, make.CLASS_STARTS + HOUR), event(3, NOW), now=LATER)
    attendance.settle(now=NOW + timedelta(days=1))

    assert set(found(*WORDS)) - NOT_HERS == set()
    new = Endpoint.objects.filter(conference__conference_id="call2")
    assert set(new.values_list("kind", "mark")) == {("visitor", "")}
    assert not new.exclude(learner=None).exists()
    assert new.count() == 2  # that somebody was there is kept
    assert found("amir").keys() == amirs.keys()


def test_outcomes_of_who_was_erased_are_never_judged_anew(rosa: Learner) -> None:
    privacy.erase(learner=rosa, now=LATER)
    before = set(rosa.outcomes.values_list("pk", "revision", "outcome", "is_current"))
    Endpoint.objects.filter(learner=rosa).update(learner=None, identity_rule="")
    for session in rosa.enrolments.get().course.sessions.all():
        attendance.settle_session(session_id=session.pk, now=LATER + HOUR, late_counts=True)

    assert set(rosa.outcomes.values_list("pk", "revision", "outcome", "is_current")) == before
    item = ReviewItem.objects.filter(key__startswith="erased:").first()
    assert item is not None
    with pytest.raises(ReviewError, match="erased"):
        review.reopen(item=item, by="ann", now=LATER)


def test_they_come_back_only_by_a_word_of_staff_and_then_as_somebody_new(rosa: Learner) -> None:
    privacy.erase(learner=rosa, now=LATER)
    call_command("readmit_learner", EMAIL.lower(), stdout=StringIO())

    assert contacts.import_learners(content=CSV, now=LATER).created == 1
    again = Learner.objects.get(name="Rosa Maro")
    assert again.pk != rosa.pk
    assert not again.outcomes.exists()
    read(*records(make.CLASS_STARTS + timedelta(minutes=59), 2)[:1], now=LATER)
    assert again.endpoints.count() == 1  # by her address and account, which count again


def test_the_hash_is_recognised_after_the_key_changed(rosa: Learner, settings: Any) -> None:
    privacy.erase(learner=rosa, now=LATER)
    old = settings.SECRET_KEY
    settings.SECRET_KEY = "another-key-" * 5
    assert not attendance.erased_among(marks=["email:rosamaro@gmail.com"])
    settings.SECRET_KEY_FALLBACKS = [old]
    assert attendance.erased_among(marks=["email:rosamaro@gmail.com", "email:a@b.c"]) == {
        "email:rosamaro@gmail.com"
    }


def confirm(rosa: Learner) -> None:
    """She presses that she is sure."""
    hear(update(50, data=f"v1:1:erase_yes:{rosa.pk}"), now=LATER)


def test_the_last_reply_goes_out_and_then_the_number_of_the_chat_goes(rosa: Learner) -> None:
    before = totals()
    Delivery.objects.filter(lane=0).update(status="cancelled", reason="withdrawn", settled_at=NOW)
    confirm(rosa)

    reply = Delivery.objects.get(status="pending")
    assert (reply.text, reply.chat.telegram_id) == (BOT_WORDS["es"]["erased"], CHAT)
    assert not Contact.objects.get(learner=rosa).chat
    assert set(found("maro", "swordfish", EMAIL)) - NOT_HERS == set()  # all the rest is gone now
    assert delivery.forget_leaving(now=LATER) == 0
    assert not delivery_selectors.has_updates(now=LATER)

    make.settle(reply, at=LATER)
    assert delivery_selectors.has_updates(now=LATER)
    assert delivery.forget_leaving(now=LATER) == 1
    assert delivery.forget_leaving(now=LATER) == 0
    assert set(found(*WORDS, "último mensaje")) - NOT_HERS == set()
    kept = totals()
    assert kept["updates"] - before["updates"] == {(50,): 1}
    assert {k: v for k, v in kept.items() if k in {"journeys", "outcomes", "stays", "facts"}} == {
        k: v for k, v in before.items() if k in {"journeys", "outcomes", "stays", "facts"}
    }


def test_a_last_reply_that_cannot_go_out_keeps_the_number_for_an_hour(rosa: Learner) -> None:
    confirm(rosa)
    assert delivery.forget_leaving(now=LATER + HOUR / 2) == 0
    assert delivery.forget_leaving(now=LATER + HOUR) == 1
    assert set(found(*WORDS)) - NOT_HERS == set()
    assert not Delivery.objects.filter(status="pending").exists()


def test_afterwards_they_are_a_stranger_who_learns_nothing(rosa: Learner) -> None:
    confirm(rosa)
    Delivery.objects.filter(status="pending").update(
        status="cancelled", reason="withdrawn", settled_at=LATER
    )
    delivery.forget_leaving(now=LATER)

    hear(update(60, "/privacy"), update(61, data=f"v1:1:erase_yes:{rosa.pk}"), now=LATER)

    said = Delivery.objects.filter(status="pending").values_list("text", "buttons")
    assert set(said.values_list("text", flat=True)) == {BOT_WORDS["en"]["neutral"]}
    assert InboundUpdate.objects.filter(chat_key=CHAT).count() == 2


def test_a_button_of_somebody_else_erases_nobody(rosa: Learner) -> None:
    hear(update(50, data=f"v1:1:erase_yes:{rosa.pk + 1}"), now=LATER)
    hear(update(51, data="v1:1:erase_no"), update(52, data="v1:1:erase_yes"), now=LATER)
    assert not Learner.objects.filter(erased_at__isnull=False).exists()


def test_the_export_has_every_field_and_fits_into_messages(rosa: Learner) -> None:
    data = stored.as_json(stored.stored_about(learner=rosa))
    whole = json.dumps(data, ensure_ascii=False)
    for word in (*WORDS, "rosa_handle", "Rosa is shy", "Ring Rosa", "rosas friend", "dispute"):
        assert word.lower() in whole.lower(), word
    assert data["outcomes"][0]["seconds"] >= 0
    assert {row["id"] for row in data["chats"]} == {CHAT, CHAT + 10**9}
    assert "amir" not in whole.lower()

    texts = stored.as_texts(
        stored.stored_about(learner=rosa), voice=Voice(), language="es",
        zone=ZoneInfo("Europe/Madrid"),
    )  # fmt: skip
    joined = "\n".join(texts)
    assert all(0 < len(text) <= 4096 for text in texts)
    for word in ("Rosa Maro", EMAIL, "Europe/Madrid", str(CHAT), "swordfish", "seconds:"):
        assert word in joined
    assert texts[-1] == BOT_WORDS["es"]["export_end"]


def test_an_export_does_not_hold_itself_and_is_bounded(rosa: Learner) -> None:
    hear(update(50, data="v1:1:export"), now=LATER)
    pages = Delivery.objects.filter(category="own data")
    assert pages.count() >= 2
    hear(update(51, data="v1:1:export"), now=LATER)
    assert BOT_WORDS["es"]["export_busy"] in set(
        Delivery.objects.filter(status="pending").values_list("text", flat=True)
    )
    data = stored.stored_about(learner=rosa)
    assert data["own_data_messages"] == pages.count()
    assert not any("Por lo que se te" in row["text"] for row in data["deliveries"])

    data["said"] = [{"text": "x&" * 3000}] * 50
    texts = stored.as_texts(data, voice=Voice(), language="en", zone=ZoneInfo("UTC"))
    assert len(texts) == stored.MOST_TEXTS + 1
    assert texts[-1] == BOT_WORDS["en"]["export_more"]
    assert not any(text.endswith(("&", "&a", "&am", "&amp")) for text in texts)


def run(*arguments: str) -> dict[str, Any]:
    """The last line of a command."""
    out = StringIO()
    call_command(*arguments, "--json", stdout=out)
    last: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return last


def test_the_commands_export_foresee_and_erase(rosa: Learner) -> None:
    assert run("export_learner", "rosamaro@gmail.com")["name"] == "Rosa Maro"
    foreseen = run("erase_learner", EMAIL, "--dry-run")
    assert (foreseen["dry_run"], foreseen["rows"]["learners"]) == (True, 1)
    assert Learner.objects.filter(name="Rosa Maro").exists()

    assert run("erase_learner", EMAIL)["rows"] == foreseen["rows"]
    assert run("erase_learner", EMAIL)["erased_before"]
    with pytest.raises(CommandError, match="No learner"):
        run("erase_learner", "nobody@school.example")
    with pytest.raises(CommandError, match="No learner"):
        run("export_learner", EMAIL)


def act(client: Client, name: str, learner: Learner, **more: str) -> Any:
    """Use an action on a learner's contact."""
    contact = Contact.objects.get(learner=learner)
    values = {"action": name, "_selected_action": [str(contact.pk)], **more}
    return client.post(reverse("admin:nurture_contact_changelist"), values)


def test_staff_need_the_right_and_the_address_to_erase(client: Client, rosa: Learner) -> None:
    staff = User.objects.create_user("staff", password="x", is_staff=True)
    for name in ("view_contact", "change_contact"):
        staff.user_permissions.add(Permission.objects.get(codename=name))
    client.force_login(staff)
    act(client, "erase_learner", rosa, typed=EMAIL)
    assert act(client, "export_learner", rosa).headers["Content-Type"] != "application/json"
    assert Learner.objects.filter(name="Rosa Maro").exists()

    for name in ("erase_learner", "export_learner"):
        staff.user_permissions.add(Permission.objects.get(codename=name))
    assert act(client, "export_learner", rosa).json()["email"] == EMAIL
    page = act(client, "erase_learner", rosa).content.decode()
    assert "This cannot be undone" in page
    assert "deliveries" in page
    assert "not the address" in act(client, "erase_learner", rosa, typed="x").content.decode()
    assert Learner.objects.filter(name="Rosa Maro").exists()

    assert act(client, "erase_learner", rosa, typed=EMAIL).status_code == 302
    assert set(found(*WORDS)) - NOT_HERS == set()
    assert act(client, "erase_learner", rosa, typed=f"erased-{rosa.pk}").status_code == 302


def test_history_is_still_history_where_it_is_not_erased(rosa: Learner) -> None:
    """The one change that the triggers let through."""
    from django.db import DatabaseError, transaction

    for sql in (
        "UPDATE nurture_decision SET inputs = '{\"a\": 1}'",
        "UPDATE nurture_decision SET inputs = '{}', code = 'x'",
        "UPDATE delivery_attempt SET description = 'x'",
        "UPDATE delivery_attempt SET description = '', http_status = 7",
    ):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)
