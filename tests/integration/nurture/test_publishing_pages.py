"""The pages around publishing, by role (N10, N11, P02, P24, P29, P30)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse
from waffle.models import Switch

from delivery import clock
from nurture import flags, services
from nurture.models import Journey, Scenario, Sequence, SequenceEdit
from nurture.services.roles import set_up_roles
from tests.factories import nurture as make
from tests.factories.scenarios import given, make_scenario, sent

pytestmark = pytest.mark.django_db

NEW = make.PLAIN.replace("we missed you in {{ session_title }}", "where were you?") + (
    "  - {key: later, wait: {after: 2d}, text: Still there?}\n"
)


@pytest.fixture(autouse=True)
def _on() -> None:
    flags.set_nurture(percent=100)
    set_up_roles()


def desk(role: str) -> Client:
    """Somebody with a role, logged in."""
    user, _ = User.objects.get_or_create(username=role, defaults={"is_staff": True})
    user.groups.set([Group.objects.get(name=role)])
    client = Client()
    client.force_login(user)
    return client


def draft(source: str = NEW, *, by: str = "author") -> Sequence:
    """What is published, and a draft of somebody's."""
    sequence = make.make_sequence()
    user, _ = User.objects.get_or_create(username=by, defaults={"is_staff": True})
    services.save_draft(
        sequence=sequence, source=source, by=user, now=clock.now(),
        expected_checksum=services.checksum_of(sequence.published_version),
    )  # fmt: skip
    sequence.refresh_from_db()
    return sequence


def page(sequence: Sequence, name: str) -> str:
    """The address of one of its pages."""
    return reverse(f"admin:nurture_sequence_{name}", args=[sequence.pk])


def choice(sequence: Sequence, **overrides: Any) -> dict[str, Any]:
    """What the form of the publish page sends."""
    assert sequence.draft_version is not None
    values = {
        "checksum": sequence.draft_version.checksum, "in_flight": "exit", "mode": "live",
        "override": "",
    }  # fmt: skip
    return values | overrides


def words(answer: Any) -> str:
    """The page as text."""
    return " ".join(answer.content.decode().split())


def somebody_inside(count: int = 1) -> None:
    """Journeys with a planned message each, as of now."""
    session = make.make_session(starts_at=clock.now() - timedelta(hours=4))
    for _ in range(count):
        make.make_fact(session=session)
    services.tick(now=clock.now())
    assert Journey.objects.count() == count


def test_a_publisher_looks_sees_what_it_does_and_publishes() -> None:
    sequence = draft()
    somebody_inside()
    client = desk("publisher")

    seen = words(client.get(page(sequence, "publish")))
    assert "<ins>" in seen
    assert "1 finish as they began" in seen
    asked = words(client.post(page(sequence, "publish"), choice(sequence)))
    assert "1 are withdrawn" in asked
    assert "Rosa Diaz" in asked
    done = client.post(page(sequence, "publish"), choice(sequence, confirmed="1"))

    assert done.status_code == 302
    sequence.refresh_from_db()
    assert (sequence.draft_version, sequence.published_version.number) == (None, 2)  # type: ignore[union-attr]
    assert Journey.objects.get().exit_reason == "version_replaced"
    assert "Version 2" in LogEntry.objects.get().change_message


def test_whom_a_draft_would_miss_is_counted_when_asked_for_where_there_are_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sequence = draft(NEW.replace("Still there?", "'{{ next_session_title }}'"))
    somebody_inside()
    client = desk("author")
    assert "next_session_title" in words(client.get(page(sequence, "publish")))
    monkeypatch.setattr("nurture.admin.publishing.COUNTED_AT_ONCE", 0)
    assert "Count them" in words(client.get(page(sequence, "publish")))
    counted = words(client.get(page(sequence, "publish"), {"count": "1"}))
    assert '<td class="tb-number">1</td>' in counted


def test_a_count_that_changed_publishes_nothing() -> None:
    sequence = draft()
    somebody_inside()
    answer = desk("publisher").post(page(sequence, "publish"), choice(sequence, confirmed="7"))
    assert "Meanwhile it touches 1 messages" in words(answer)
    sequence.refresh_from_db()
    assert sequence.draft_version is not None


def test_more_than_a_hundred_messages_are_typed() -> None:
    sequence = draft()
    somebody_inside(101)
    client, values = desk("publisher"), choice(sequence, confirmed="101")
    assert "Type 101" in words(client.post(page(sequence, "publish"), values))
    sequence.refresh_from_db()
    assert sequence.draft_version is not None
    client.post(page(sequence, "publish"), values | {"typed": "101"})
    sequence.refresh_from_db()
    assert sequence.draft_version is None


def test_a_failing_scenario_needs_a_reason() -> None:
    sequence = draft()
    make_scenario(sequence, [given(1, "22:00", "missed")], [sent("hello", 1, "22:00")])
    client = desk("publisher")
    assert "“Rosa misses a class” fails" in words(client.get(page(sequence, "publish")))
    values = choice(sequence, confirmed="0", in_flight="finish")
    assert "Nothing was published" in words(client.post(page(sequence, "publish"), values))
    said = {"override": "Only the second message is new."}
    assert client.post(page(sequence, "publish"), values | said).status_code == 302
    assert SequenceEdit.objects.latest("id").note == said["override"]


def test_whoever_wrote_it_sees_that_somebody_else_publishes() -> None:
    """P30."""
    Switch.objects.update_or_create(name=flags.FOUR_EYES, defaults={"active": True})
    sequence, client = draft(by="publisher"), desk("publisher")
    assert "four eyes" in words(client.get(page(sequence, "publish")))
    values = choice(sequence, confirmed="0", in_flight="finish")
    assert "four eyes" in words(client.post(page(sequence, "publish"), values))
    sequence.refresh_from_db()
    assert sequence.draft_version is not None


@pytest.mark.parametrize("values", [{}, {"in_flight": "finish"}, {"in_flight": "x", "mode": "y"}])
def test_without_a_choice_nothing_happens(values: dict[str, str]) -> None:
    sequence = draft()
    answer = desk("publisher").post(page(sequence, "publish"), values)
    assert "Choose what becomes" in words(answer)


def test_without_a_draft_it_says_so() -> None:
    sequence = make.make_sequence()
    assert "There is no draft" in words(desk("viewer").get(page(sequence, "publish")))


@pytest.mark.parametrize("role", ["viewer", "author", "operator"])
def test_others_look_and_do_not_publish(role: str) -> None:
    sequence = draft()
    client = desk(role)
    seen = words(client.get(page(sequence, "publish")))
    assert "Publishing is for publishers" in seen
    for name, values in (
        ("publish", choice(sequence, confirmed="0")),
        ("mode", {"mode": "stopped"}),
    ):
        assert client.post(page(sequence, name), values).status_code == 403
    sequence.refresh_from_db()
    assert (sequence.mode, sequence.draft_version is None) == ("live", False)


def test_an_author_makes_an_older_state_the_draft_again() -> None:
    sequence = draft()
    first = sequence.edits.order_by("pk")[0]
    assert sequence.draft_version is not None
    values = {"edit": str(first.pk), "checksum": "of long ago"}
    assert desk("operator").post(page(sequence, "versions"), values).status_code == 403
    client = desk("author")
    shown = words(client.get(page(sequence, "versions")))
    assert "What it changed: 0 rules, 2 steps" in shown
    assert "meanwhile" in words(client.post(page(sequence, "versions"), values))
    values["checksum"] = sequence.draft_version.checksum
    assert client.post(page(sequence, "versions"), values).status_code == 302
    sequence.refresh_from_db()
    assert sequence.draft_version.checksum == first.checksum
    for mistyped in ("x", "²", "9" * 30):
        answer = client.post(page(sequence, "versions"), {"edit": mistyped})
        assert "Choose a state" in words(answer)


def test_a_publisher_switches_the_mode() -> None:
    sequence = make.make_sequence()
    somebody_inside()
    client = desk("publisher")
    assert "1 journey under way" in words(client.get(page(sequence, "mode")))
    assert "Choose off" in words(client.post(page(sequence, "mode"), {"mode": "loud"}))
    assert client.post(page(sequence, "mode"), {"mode": "stopped"}).status_code == 302
    sequence.refresh_from_db()
    assert sequence.mode == "stopped"
    assert Journey.objects.get().exit_reason == "sequence_stopped"


def sheet(**overrides: str) -> dict[str, str]:
    """What the form of a scenario sends."""
    values = {
        "name": "Rosa misses a class", "learner": "Rosa Maro", "time_zone": "Europe/Berlin",
        "first_day": "2026-03-02", "nothing_else": "on",
        "given-TOTAL_FORMS": "2", "given-INITIAL_FORMS": "0",
        "given-0-day": "1", "given-0-at": "22:00", "given-0-what": "missed",
        "given-1-what": "",
        "expected-TOTAL_FORMS": "2", "expected-INITIAL_FORMS": "0",
        "expected-0-step": "hello", "expected-0-sent": "yes", "expected-0-day": "1",
        "expected-0-at": "22:00", "expected-1-step": "", "expected-1-sent": "yes",
    }  # fmt: skip
    return values | overrides


def test_an_author_writes_a_scenario_and_sees_how_it_comes_out() -> None:
    """N10: without code; played before it is kept, and then each time."""
    sequence, client = make.make_sequence(), desk("author")
    add = f"{reverse('admin:nurture_scenario_add')}?sequence={sequence.pk}"
    assert "What happens" in words(client.get(add))

    tried = client.post(add, sheet(**{"try": "1", "expected-0-at": "09:00"}))
    assert "hello was sent, day 1 (Mon 02 Mar) at 22:00; expected" in words(tried)
    assert not Scenario.objects.exists()

    kept = client.post(add, sheet())
    scenario = Scenario.objects.get()
    assert kept.status_code == 302
    assert scenario.given == [given(1, "22:00", "missed")]
    assert scenario.expected == [sent("hello", 1, "22:00")]
    change = reverse("admin:nurture_scenario_change", args=[scenario.pk])
    assert "as expected" in words(client.get(change))
    assert "as expected" in words(client.get(page(sequence, "scenarios")))

    changed = sheet(
        **{
            "given-INITIAL_FORMS": "1", "expected-INITIAL_FORMS": "1", "expected-0-DELETE": "on",
            "expected-1-step": "hello", "expected-1-sent": "no", "expected-1-reason": "opted_out",
        }
    )  # fmt: skip
    client.post(change, changed)
    scenario.refresh_from_db()
    [line] = scenario.expected
    assert (line["sent"], line["reason"]) == (False, "opted_out")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"time_zone": "Europe/Nowhere"}, "No such time zone"),
        ({"quiet_opens": "22:00"}, "need both ends"),
        ({"expected-0-at": ""}, "at what time"),
        ({"given-0-day": "0"}, "greater than or equal to 1"),
    ],
)
def test_what_makes_no_sense_is_marked(wrong: dict[str, str], said: str) -> None:
    sequence = make.make_sequence()
    add = f"{reverse('admin:nurture_scenario_add')}?sequence={sequence.pk}"
    answer = words(desk("author").post(add, sheet(**wrong)))
    assert "Nothing was saved" in answer
    assert said in answer


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_others_read_scenarios_and_do_not_write(role: str) -> None:
    sequence = make.make_sequence()
    scenario = make_scenario(sequence, [given(1, "22:00", "missed")], [sent("hello", 1, "22:00")])
    client = desk(role)
    change = reverse("admin:nurture_scenario_change", args=[scenario.pk])
    assert "as expected" in words(client.get(change))
    assert client.post(change, sheet(name="other")).status_code == 403
    assert client.get(reverse("admin:nurture_scenario_add")).status_code == 403
    assert "Authors write them" in words(
        client.get(
            page(make.make_sequence(make.PLAIN.replace("missed-class", "other")), "scenarios")
        )
    )


def test_a_scenario_is_of_some_sequence() -> None:
    make.make_sequence()
    assert "of which sequence" in words(desk("author").get(reverse("admin:nurture_scenario_add")))
