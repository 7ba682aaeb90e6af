"""One learner with rows in every table, and a look for words in every column of the database."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.db.models import CharField, JSONField, Model, TextField

from attendance import services as attendance
from attendance.domain.calendar import parse_event
from attendance.domain.kinds import EndpointKind, IdentityKind
from attendance.models import Conference, Learner, Outcome, ReviewItem, SyncRun
from attendance.services.identities import settle_outsider
from attendance.services.ingest import store_page
from attendance.services.matching import match
from attendance.services.timetable import store_events
from config.sealed import stock
from delivery.models import Attempt, Chat, Delivery, InboundUpdate
from delivery.services import archive
from delivery.services.updates import handle_waiting, store_updates
from nurture import flags, services
from nurture.models import Contact, ContactTag, StaffTask
from nurture.services import contacts, links, preferences
from tests.factories import nurture as make
from tests.factories.calls import activity
from tests.factories.delivery import LONG_AGO, make_delivery

CHAT = 7_000_123_456
EMAIL = "Rosa.Maro@gmail.com"
ALIAS = "rosa@work.example"
CALENDAR = "spanish@group.example"
#: Everything by which she could be known, and what was said between her and the bot.
WORDS = (
    "rosa", "maro", str(CHAT), str(CHAT + 10**9), "rosamaro@gmail.com", ALIAS, "+493012345678",
    "90071992547", "swordfish", "Europe/Madrid", "shy of cameras",
)  # fmt: skip
NOW = make.NOW
CSV = f"""email,name,timezone,telegram_chat_id,courses
{EMAIL},Rosa Maro,Europe/Madrid,{CHAT},{CALENDAR}
amir@school.example,Amir Lindt,,{CHAT + 1},{CALENDAR}
"""


def event(number: int, at: datetime) -> dict[str, Any]:
    """A class in the calendar which Rosa runs and declines at once."""
    end = at + timedelta(hours=1)
    return {
        "id": f"event{number}",
        "summary": f"Lesson {number}",
        "start": {"dateTime": at.isoformat()},
        "end": {"dateTime": end.isoformat()},
        "organizer": {"email": EMAIL},
        "attendees": [
            {"email": EMAIL, "responseStatus": "declined"},
            {"email": "amir@school.example", "responseStatus": "declined"},
        ],
    }


def records(at: datetime, number: int = 1) -> list[dict[str, Any]]:
    """What Google's log has of a class: Rosa on two devices, Rosa as a guest, and Amir."""
    common: dict[str, Any] = {
        "conference_id": f"call{number}", "calendar_event_id": f"event{number}",
        "organizer_email": EMAIL, "duration_seconds": 3000,
    }  # fmt: skip
    rosa = {"email": EMAIL, "profileId": "90071992547"}
    shown: list[dict[str, Any]] = [
        {"identifier": EMAIL, "identifier_type": "email_address", "display_name": "Rosa Maro"},
        {"identifier": ALIAS, "identifier_type": "email_address", "endpoint_id": "device2"},
        {"display_name": "Maro, Rosa", "endpoint_id": "device3"},
        {"identifier": "amir@school.example", "identifier_type": "email_address"},
    ]
    return [
        activity(at=at, qualifier=100 * number + n, actor=rosa if n == 0 else None, **common, **row)
        for n, row in enumerate(shown)
    ]


def read(*items: dict[str, Any], now: datetime) -> None:
    """Read these records of Google's."""
    run = SyncRun.objects.create(
        source="meet", kind="nightly", state="complete", window_start_at=now - timedelta(days=9),
        window_end_at=now, started_at=now, finished_at=now,
    )  # fmt: skip
    store_page(run=run, items=items, now=now)
    match(now=now)


def plan(*events: dict[str, Any], now: datetime) -> None:
    """Read these events of the calendar."""
    course = attendance.upsert_course(calendar_id=CALENDAR, now=now)
    read_events = [found for found in map(parse_event, events) if found is not None]
    store_events(course=course, events=read_events, now=now)


def update(number: int, text: str = "", data: str = "") -> dict[str, Any]:
    """Something that Rosa wrote or pressed, as Telegram tells it."""
    who = {"id": CHAT, "is_bot": False, "first_name": "Rosa", "username": "rosa_handle"}
    chat = {"id": CHAT, "type": "private", "first_name": "Rosa", "username": "rosa_handle"}
    bot = {"id": 1, "is_bot": True, "first_name": "telbot"}
    if text:
        body = {"message_id": number, "date": 1, "chat": chat, "from": who, "text": text}
        return {"update_id": number, "message": body}
    below = {"message_id": 3, "date": 1, "chat": chat, "from": bot, "text": "x"}
    query = {"id": "9", "from": who, "chat_instance": "1", "data": data, "message": below}
    return {"update_id": number, "callback_query": query}


def hear(*payloads: dict[str, Any], now: datetime) -> None:
    """Store and handle what was written."""
    store_updates(payloads=payloads, now=now)
    done = handle_waiting(now=now)
    assert (done.handled, done.failed) == (len(payloads), 0)


def make_rosa() -> Learner:
    """Rosa, of whom every table has something; and Amir, of whom it must stay."""
    flags.set_nurture(percent=100)
    make.make_sequence(make.PLAIN + "  - {key: later, wait: {after: 2d}, text: 'Rosa, still?'}\n")
    contacts.import_learners(content=CSV, now=NOW - timedelta(days=30))
    rosa = Learner.objects.get(name="Rosa Maro")
    _in_class(rosa)
    _in_nurture(rosa)
    _in_chat(rosa)
    boss = User.objects.create_user("boss")
    LogEntry.objects.create(
        user=boss, content_type=ContentType.objects.get_for_model(Learner), object_id=str(rosa.pk),
        object_repr="Rosa Maro", action_flag=CHANGE, change_message=f"address {ALIAS}",
    )  # fmt: skip
    return rosa


def _in_class(rosa: Learner) -> None:
    starts = make.CLASS_STARTS - timedelta(days=7)
    plan(event(1, starts), event(2, make.CLASS_STARTS), now=starts - timedelta(days=1))
    for kind, value in (
        (IdentityKind.ALIAS, ALIAS),
        (IdentityKind.PHONE, "+493012345678"),
        (IdentityKind.GOOGLE_USER_ID, "90071992547"),
    ):
        attendance.confirm_identity(
            learner=rosa, kind=kind, value=value, course=None, by="ann", now=starts
        )
    read(*records(starts + timedelta(minutes=59)), now=NOW - timedelta(days=3))
    attendance.settle(now=NOW - timedelta(days=3))
    course = rosa.enrolments.get().course
    settle_outsider(
        mark="email:rosa@other.example", course=course, kind=EndpointKind.VISITOR, by="ann", now=NOW
    )
    amir = Learner.objects.get(name="Amir Lindt")
    attendance.reject_identity(
        learner=amir, kind=IdentityKind.ALIAS, value="rosamaro@gmail.com", course=None, by="ann",
        now=NOW,
    )  # fmt: skip
    session = course.sessions.get(event_id="event1")
    Outcome.objects.filter(learner=rosa).update(note="Rosa is shy of cameras")
    attendance.pledge(
        learner=rosa, session=session, answer=True, source="button", now=starts - timedelta(hours=1)
    )
    ReviewItem.objects.create(
        kind="report", key=f"report:{rosa.pk}", learner=rosa, session=session, created_at=NOW,
        evidence={"name": "Rosa Maro", "address": EMAIL},
    )  # fmt: skip
    Conference.objects.filter(pk=session.matches.get().conference_id).update(organizer_email=EMAIL)


def _in_nurture(rosa: Learner) -> None:
    contact = Contact.objects.get(learner=rosa)
    session = rosa.enrolments.get().course.sessions.get(event_id="event2")
    session.next_check_at = None  # its outcome is told here, not judged
    session.save()
    make.make_fact(contact=contact, session=session)
    services.tick(now=NOW)
    first = Delivery.objects.get(status="pending")
    make.settle(first, at=NOW)
    Attempt.objects.create(
        delivery=first, fence=1, started_at=NOW, finished_at=NOW, outcome="sent",
        description="sent to Rosa",
    )  # fmt: skip
    _in_archive(first.chat)
    services.tick(now=NOW + timedelta(minutes=1))  # the second message is owed now
    ContactTag.objects.create(contact=contact, name="rosas friend")
    StaffTask.objects.create(
        kind="handover", key=f"h:{rosa.pk}", learner=rosa, note="Ring Rosa", created_at=NOW
    )
    links.create(learner=rosa, now=NOW)
    preferences.set_language(contact=contact, language="es", now=NOW)


def _in_archive(chat: Chat) -> None:
    """One that was said to her long ago."""
    old = make_delivery(
        chat=chat, text="Rosa, welcome", buttons=[[["Rosa!", "hi"]]], due_at=LONG_AGO
    )
    make.settle(old, at=LONG_AGO)
    Attempt.objects.create(
        delivery=old, fence=1, started_at=LONG_AGO, finished_at=LONG_AGO, outcome="sent",
        description="sent to Rosa",
    )  # fmt: skip
    Delivery.objects.filter(pk=old.pk).update(
        observed_at=LONG_AGO, last_error="Rosa is away", window_opens="09:00",
        window_closes="20:00", window_zone="Europe/Madrid",
    )  # fmt: skip
    assert archive(delivery_ids=[old.pk], before=NOW)


def _in_chat(rosa: Learner) -> None:
    hear(
        update(1, "the swordfish"), update(2, "/address rosa@other.example"), update(3, "/status"),
        update(4, data="v1:1:dispute"), now=NOW,
    )  # fmt: skip
    # A form of update that telbot does not know; it names her all the same.
    InboundUpdate.objects.create(
        update_id=90, payload={"poll_answer": {"user": {"id": CHAT, "first_name": "Rosa"}}},
        received_at=NOW, handled_at=NOW,
    )  # fmt: skip
    old = Chat.objects.create(telegram_id=CHAT + 10**9)  # where she was written to before
    decision = rosa.decisions.filter(delivery__isnull=False).earliest("pk")
    moved = decision.delivery
    assert moved is not None
    Delivery.objects.filter(pk=moved.pk).update(
        chat=old, last_error="Rosa is away", window_opens="09:00", window_closes="20:00",
        window_zone="Europe/Madrid",
    )  # fmt: skip


def found(*words: str) -> dict[str, int]:
    """In how many rows of which table one of these words stands, in any column, also sealed.

    What is sealed is looked into, and not at: one in a thousand times it reads "rosa" by chance.
    """
    sealed_in: dict[str, list[str]] = {}
    for column in stock.columns():
        sealed_in.setdefault(column.table, []).append(str(column.field.column))
    tables = [name for name in connection.introspection.table_names() if name != "django_session"]
    counts: Counter[str] = Counter()
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(
                f'SELECT count(*) FROM "{table}" AS t'
                " WHERE (to_jsonb(t) - %s::text[])::text ILIKE ANY(%s)",
                [sealed_in.get(table, []), [f"%{word}%" for word in words]],
            )
            counts[table] = cursor.fetchone()[0]
    for column in stock.columns():
        sealed = ask(f"SELECT {column.field.column} FROM {column.table}")
        opened = [str(column.field.opened(value)).lower() for value in sealed]
        counts[column.table] += sum(any(w.lower() in text for w in words) for text in opened)
    return {table: number for table, number in counts.items() if number}


def text_columns(*about: type[Model]) -> dict[str, str]:
    """Every column of free text in tables that lead to one of these: name → its SQL."""
    return {
        f"{model._meta.db_table}.{field.column}": (
            f'SELECT count(*) FROM {model._meta.db_table} t WHERE t."{field.column}"::text ILIKE'
            " ANY(%s)"
        )
        for model in _leading_to(set(about))
        for field in model._meta.local_fields
        if isinstance(field, CharField | TextField | JSONField) and not field.choices
    }


def _leading_to(found: set[Any]) -> set[Any]:
    """These models, and all that lead to them over keys."""
    more = {
        model
        for model in apps.get_models()
        if not model._meta.proxy
        and any(field.related_model in found for field in model._meta.local_fields)
    }
    return found if more <= found else _leading_to(found | more)


def ask(sql: str) -> list[Any]:
    """The first column of what the database itself says."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return [row[0] for row in cursor.fetchall()]


def totals() -> dict[str, Counter[tuple[Any, ...]]]:
    """What the figures of staff count."""
    questions = {
        "journeys": "SELECT sequence_id, version_id, entry_key, round FROM user_nurture_journeys",
        "ended": """SELECT sequence_id, status, exit_reason FROM user_nurture_journeys
                     WHERE status IN ('completed', 'exited') AND exit_reason <> 'erased'""",
        "deliveries": "SELECT stream, lane FROM nurture_deliveries WHERE category <> 'own data'",
        "settled": """SELECT stream, status, reason, sent_at FROM nurture_deliveries
                       WHERE status IN ('sent', 'failed', 'expired', 'unknown')""",
        "attempts": "SELECT outcome, http_status FROM delivery_attempt",
        "outcomes": """SELECT session_id, outcome, present_seconds, effective, is_current, revision
                         FROM attendance_outcome""",
        "pledges": "SELECT session_id, state FROM attendance_pledge",
        "facts": "SELECT session_id, kind FROM attendance_attendanceevent",
        "stays": "SELECT conference_id, started_at, ended_at FROM attendance_endpoint",
        "records": "SELECT event_time, name FROM attendance_activity",
        "updates": "SELECT update_id FROM delivery_inboundupdate",
        "reviews": "SELECT kind FROM attendance_reviewitem",
        "holdouts": "SELECT sequence_id, held_out FROM nurture_holdoutassignment",
    }
    counts = {}
    with connection.cursor() as cursor:
        for name, sql in questions.items():
            cursor.execute(sql)
            counts[name] = Counter(cursor.fetchall())
    return counts
