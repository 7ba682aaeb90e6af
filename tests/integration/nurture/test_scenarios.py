"""One golden scenario for each kind of step and each rule of time, from the fact to what is sent.

The production engine under a simulated clock, its messages recorded (P05, P06, P08-P11, P21, P32).
A scenario is a file's steps, and what Rosa in Berlin then hears; her class ended on Tuesday 3 March
2026 at 19:00 CET, and the fact "missed" was recorded three hours later.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from attendance.services import pledge
from delivery.models import Delivery
from nurture import flags, services
from nurture.models import Contact, ContactTag, Decision, Journey, StaffTask
from nurture.services.simulation.run import play
from tests.factories import nurture as make

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
NEXT = make.CLASS_STARTS + 7 * DAY
HEAD = "sequence: story\nname: Story\ntriggers:\n  - {fact: missed}\n"


@pytest.fixture(autouse=True)
def _on() -> None:
    flags.set_nurture(percent=100)


def tell(steps: str, *, head: str = "", next_class: bool = True, **rosa: Any) -> Journey:
    """Publish the story, let Rosa miss her class, and act on it."""
    make.make_sequence(f"{HEAD}{head}steps:\n{steps}")
    contact = make.make_contact(name="Rosa Maro", **({"time_zone": "Europe/Berlin"} | rosa))
    fact = make.make_fact(contact=contact)
    if next_class:
        make.make_session(course=fact.session.course, starts_at=NEXT, title="Lesson 5")
    services.tick(now=make.NOW)
    return Journey.objects.get()


def heard(journey: Journey, *, since: datetime = make.NOW) -> list[str]:
    """What Rosa hears in the days that follow: local time and text."""
    play(since=since, until=since + 20 * DAY)
    zone = ZoneInfo(Contact.objects.get(learner=journey.learner_id).time_zone or "UTC")
    rows = Delivery.objects.filter(decisions__journey=journey, status="sent").distinct()
    return [
        f"{row.sent_at.astimezone(zone):%a %d %H:%M} {row.text}"
        for row in rows.order_by("sent_at", "id")
        if row.sent_at
    ]


def codes(journey: Journey) -> list[str]:
    """What was decided on the way."""
    return list(journey.decisions.order_by("id").values_list("code", flat=True))


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        pytest.param("  - {key: a, text: Hi.}\n", ["Tue 03 22:00 Hi."], id="message at once"),
        pytest.param(
            "  - {key: a, wait: {after: 36h}, text: Hi.}\n",
            ["Thu 05 10:00 Hi."],
            id="after a duration",
        ),
        pytest.param(
            "  - {key: w, kind: wait, wait: {after: 1d}}\n"
            "  - {key: a, wait: {after: 2h}, text: Hi.}\n",
            ["Thu 05 00:00 Hi."],
            id="a wait, then counted from its end",
        ),
        pytest.param(
            "  - {key: a, wait: {at: '23:00', plus_days: 0}, text: Late.}\n"
            "  - {key: b, wait: {at: '09:00', plus_days: 0}, text: Early.}\n",
            ["Tue 03 23:00 Late.", "Wed 04 09:00 Early."],
            id="at a local time, today if it is still ahead",
        ),
        pytest.param(
            "  - {key: a, wait: {at: '08:00', 'on': [mon]}, text: Monday.}\n"
            "  - {key: b, wait: {at: '08:00', plus_days: 1, 'on': [mon, thu]}, text: Next.}\n",
            ["Mon 09 08:00 Monday.", "Thu 12 08:00 Next."],
            id="at a weekday",
        ),
        pytest.param(
            "  - {key: a, wait: {before_next_session: 2h}, text: 'At {{ next_session_time }}.'}\n",
            ["Tue 10 16:00 At 18:00."],
            id="before the next class",
        ),
        pytest.param(
            "  - {key: a, wait: {before_next_session: 9d}, text: Past.}\n"
            "  - {key: b, wait: {before_next_session: 9d, if_past: send}, text: Now.}\n",
            ["Tue 03 22:00 Now."],
            id="a moment gone by: skip or send",
        ),
        pytest.param(
            "  - {key: a, wait: {until_event: pledged, or_after: 2d}, text: Too late.}\n",
            ["Thu 05 22:00 Too late."],
            id="an event that does not come",
        ),
        pytest.param(
            "  - {key: q, kind: branch, when: has_next_session, then: y, else: n}\n"
            "  - {key: n, text: No class.}\n"
            "  - {key: y, text: See you.}\n",
            ["Tue 03 22:00 See you."],
            id="a branch",
        ),
        pytest.param(
            "  - {key: s, kind: split, arms: {x: 999999, y: 1}}\n"
            "  - {key: y, text: Never.}\n"
            "  - {key: x, text: Always.}\n",
            ["Tue 03 22:00 Always."],
            id="a split",
        ),
        pytest.param(
            "  - {key: t, kind: tag, add: told}\n"
            "  - {key: a, when: 'tag:told', text: Told.}\n"
            "  - {key: u, kind: tag, remove: told}\n"
            "  - {key: b, when: 'tag:told', text: Again.}\n",
            ["Tue 03 22:00 Told."],
            id="a tag put on and taken off",
        ),
        pytest.param(
            "  - {key: a, text: Hi.}\n"
            "  - {key: e, kind: exit, wait: {after: 1d}, reason: enough}\n"
            "  - {key: b, wait: {after: 1d}, text: Never.}\n",
            ["Tue 03 22:00 Hi."],
            id="an exit",
        ),
        pytest.param(
            "  - {key: a, enabled: false, text: Off.}\n  - {key: b, text: Hi.}\n",
            ["Tue 03 22:00 Hi."],
            id="a step that is switched off",
        ),
        pytest.param(
            "  - {key: a, text: '{{ next_session_url }}'}\n  - {key: b, text: Hi.}\n",
            ["Tue 03 22:00 Hi."],
            id="a value that is missing",
        ),
    ],
)
def test_each_kind_of_step(steps: str, expected: list[str]) -> None:
    """P05, P06: what is sent, and when on her clock."""
    assert heard(tell(steps)) == expected


def test_a_person_is_asked() -> None:
    """P33: a hand-over is a task with its note, and the journey goes on."""
    journey = tell(
        "  - {key: h, kind: handover, to: tutor, note: Call.}\n  - {key: a, text: Hi.}\n"
    )
    assert heard(journey) == ["Tue 03 22:00 Hi."]
    assert StaffTask.objects.get().note == "tutor: Call."


def test_an_event_that_comes_ends_the_wait() -> None:
    """P05: she says yes after a day, and hears at once."""
    journey = tell("  - {key: a, wait: {until_event: pledged, or_after: 5d}, text: Great.}\n")
    at = make.NOW + DAY
    play(since=make.NOW, until=at)
    session = journey.course.sessions.get(starts_at=NEXT) if journey.course else None
    assert session is not None
    pledge(learner=journey.learner, session=session, answer=True, source="bot", now=at)
    services.tick(now=at)
    assert heard(journey) == ["Wed 04 22:00 Great."]


def test_without_a_next_class_nothing_announces_it() -> None:
    """P06: no crash, no date that is none; the reason is kept."""
    journey = tell("  - {key: a, wait: {before_next_session: 2h}, text: Soon.}\n", next_class=False)
    assert heard(journey) == []
    assert "no_next_session" in codes(journey)


WINDOW = 'window: {opens: "09:00", closes: "20:00", days: [mon, tue, wed, thu, fri]}\n'


@pytest.mark.parametrize(
    ("head", "rosa", "expected"),
    [
        (WINDOW, {}, ["Wed 04 09:00 Hi."]),
        (WINDOW.replace("mon, tue, wed, thu, ", ""), {}, ["Fri 06 09:00 Hi."]),
        ('window: {opens: "21:00", closes: "06:00"}\n', {}, ["Tue 03 22:00 Hi."]),
        ("", {"quiet_opens": "21:00", "quiet_closes": "07:30"}, ["Wed 04 07:30 Hi."]),
        (WINDOW, {"quiet_opens": "20:00", "quiet_closes": "10:00"}, ["Wed 04 10:00 Hi."]),
        (WINDOW + "outside_hours: skip\n", {}, []),
        ("outside_hours: skip\n", {"quiet_opens": "21:00", "quiet_closes": "07:30"}, []),
        (WINDOW, {"time_zone": "America/New_York"}, ["Tue 03 16:00 Hi."]),
        (WINDOW, {"time_zone": ""}, ["Wed 04 09:00 Hi."]),
    ],
)
def test_hours(head: str, rosa: dict[str, Any], expected: list[str]) -> None:
    """P08, P09: windows, quiet hours, both, held or skipped, in her zone or the chain's next."""
    journey = tell("  - {key: a, text: Hi.}\n", head=head, **rosa)
    assert heard(journey) == expected
    if not expected:
        assert "outside_hours" in codes(journey)


def test_what_expires_while_it_is_held_is_not_sent() -> None:
    """P10: the bot is off for two days; a message useful for one is not sent afterwards."""
    journey = tell("  - {key: a, expires: 24h, text: Today.}\n  - {key: b, text: Later.}\n")
    flags.set_deliver(on=False, by="boss")
    play(since=make.NOW, until=make.NOW + 2 * DAY)
    flags.set_deliver(on=True, by="boss")
    assert heard(journey, since=make.NOW + 2 * DAY) == ["Thu 05 22:00 Later."]
    assert Delivery.objects.get(text="Today.").reason == "expired"


@pytest.mark.parametrize(("then", "low"), [("drop", []), ("defer", ["Wed 04 22:00 Low."])])
def test_of_two_messages_under_a_cap_the_more_important_goes(then: str, low: list[str]) -> None:
    """P11: one a day; the other is dropped or deferred, as its sequence says, with its reason."""
    story = f"cap: {{per_day: 1, then: {then}}}\nsteps:\n  - {{key: a, text: Low.}}\n"
    make.make_sequence(HEAD + "priority: 200\n" + story)
    urgent = HEAD.replace("story", "urgent") + "priority: 10\n"
    make.make_sequence(urgent + story.replace("Low.", "High."))
    rosa = make.make_contact(time_zone="Europe/Berlin")
    make.make_fact(contact=rosa)
    services.tick(now=make.NOW)

    one, other = Journey.objects.order_by("version__priority")

    assert heard(one) == ["Tue 03 22:00 High."]
    assert heard(other) == low
    if then == "drop":
        assert Delivery.objects.get(text="Low.").reason == "capped"


@pytest.mark.parametrize(
    ("language", "text"),
    [("es", "Hola."), ("es-MX", "Hola."), ("pt-br", "Oi."), ("pt", "Hi."), ("", "Hi.")],
)
def test_a_text_in_the_learners_language(language: str, text: str) -> None:
    """P21: their own, else that of its family, else the first."""
    journey = tell(
        "  - {key: a, text: Hi.}\nlanguages: {es: {a: Hola.}, pt-br: {a: Oi.}}\n",
        language=language,
    )
    assert heard(journey) == [f"Tue 03 22:00 {text}"]


def test_exit_rules_are_looked_at_before_each_step() -> None:
    """P04: she attends the next class, and the second message is not sent."""
    steps = "  - {key: a, text: Hi.}\n  - {key: b, wait: {after: 10d}, text: Still there?}\n"
    journey = tell(steps, head="exit_when: [attended]\n")
    play(since=make.NOW, until=NEXT)
    session = journey.course.sessions.get(starts_at=NEXT) if journey.course else None
    make.make_fact("attended", contact=Contact.objects.get(), session=session)
    services.tick(now=NEXT + timedelta(hours=4))
    journey.refresh_from_db()
    assert (journey.status, journey.exit_reason) == ("exited", "exit_fact")
    assert heard(journey) == ["Tue 03 22:00 Hi."]


def test_a_journey_takes_a_limited_number_of_steps() -> None:
    """P32: over its budget it stops with its own code, whatever led it there."""
    journey = tell("  - {key: a, wait: {after: 1d}, text: Hi.}\n")
    Journey.objects.update(steps_taken=100, next_action_at=make.NOW, waiting_on=None)
    services.tick(now=make.NOW)
    journey.refresh_from_db()
    assert (journey.status, journey.exit_reason) == ("exited", "step_budget")
    assert not ContactTag.objects.exists()
    assert Decision.objects.filter(code="step_budget").count() == 1
