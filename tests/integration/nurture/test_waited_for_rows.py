"""Who waited for a journey that another pass held sees it as that pass left it (P04, P08)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection, transaction

from attendance.models import AttendanceEvent
from delivery.models import Delivery
from nurture import flags, services
from nurture.models import Contact, Decision, Journey
from nurture.services import engine, preferences
from tests.factories import nurture as make

pytestmark = pytest.mark.django_db(transaction=True)
HOUR = timedelta(hours=1)
LATER = make.NOW + HOUR
#: It waits an hour; then its message is planned for the morning.
WAITS = (
    make.PLAIN.replace("steps:\n", "steps:\n  - {key: rest, kind: wait, wait: {after: 1h}}\n")
    + make.WINDOW
    + "exit_when: [attended]\n"
)
BLOCKED = "SELECT count(*) FROM pg_locks WHERE NOT granted"


@pytest.fixture
def rosa() -> Contact:
    """A learner whose journey is to plan its message now."""
    flags.set_nurture(percent=100)
    make.make_sequence(WAITS)
    contact = make.make_contact()
    make.make_fact(contact=contact)
    services.tick(now=make.NOW)
    return contact


def while_it_is_planned(work: Callable[[], object]) -> None:
    """Do this in another process's place, which waits for the pass that plans the message."""
    errors: list[Exception] = []

    def run() -> None:
        try:
            work()
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    other = threading.Thread(target=run)
    with transaction.atomic():
        assert engine.advance_due(now=LATER) == 1
        other.start()
        while not _is_blocked() and other.is_alive():
            pass
    other.join()
    assert errors == []


def _is_blocked() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(BLOCKED)
        return bool(cursor.fetchone()[0])


def test_a_message_that_was_planned_meanwhile_is_withdrawn_with_its_journey(rosa: Contact) -> None:
    """The learner came to the next class: nobody tells them that they were missed."""
    held = make.make_session(course=Journey.objects.get().course, starts_at=make.NOW)
    make.make_fact("attended", contact=rosa, session=held, recorded_at=LATER)

    while_it_is_planned(lambda: services.process_events(now=LATER))

    assert Journey.objects.get().status == "exited"
    assert Delivery.objects.get().status == "cancelled"


def test_a_message_that_was_planned_meanwhile_follows_the_new_zone(rosa: Contact) -> None:
    while_it_is_planned(lambda: preferences.set_zone(contact=rosa, zone="Asia/Tokyo", now=LATER))

    assert Delivery.objects.get(status="pending").due_at == make.NOW + 3 * HOUR


def test_a_fact_that_was_corrected_before_it_was_acted_on_begins_nothing() -> None:
    """Its worker died, or was slower than the one that had the correction."""
    flags.set_nurture(percent=100)
    make.make_sequence()
    fact = make.make_fact()
    corrected = make.make_fact(
        "corrected", contact=Contact.objects.get(), session=fact.session, recorded_at=LATER
    )

    def of_another_worker() -> None:
        services.process_events(now=LATER)
        connection.close()

    with transaction.atomic():
        assert AttendanceEvent.objects.select_for_update(no_key=True).get(pk=fact.pk)
        other = threading.Thread(target=of_another_worker)
        other.start()
        other.join()
    corrected.refresh_from_db()
    assert corrected.processed_at
    services.tick(now=LATER)

    assert not Delivery.objects.exists()
    assert Decision.objects.filter(event=fact, code="corrected").exists()
