"""A stolen database shows no ids and names; keys are changed while telbot runs (P31)."""

from __future__ import annotations

import base64
import json
from importlib import import_module
from io import StringIO
from typing import Any

import pytest
from django.core.exceptions import FieldError
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.db.migrations.executor import MigrationExecutor

from attendance.models import Learner
from attendance.selectors import named
from config import audit, command_line, doctor, views
from config.sealed import SealedError, stock
from delivery import services
from delivery.models import Chat, InboundUpdate
from delivery.services.updates import handle_waiting, store_updates
from nurture.services import contacts, links
from tests.factories import nurture as make
from tests.factories.privacy import CHAT, CSV, NOW, ask, make_rosa, update

pytestmark = pytest.mark.django_db
OLD, NEW = (base64.urlsafe_b64encode(bytes([n]) * 32).decode() for n in (1, 2))


@pytest.fixture
def keys(settings: Any) -> Any:
    """Settings with one key."""
    settings.FIELD_ENCRYPTION_KEY = (OLD,)
    return settings


def people() -> dict[str, Any]:
    """What the models say of chats, names and updates."""
    return {
        "chats": list(Chat.objects.order_by("pk").values_list("telegram_id", "kind")),
        "names": list(Learner.objects.order_by("pk").values_list("name", flat=True)),
        "said": list(InboundUpdate.objects.order_by("pk").values_list("payload", "is_answer")),
        "of the chat": InboundUpdate.objects.filter(chat_key=CHAT).count(),
        "found": [Chat.objects.filter(telegram_id=CHAT).count(), named("ros").count()],
    }


def test_a_stolen_database_shows_no_id_no_name_and_no_update(keys: Any) -> None:
    make_rosa()
    dump = "".join(
        str(ask(f"SELECT t::text FROM {table} t"))
        for table in ("delivery_chat", "delivery_inboundupdate", "nurture_contact")
    ) + str(ask("SELECT name FROM attendance_learner"))

    for word in ("rosa", "maro", "swordfish", "amir", "plain", str(CHAT)):
        assert word not in dump.lower(), word
    assert Chat.objects.get(telegram_id=CHAT).contact.learner.name == "Rosa Maro"


def test_what_the_database_cannot_know_it_is_not_asked() -> None:
    for question in ({"name__icontains": "ros"}, {"name__startswith": "R"}, {"name__gt": "A"}):
        with pytest.raises(FieldError):
            Learner.objects.filter(**question)
    for field in ("payload__message", "payload"):
        with pytest.raises(FieldError):
            InboundUpdate.objects.filter(**{field: {}})


@pytest.mark.parametrize("on", [False, True])
def test_the_migrations_go_back_and_forth_over_what_there_is(settings: Any, on: bool) -> None:
    settings.FIELD_ENCRYPTION_KEY = (OLD,) if on else ()
    make_rosa()
    services.meet_chat(telegram_id=-5, now=NOW)
    group = {"id": -6, "type": "group"}  # a chat that we never met
    store_updates(payloads=[update(80, "/help"), {"update_id": 81, "message": {"chat": group}},
                            {"update_id": 82, "my_chat_member": {}}], now=NOW)  # fmt: skip
    InboundUpdate.objects.filter(update_id=82).update(payload={})
    before = people()
    migrations = [("delivery", "0012_sealed_ids"), ("attendance", "0008_sealed_names")]

    for name in migrations:
        migrate(*name, back=True)
    assert {CHAT, CHAT + 1, -5} <= set(ask("SELECT telegram_id FROM delivery_chat"))
    keys = "SELECT chat_key FROM delivery_inboundupdate WHERE update_id IN (81, 82)"
    assert sorted(ask(keys)) == [-6, 0]
    assert "swordfish" in str(ask("SELECT payload FROM delivery_inboundupdate"))
    assert set(ask("SELECT name FROM attendance_learner")) == {"Rosa Maro", "Amir Lindt"}

    for name in migrations:
        migrate(*name, back=False)
    assert people() == before
    assert before["chats"][-1] == (-5, "group")
    first = ask("SELECT DISTINCT left(telegram_id, 6) FROM delivery_chat")
    assert (first == ["plain:"]) is not on
    assert stock.problem() == ""


def migrate(app: str, name: str, *, back: bool) -> None:
    """Undo or do one migration within the test's transaction."""
    migration = import_module(f"{app}.migrations.{name}").Migration(name, app)
    loader = MigrationExecutor(connection).loader
    state = loader.project_state((app, name), at_end=False)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    with connection.schema_editor(atomic=True) as editor:
        (migration.unapply if back else migration.apply)(state, editor)


def rotate(*options: str, fails: bool = False) -> dict[str, Any]:
    """What the command reports."""
    out = StringIO()
    try:
        call_command("rotate_keys", *options, "--json", stdout=out)
    except CommandError:
        assert fails
    report: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return report


def test_keys_are_changed_under_way_and_in_pieces(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_rosa()
    before, chats = people(), Chat.objects.count()
    settings.FIELD_ENCRYPTION_KEY = (OLD,)
    assert people() == before  # nothing needs to wait for the command
    assert rotate()["changed"]["delivery_chat.telegram_id"] == chats
    assert doctor.CHECKS["encryption"]().verdict == "pass"

    settings.FIELD_ENCRYPTION_KEY = (NEW, OLD)
    services.meet_chat(telegram_id=CHAT + 2, now=NOW)
    assert doctor.CHECKS["encryption"]().verdict == "not_yet"
    monkeypatch.setattr(stock, "BATCH", 2)
    end_after(monkeypatch, batches=1)
    with pytest.raises(KeyboardInterrupt):
        rotate()
    monkeypatch.undo()
    assert 0 < stock.held()["delivery_chat.telegram_id"].total() == chats + 1
    assert len(stock.held()["delivery_chat.telegram_id"]) == 2  # some are done, some are not

    assert rotate()["left"] == 0
    settings.FIELD_ENCRYPTION_KEY = (NEW,)
    assert rotate() == {"ok": True, "changed": dict.fromkeys(stock.held(), 0), "left": 0}
    Chat.objects.get(telegram_id=CHAT + 2).delete()
    assert people() == before


def end_after(monkeypatch: pytest.MonkeyPatch, *, batches: int) -> None:
    """The operator presses Ctrl+C after so many batches."""
    write = stock._write
    done: list[None] = []

    def ended(*given: Any) -> None:
        if len(done) == batches:
            raise KeyboardInterrupt
        write(*given)
        done.append(None)

    monkeypatch.setattr(stock, "_write", ended)


def test_a_wrong_key_stops_the_boot_and_is_named(
    keys: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    chat = services.meet_chat(telegram_id=CHAT, now=NOW)
    assert stock.problem() == ""
    keys.FIELD_ENCRYPTION_KEY = (NEW,)

    assert doctor.CHECKS["encryption"]().verdict == "fail"
    assert json.loads(views.readyz().content)["problems"].keys() == {"keys"}
    with pytest.raises(SystemExit) as left:
        command_line.run(["manage.py", "tick", "--json"])
    assert left.value.code != 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["ok"] is False
    assert "not in FIELD_ENCRYPTION_KEY" in said["error"]
    with pytest.raises(SealedError, match=r"chat\.telegram_id is sealed with the key"):
        chat.refresh_from_db()
    # The new key is used for what is new; what it cannot open is left, and told.
    assert rotate(fails=True) == {
        "ok": False, "changed": dict.fromkeys(stock.held(), 0), "left": 1,
    }  # fmt: skip
    keys.FIELD_ENCRYPTION_KEY = (NEW, OLD)
    assert rotate()["left"] == 0
    chat.refresh_from_db()
    assert chat.telegram_id == CHAT


def test_a_lost_key_is_forgotten_and_who_writes_is_known_again(
    keys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names and updates are gone for good; a chat keeps its learner and what it said of consent."""
    rosa, amir = make_rosa(), Chat.objects.get(telegram_id=CHAT + 1)
    services.set_consent(chat=amir, category="", granted=False, source="stop", now=NOW)
    chats, before = Chat.objects.count(), audit.examine()
    keys.FIELD_ENCRYPTION_KEY = (NEW,)
    with pytest.raises(CommandError, match="Nothing was changed"):
        call_command("rotate_keys", "--forget-lost", stdout=StringIO())
    assert "not in FIELD_ENCRYPTION_KEY" in stock.problem()

    monkeypatch.setattr(stock, "BATCH", 2)
    end_after(monkeypatch, batches=1)
    with pytest.raises(KeyboardInterrupt):
        rotate("--forget-lost", "--for-ever")
    monkeypatch.undo()
    assert stock.problem() != ""
    rest = rotate("--forget-lost", "--for-ever")
    assert rest["forgotten"]["delivery_chat.telegram_id"] == chats - 2
    assert rotate("--forget-lost", "--for-ever")["forgotten"] == dict.fromkeys(stock.held(), 0)

    assert (stock.problem(), audit.examine()) == ("", before)
    rosa.refresh_from_db()
    assert (rosa.name, Learner.objects.filter(name__words="ros").count()) == ("", 0)
    assert set(Chat.objects.values_list("telegram_id", "reachability")) == {(0, "gone")}
    store_updates(payloads=[update(300, "/help")], now=NOW)
    assert handle_waiting(now=NOW).failed == 0
    assert Chat.objects.get(contact__learner=rosa).telegram_id == CHAT
    contacts.import_learners(content=CSV, now=NOW)  # who has the numbers need not wait
    amir.refresh_from_db()
    assert (amir.telegram_id, amir.reachability) == (CHAT + 1, "ok")
    assert not services.has_consent(chat=amir, category="")
    assert (Chat.objects.count(), named("lindt").count(), stock.problem()) == (chats, 1, "")


def test_a_link_takes_the_place_of_a_chat_that_nothing_recognises(keys: Any) -> None:
    """SECRET_KEY is lost, too: the hash tells nobody, and the person has a link that is theirs."""
    contact, lost = make.make_contact(), Chat.objects.get()
    known = lost.telegram_id
    keys.FIELD_ENCRYPTION_KEY, keys.SECRET_KEY = (NEW,), "another-key-" * 5
    rotate("--forget-lost", "--for-ever")

    chat = services.meet_chat(telegram_id=known, now=NOW)
    token = links.create(learner=contact.learner, now=NOW)
    asked = links.open_link(token=token, chat=chat, now=NOW)
    assert isinstance(asked, links.AskIsThisYou)
    confirmed = links.confirm(chat=chat, link_id=asked.link_id, yes=True, now=NOW)
    assert isinstance(confirmed, links.Linked)

    contact.refresh_from_db()
    assert contact.chat == chat != lost
    assert stock.problem() == ""


def test_another_secret_is_told_and_mended(settings: Any) -> None:
    make_rosa()
    before, first = people(), settings.SECRET_KEY
    settings.SECRET_KEY = "another-key-" * 5

    assert "hashes of another SECRET_KEY" in stock.problem()
    assert not Chat.objects.filter(telegram_id=CHAT).exists()
    settings.SECRET_KEY_FALLBACKS = [first]
    assert people() == before

    settings.SECRET_KEY_FALLBACKS = []
    rotate()
    assert stock.problem() == ""
    assert people() == before  # updates are still those of their chat


def test_two_chats_of_one_id_are_refused(keys: Any) -> None:
    Chat.objects.create(telegram_id=CHAT)
    with pytest.raises(DatabaseError), transaction.atomic():
        Chat.objects.create(telegram_id=CHAT)  # sealed, it looks like another one
    assert len(services.register_chats(telegram_ids=[CHAT], source="test", now=NOW)) == 1
    assert Chat.objects.count() == 1


def test_a_name_that_changes_is_found_by_the_new_one(keys: Any) -> None:
    learner = make.make_contact(name="Rosa Diaz").learner
    learner.name = "Rosa Okafor"
    learner.save()

    assert [row.pk for row in named("oka ros")] == [learner.pk]
    assert not named("diaz").exists()
    assert Learner.objects.get(name="Rosa Okafor") == learner
