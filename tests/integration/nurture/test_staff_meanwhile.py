"""What staff see and do is true, also where somebody else was faster than their page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse
from waffle.models import Switch

from attendance.domain.kinds import OutcomeKind
from attendance.models import Enrolment, Outcome, ReviewItem
from attendance.services.corrections import correct_outcome
from delivery import clock
from delivery.models import Delivery, Gate
from delivery.selectors import closed_gates
from delivery.services import close_gate, snooze
from delivery.services.installation import arm, remember_bot
from nurture import flags, services
from nurture.admin.insight.frame import percent
from nurture.models import Contact, Job, Journey, Scenario, Sequence
from nurture.sequence_files import SequenceFileError
from nurture.services import conversation, dry_runs, trying
from nurture.services.learner_page import learner_page
from nurture.services.replanning import leave_chat
from nurture.services.roles import set_up_roles
from nurture.services.simulation import backtest, compare
from tests.factories import nurture as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client: Client) -> Client:
    """Somebody who may do everything, logged in."""
    set_up_roles()
    eve = User.objects.create_user("eve", is_staff=True)
    eve.groups.set(Group.objects.filter(name__in=("admin", "publisher", "author", "operator")))
    client.force_login(eve)
    return client


def form_of(client: Client, url: str) -> dict[str, Any]:
    """What the form of a page would send if nothing were changed in it."""
    form = client.get(url).context["adminform"].form
    sent = {field.html_name: field.value() for field in form}
    return {name: "" if value is None else value for name, value in sent.items()}


def test_who_changes_quiet_hours_unlinks_nobody_who_has_linked_meanwhile(staff: Client) -> None:
    """Her page shows no chat; while staff look at it she presses Start, and says when to rest."""
    rosa, chat = make.make_contact(linked=False), make.make_contact(name="Amir").chat
    url = reverse("admin:nurture_contact_change", args=[rosa.pk])
    page = form_of(staff, url)
    Contact.objects.exclude(pk=rosa.pk).update(chat=None)
    Contact.objects.filter(pk=rosa.pk).update(chat=chat, time_zone="Asia/Tokyo")

    said = staff.post(url, page | {"language": "es"}, follow=True).content.decode()

    rosa.refresh_from_db()
    assert (rosa.chat, rosa.time_zone, rosa.language) == (chat, "Asia/Tokyo", "")
    assert "changed meanwhile" in said
    staff.post(url, form_of(staff, url) | {"language": "es"})
    rosa.refresh_from_db()
    assert (rosa.chat, rosa.language) == (chat, "es")


def test_an_old_page_of_a_switch_does_not_turn_sending_on_again(client: Client) -> None:
    """Somebody pulled the kill switch while a colleague was writing a note."""
    client.force_login(User.objects.create_superuser("eve"))
    flags.seed()
    switch = Switch.objects.get(name="deliver")
    url = reverse("admin:waffle_switch_change", args=[switch.pk])
    page = form_of(client, url) | {"active": "on", "note": "All that goes out."}
    flags.set_deliver(on=False, by="bob")

    said = client.post(url, page, follow=True).content.decode()

    assert "changed meanwhile" in said
    assert not flags.deliver_is_on()
    assert [gate.key for gate in closed_gates()] == ["bot:switch"]
    client.post(url, form_of(client, url) | {"active": "on"})
    assert flags.deliver_is_on()


def test_a_correction_by_an_old_page_does_not_undo_that_of_somebody_else(staff: Client) -> None:
    fact = make.make_fact()
    seen = Outcome.objects.get()
    url = reverse("admin:attendance_outcome_correct", args=[seen.pk])
    correct_outcome(
        learner=fact.learner, session=fact.session, outcome=OutcomeKind.EXCUSED, by="bob",
        note="ill", now=clock.now(),
    )  # fmt: skip

    looked = staff.get(url, {"to": "attended"}, follow=True).content.decode()
    done = staff.post(url, {"to": "attended"}, follow=True).content.decode()

    assert Outcome.objects.get(is_current=True).outcome == "excused"
    assert "meanwhile" in looked
    assert "meanwhile" in done
    same = staff.post(url, {"to": "excused"}, follow=True).content.decode()  # a double click
    assert "nothing changed" in same


def test_a_scenario_with_a_name_that_there_is_is_refused_at_its_field(staff: Client) -> None:
    """Also by a double click on Save."""
    sequence = make.make_sequence()
    url = f"{reverse('admin:nurture_scenario_add')}?sequence={sequence.pk}"
    story = {
        "name": "Late", "learner": "Rosa", "time_zone": "UTC", "first_day": "2026-03-02",
        "given-TOTAL_FORMS": "0", "given-INITIAL_FORMS": "0",
        "expected-TOTAL_FORMS": "0", "expected-INITIAL_FORMS": "0",
    }  # fmt: skip
    assert staff.post(url, story).status_code == 302

    again = staff.post(url, story)

    assert again.status_code == 200
    assert "already" in again.content.decode()
    assert Scenario.objects.count() == 1


def test_who_holds_several_sequences_leaves_alone_what_is_held_already(staff: Client) -> None:
    """Its reason stays, and the undo opens only what this has closed."""
    for slug in ("calm", "loud"):
        make.make_sequence(make.PLAIN.replace("missed-class", slug))
    close_gate(key="stream:loud", reason="too many left", by="telbot")
    url = reverse("admin:nurture_sequence_changelist")
    chosen = {"_selected_action": list(Sequence.objects.values_list("pk", flat=True))}

    asked = staff.post(url, chosen | {"action": "hold"}).content.decode()
    done = staff.post(url, chosen | {"action": "hold", "confirmed": "1"})

    assert "Hold 1 sequences?" in asked
    assert "It is held already: too many left" in asked
    assert Gate.objects.get(key="stream:loud").reason == "too many left"
    assert done.context["chosen"] == [Sequence.objects.get(slug="calm").pk]
    staff.post(url, chosen | {"action": "let_go", "confirmed": "2"})
    assert not closed_gates()
    assert "It is not held." in staff.post(url, chosen | {"action": "let_go"}).content.decode()


def test_who_closes_several_gates_leaves_alone_what_is_closed_already(staff: Client) -> None:
    for slug in ("calm", "loud"):
        make.make_sequence(make.PLAIN.replace("missed-class", slug))
    close_gate(key="stream:loud", reason="too many left", by="telbot")
    rows = Gate.objects.filter(key__in=("stream:calm", "stream:loud"))
    chosen = {"action": "close", "_selected_action": list(rows.values_list("pk", flat=True))}

    done = staff.post(reverse("admin:delivery_gate_changelist"), chosen | {"confirmed": "1"})

    assert Gate.objects.get(key="stream:loud").reason == "too many left"
    assert done.context["chosen"] == ["stream:calm"]


def test_who_hears_nothing_by_another_version_is_not_called_moved() -> None:
    """What is withdrawn before it goes out is heard by nobody."""
    waits = make.PLAIN.replace("  - key: hello", "  - key: hello\n    wait: {after: 2d}")
    sequence = make.make_sequence(waits)
    rosa = make.make_contact()
    fact = make.make_fact(contact=rosa)
    day = timedelta(days=1)
    later = make.make_session(course=fact.session.course, starts_at=make.CLASS_STARTS + day)
    make.make_fact("attended", contact=rosa, session=later)
    source = waits.replace("steps:", "exit_when: [attended]\nsteps:")
    services.import_sequence(source=source, now=make.CLASS_STARTS)
    since, until = make.CLASS_STARTS - day, make.CLASS_STARTS + 7 * day
    first, second = (
        backtest(slug=sequence.slug, since=since, until=until, version=number) for number in (1, 2)
    )

    found = compare(first, second)

    assert found == {"gained": [], "lost": [rosa.learner.email], "moved": []}


def test_the_page_of_a_sequence_tells_what_is_off_and_on_which_days(staff: Client) -> None:
    source = make.PLAIN.replace("{fact: missed}", "{fact: missed, course: maths@example.org}")
    sequence = make.make_sequence(
        source.replace("steps:", 'window: {opens: "09:00", closes: "20:00", days: [tue]}\nsteps:')
        + "  - {key: later, enabled: false, wait: {at: '10:00', on: [mon]}, text: Come back.}\n"
    )

    url = reverse("admin:nurture_sequence_change", args=[sequence.pk])
    page = staff.get(url).content.decode()

    assert "the course maths@example.org" in page
    assert "09:00 to 20:00 their time, Tue" in page
    assert "on Mon" in page
    assert "switched off" in page


def test_a_name_that_is_too_long_is_refused_in_words(staff: Client) -> None:
    url = reverse("admin:nurture_sequence_new")
    said = staff.post(url, {"name": "n" * 121, "slug": "long", "like": ""}).content.decode()

    assert "at most 120 characters" in said
    assert not Sequence.objects.exists()
    with pytest.raises(SequenceFileError, match="at most 120 characters"):
        services.import_sequence(
            source=make.PLAIN.replace("name: We missed you", f"name: {'n' * 121}"), now=make.NOW
        )
    with pytest.raises(SequenceFileError, match="at most 320 characters"):
        services.import_sequence(
            source=make.PLAIN.replace("fact: missed", f"fact: missed, course: {'c' * 321}"),
            now=make.NOW,
        )


def test_a_test_to_staff_names_our_bot_and_not_a_strangers() -> None:
    arm(now=clock.now())
    remember_bot(username="school_bot")
    learner = make.make_contact().learner

    said = trying.variables_of(learner=learner, now=clock.now(), language="")

    assert said["bot_username"] == "school_bot"


def test_who_runs_a_job_that_is_running_is_told_so(staff: Client) -> None:
    at = clock.now()
    Job.objects.create(
        name="prune", does="Tidies.", hour=3, next_at=at, lease_until=at + timedelta(hours=1)
    )

    url = reverse("admin:nurture_job_changelist")
    page = staff.post(url, {"action": "run_now", "_selected_action": "prune"}).content.decode()

    assert "It runs just now." in page


def test_a_snooze_that_is_over_is_not_said_to_hold(staff: Client) -> None:
    rosa = make.make_contact()
    assert rosa.chat is not None
    url = reverse("admin:attendance_learner_change", args=[rosa.learner_id])
    snooze(chat=rosa.chat, until=clock.now() + timedelta(days=1))
    assert "asked for quiet" in staff.get(url).content.decode()

    snooze(chat=rosa.chat, until=clock.now() - timedelta(days=1))

    page = staff.get(url).content.decode()
    assert "asked for quiet" not in page
    assert "can be written to" in page


def test_an_enrolment_is_not_opened_beside_one_that_is_open(staff: Client) -> None:
    rosa, course, at = make.make_contact().learner, make.make_course(), clock.now()
    Enrolment.objects.create(learner=rosa, course=course, starts_at=at)
    old = Enrolment.objects.create(
        learner=rosa, course=course, starts_at=at - timedelta(days=60), ends_at=at
    )
    url = reverse("admin:attendance_enrolment_change", args=[old.pk])
    form = {"course": course.pk, "starts_at_0": "2026-01-01", "starts_at_1": "10:00"}

    said = staff.post(url, form | {"ends_at_0": "", "ends_at_1": ""})

    assert said.status_code == 200
    assert "is open already" in said.content.decode()
    said = staff.post(url, form | {"ends_at_0": "2026-02-01", "ends_at_1": "10:00"})
    assert said.status_code == 302


def test_a_learners_clock_is_that_of_a_course_that_ends_some_day() -> None:
    rosa, course = make.make_contact(), make.make_course(time_zone="Asia/Kolkata")
    at = clock.now()
    Enrolment.objects.create(
        learner=rosa.learner, course=course, starts_at=at, ends_at=at + timedelta(days=60)
    )
    assert learner_page(learner_id=rosa.learner_id).zone.key == "Asia/Kolkata"


def test_what_was_pretended_is_not_released_to_a_chat_that_is_not_theirs_any_more() -> None:
    """Whoever has the chat may be somebody else."""
    flags.set_nurture(percent=100)
    make.make_sequence(make.PLAIN.replace("entry:", "mode: dry_run\nentry:"))
    rosa = make.make_contact()
    make.make_fact(contact=rosa)
    services.tick(now=make.NOW)
    row = Delivery.objects.get(reason="dry_run")
    Contact.objects.filter(pk=rosa.pk).update(chat=None)
    leave_chat(learner=rosa.learner_id, chat=row.chat_id, now=make.NOW)

    assert dry_runs.release(delivery_ids=[row.pk], by=None, now=make.NOW) == 0

    _, [(_, why)] = dry_runs.sort_out(delivery_ids=[row.pk], now=make.NOW)
    assert "chat" in why
    assert not Delivery.objects.filter(status="pending").exists()


def test_what_a_doubt_holds_is_said_to_wait_for_the_review(staff: Client) -> None:
    """Who let it go on instead would tell somebody again what they say is not true."""
    flags.set_nurture(percent=100)
    make.make_sequence()
    rosa = make.make_fact().learner
    services.tick(now=make.NOW)
    assert conversation.dispute(journey=Journey.objects.get(), now=make.NOW)
    url = reverse("admin:attendance_learner_why", args=[rosa.pk])

    page = staff.get(url, {"sequence": "missed-class"}).content.decode()

    assert "An answer to the open review." in page
    assert "Let the journey go on" not in page


@pytest.mark.parametrize("together", [False, True])
def test_an_answer_that_lets_a_journey_go_on_says_so_beforehand(
    staff: Client, *, together: bool
) -> None:
    """Nothing changes by it, but what waited for the answer goes out."""
    flags.set_nurture(percent=100)
    make.make_sequence()
    make.make_fact()
    services.tick(now=make.NOW)
    assert conversation.dispute(journey=Journey.objects.get(), now=make.NOW)
    item = ReviewItem.objects.get()

    if together:
        url, data = "changelist", {"action": "as_left", "_selected_action": item.pk}
        page = staff.post(reverse(f"admin:attendance_reviewitem_{url}"), data)
    else:
        url = reverse("admin:attendance_reviewitem_change", args=[item.pk])
        page = staff.get(url, {"choice": "leave"})

    assert "held goes on" in page.content.decode()


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.0, "0%"), (1.0, "100%"), (0.5, "50%"), (0.996, "99.6%"), (0.9999, "over 99.9%"),
     (0.0004, "under 0.1%"), (0.052, "5.2%")],
)  # fmt: skip
def test_a_share_is_neither_rounded_to_all_nor_to_none(share: float, words: str) -> None:
    assert percent(share) == words
