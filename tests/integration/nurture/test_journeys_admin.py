"""P18: staff hold, let go on, move and end journeys, and see first what it does to the messages."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse

from delivery import clock
from delivery.models import Delivery
from nurture import flags
from nurture.models import Contact, Journey
from nurture.services import sequences, tick
from nurture.services.roles import set_up_roles
from tests.factories import nurture as make

pytestmark = pytest.mark.django_db
LIST = "admin:nurture_journey_changelist"
TWO_STEPS = """\
sequence: missed-class
name: We missed you
entry: {key: session, again: every key, open: 1}
triggers:
  - {fact: missed}
steps:
  - {key: pause, kind: wait, wait: {after: 1d}}
  - key: hello
    text: "Hello."
"""


def staff(role: str = "operator") -> Client:
    """Somebody with a role, logged in."""
    set_up_roles()
    user = User.objects.create_user(role, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def journey() -> Journey:
    """A journey whose first message is planned for tomorrow."""
    flags.set_nurture(percent=100)
    source = make.PLAIN.replace("steps:", "window: {opens: '00:00', closes: '23:59'}\nsteps:")
    return begun(source.replace("key: hello\n", "key: hello\n    wait: {after: 1d}\n"))


def begun(source: str, contact: Contact | None = None) -> Journey:
    """A journey that a missed class began."""
    at = clock.now()
    make.make_sequence(source)
    held = make.make_session(starts_at=at - timedelta(hours=5))
    make.make_fact(contact=contact or make.make_contact(name="Rosa Maro"), session=held)
    tick(now=at)
    return Journey.objects.get()


def act(client: Client, action: str, *rows: Journey, query: str = "", **more: str) -> str:
    """Run an action from the list; what the answer says."""
    data = {"action": action, "_selected_action": [row.pk for row in rows], **more}
    return str(client.post(reverse(LIST) + query, data, follow=True).content.decode())


def status(row: Journey) -> str:
    """Where it stands now."""
    row.refresh_from_db()
    return row.status


def test_a_pause_tells_what_it_withdraws_and_is_undone(journey: Journey) -> None:
    client = staff()

    page = act(client, "pause", journey)
    assert "Pause 1 journeys?" in page
    assert "1 planned messages are withdrawn." in page
    assert status(journey) == "active"

    page = act(client, "pause", journey, query="?status__exact=active", confirmed="1")
    assert status(journey) == "paused"
    assert 'value="resume_keep"' in page
    assert f'action="{reverse(LIST)}"' in page  # the filter would not show it any more

    act(client, "resume_keep", journey, confirmed="1")
    assert status(journey) == "active"
    owed = Delivery.objects.get(status="pending")
    assert journey.waiting_on_id == owed.pk
    assert LogEntry.objects.count() == 2


@pytest.mark.parametrize("action", ["resume", "resume_keep", "resume_shift"])
def test_what_going_on_does_to_messages_is_worked_out_before(journey: Journey, action: str) -> None:
    client = staff()
    act(client, "pause", journey, confirmed="1")
    before = Delivery.objects.count()

    page = act(client, action, journey)

    assert "Messages: 1 are planned by it" in page
    assert (Delivery.objects.count(), status(journey)) == (before, "paused")
    act(client, action, journey, confirmed="1")
    assert status(journey) == "active"


def test_an_end_is_for_good_and_withdraws(journey: Journey) -> None:
    client = staff()
    assert "This cannot be undone." in act(client, "end", journey)
    act(client, "end", journey, confirmed="1")
    assert status(journey) == "exited"
    assert journey.exit_reason == "ended_by_staff"
    assert Delivery.objects.get().status == "cancelled"
    page = client.get(reverse(LIST)).content.decode()
    assert "A member of staff ended the journey." in page
    act(client, "end", journey, confirmed="0")
    assert journey.decisions.filter(code="ended_by_staff").count() == 1


def test_a_move_goes_to_the_published_version_and_says_what_became_of_them() -> None:
    flags.set_nurture(percent=100)
    journey, client = begun(TWO_STEPS), staff()
    assert "It has ended, or is of that version." in act(client, "move", journey)
    newer = sequences.import_sequence(
        source=TWO_STEPS.replace("Hello.", "Good day."), now=clock.now()
    )
    sequences.publish(sequence=newer.sequence, now=clock.now())
    assert status(journey) == "active"

    page = act(client, "move", journey, confirmed="1")

    assert "1 moved" in page
    journey.refresh_from_db()
    assert journey.version.number == 2
    assert journey.step_key == "pause"


def test_what_an_action_leaves_alone_is_named(journey: Journey) -> None:
    page = act(staff(), "resume", journey)
    assert "It is not held." in page
    assert "Let 0 journeys go on?" in page


def test_the_page_of_a_journey_offers_what_fits_it(journey: Journey) -> None:
    client = staff()
    address = reverse("admin:nurture_journey_change", args=[journey.pk])
    page = client.get(address).content.decode()
    assert 'value="pause"' in page
    assert 'value="end"' in page
    assert 'value="resume"' not in page
    act(client, "pause", journey, confirmed="1")
    page = client.get(address).content.decode()
    assert 'value="resume_shift"' in page
    assert 'value="pause"' not in page


def test_who_may_only_look_holds_nothing(journey: Journey) -> None:
    client = staff("viewer")
    for action in ("pause", "move", "end"):
        act(client, action, journey, confirmed="1")
    assert status(journey) == "active"


def test_a_list_is_searched_by_any_words_of_a_person(journey: Journey) -> None:
    client = staff("viewer")
    pages = ("journey", "decision", "contact")
    for words, found in (("maro rosa", True), (journey.learner.email, True), ("amir", False)):
        for name in pages:
            url = reverse(f"admin:nurture_{name}_changelist")
            page = client.get(url, {"q": words}).content.decode()
            assert ("Nothing fits this search." not in page) is found, (name, words)


@pytest.mark.parametrize(
    ("begins", "found"), [("2020-01-01", True), ("2999-01-01", False), ("2020-02-31", True)]
)
def test_a_span_needs_no_time_of_day(journey: Journey, begins: str, found: bool) -> None:
    page = staff("viewer").get(reverse(LIST), {"started_at_from_0": begins}).content.decode()
    assert ("Rosa Maro" in page) is found


def test_nothing_that_staff_withdrew_comes_back_once_the_journey_was_ended(
    journey: Journey,
) -> None:
    """One withdraws the message, another ends the journey, and the first presses Undo."""
    client, row = staff("admin"), Delivery.objects.get()
    deliveries = reverse("admin:delivery_delivery_changelist")
    chosen = {"_selected_action": row.pk, "confirmed": "1"}
    client.post(deliveries, chosen | {"action": "withdraw"})
    act(client, "end", journey, confirmed="1")

    client.post(deliveries, chosen | {"action": "take_back"})

    row.refresh_from_db()
    assert (status(journey), row.status) == ("exited", "cancelled")
