"""The pages of a sequence at work: what they say, for whom, in how many statements."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.safestring import SafeString

from delivery import clock
from delivery.models import Chat
from nurture import services
from nurture.admin.insight.walkthrough import as_shown
from nurture.domain.funnel import State
from nurture.models import BacktestRun, Contact, HoldoutAssignment, Sequence
from nurture.services import backtests, sequences
from nurture.services.insight import count_runs
from nurture.services.roles import set_up_roles
from tests.factories import nurture as make
from tests.factories.runs import make_runs

pytestmark = pytest.mark.django_db
MOST_QUERIES = 15


@pytest.fixture
def as_role(client: Client) -> Callable[[str], Client]:
    """A member of staff of one role is logged in."""

    def login(role: str) -> Client:
        set_up_roles()
        user, _ = User.objects.get_or_create(username=role, defaults={"is_staff": True})
        user.groups.set([Group.objects.get(name=role)])
        client.force_login(user)
        return client

    return login


def url(page: str, sequence: Sequence, query: str = "") -> str:
    return reverse(f"admin:nurture_sequence_{page}", args=[sequence.pk]) + query


def words(client: Client, address: str, *, counted: bool = True) -> str:
    """What a page says, without its markup; in few statements, unless it plays the engine."""
    answer = client.get(address)
    assert answer.status_code == 200
    if counted:  # what is read once for all pages has been read by now
        with CaptureQueriesContext(connection) as queries:
            client.get(address)
        assert len(queries) <= MOST_QUERIES, [query["sql"][:90] for query in queries]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def test_a_sequence_is_read_in_as_many_queries_whatever_was_sent(
    as_role: Callable[[str], Client],
) -> None:
    """N08: unfold reads each field four times; what asks the database does so once."""
    few, many = make.make_sequence(make.PLAIN.replace("missed-class", "new")), make_runs(runs=200)
    client, counts = as_role("viewer"), []

    for sequence in (few, many):
        words(client, url("change", sequence))
        with CaptureQueriesContext(connection) as queries:
            client.get(url("change", sequence))
        counts.append(len(queries))

    assert counts[0] == counts[1] <= MOST_QUERIES


def test_the_timeline_shows_each_step_with_its_figures(as_role: Callable[[str], Client]) -> None:
    """P25: of 500 runs; the numbers are those of count_runs, proved elsewhere."""
    sequence = make_runs(runs=500)
    client = as_role("viewer")
    assert sequence.published_version is not None
    found = count_runs(version_id=sequence.published_version.pk, since=make.CLASS_STARTS)

    said = words(client, url("timeline", sequence, "?days=all"))

    step = found.of("later")
    assert f"{step.states[State.SENT]} sent" in said
    assert f"{step.reached} came here" in said
    assert f"{step.left} ended early here" in said
    assert "missed, the first in a row, any course" in said
    assert "2 d after the step before" in said
    assert "Median wait" in said


@pytest.mark.parametrize("state", ["sent", "waiting", "left", "skipped", "reached"])
def test_a_number_leads_to_its_list(as_role: Callable[[str], Client], state: str) -> None:
    sequence = make_runs(runs=300)
    client = as_role("viewer")
    page = client.get(url("timeline", sequence, "?days=all")).content.decode()
    found = re.search(
        rf'href="([^"]*/runs/[^"]*step=later[^"]*state={state})">(?:<i[^>]*></i>)?'
        r"<strong>(\d+)</strong>",
        page,
    )
    assert found is not None
    address, number = found[1].replace("&amp;", "&"), int(found[2])

    said = words(client, address)

    assert f"of {number} " in said
    following = client.get(address + "&page=2")
    assert following.status_code == 200


def test_a_sequence_without_a_version_has_pages_that_say_so(
    as_role: Callable[[str], Client],
) -> None:
    empty = Sequence.objects.create(slug="empty", name="Empty")
    client = as_role("author")

    for page in ("timeline", "walkthrough", "backtest"):
        assert "has no version yet" in words(client, url(page, empty))
    assert "Nobody is held out" in words(client, url("effect", empty))
    assert client.get(url("timeline", empty).replace(str(empty.pk), "999999")).status_code == 404


def test_who_leaves_after_what_is_ranked(as_role: Callable[[str], Client]) -> None:
    """N16: the step after which more block the bot comes first, with its interval."""
    for slug, gone in (("calm", 0), ("loud", 2)):
        make.make_sequence(make.PLAIN.replace("missed-class", slug))
        people = [make.make_contact() for _ in range(4)]
        for contact in people:
            make.make_fact(contact=contact, session=make.make_session(course=make.make_course()))
        services.process_events(now=make.NOW)
        at = clock.now() - timedelta(days=2)
        for journey in Sequence.objects.get(slug=slug).journeys.select_related("waiting_on"):
            assert journey.waiting_on is not None
            make.settle(journey.waiting_on, at=at)
        left = Chat.objects.filter(contact__in=people[:gone])
        left.update(reachability="blocked", reachability_changed_at=at + timedelta(hours=1))

    said = words(as_role("viewer"), reverse("admin:nurture_sequence_leaving"))

    rows = re.findall(r"We missed you hello (\d+) (\d+) (\d+) (\d+) (\S+) ([\d.]+%)", said)
    assert [row[:5] for row in rows[:1]] == [("4", "2", "2", "0", "50%")]
    assert rows[-1][4] == "0%"


def test_the_effect_is_told_with_what_is_lacking(as_role: Callable[[str], Client]) -> None:
    """P20, N20: no verdict of few; each learner leads to the class with its joins."""
    sequence = make.make_sequence(make.PLAIN + "holdout: 50\n")
    course = make.make_course()
    people = [make.make_contact(name=name) for name in ("Sam", "Hal")]
    session = make.make_session(course=course)
    for contact in people:
        HoldoutAssignment.objects.create(
            sequence=sequence, learner=contact.learner, held_out=contact.learner.name == "Hal",
            assigned_at=make.CLASS_STARTS,
        )  # fmt: skip
        make.make_fact(contact=contact, session=session)
    services.process_events(now=make.NOW)
    following = make.make_session(course=course, starts_at=make.CLASS_STARTS + timedelta(days=7))
    make.make_fact("attended", contact=people[0], session=following)
    make.make_fact("missed", contact=people[1], session=following)
    client = as_role("viewer")

    said = words(client, url("effect", sequence))

    assert "49 more written to and 49 more held out must have had their next class" in said
    assert "Hal held out" in said
    joins = reverse("admin:attendance_classsession_change", args=[following.pk])
    assert joins in client.get(url("effect", sequence)).content.decode()
    assert client.get(joins).status_code == 200
    only_held = words(client, url("effect", sequence, "?group=held"))
    assert "Sam" not in only_held


def test_a_walk_is_told_in_local_time_with_its_reasons(as_role: Callable[[str], Client]) -> None:
    """P23: Monday 22:40 in Berlin, so Tuesday 09:00; an answer leads on."""
    sequence = make.make_sequence(make.PLAIN + make.WINDOW)
    client = as_role("viewer")
    address = url("walkthrough", sequence, "?who=ann&start=2026-03-02T22:40")

    said = words(client, address, counted=False)

    assert "Tue 03 Mar 2026 09:00 CET" in said
    assert "Mon 22:40 is outside the hours of the sequence" in said
    assert "Hi Ann, we missed you in Spanish A1." in said
    page = client.get(address).content.decode()
    then = re.search(r'href="(\?[^"]*answer=stopped[^"]*)"', page)
    assert then is not None
    after = words(
        client, url("walkthrough", sequence, then[1].replace("&amp;", "&")), counted=False
    )
    assert "says stop, Tue 03 Mar 10:00" in after


def test_the_form_of_a_walk_costs_few_statements(as_role: Callable[[str], Client]) -> None:
    """All but the walk itself, which plays the engine on copies of its tables."""
    sequence = make.make_sequence()
    assert "Name a learner." in words(
        as_role("viewer"), url("walkthrough", sequence, "?who=learner")
    )


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("?who=learner&learner=nobody", "No learner is called"),
        ("?zone=Mars/Base", "is no time zone"),
        ("?quiet_from=22:00", "need both a beginning and an end"),
        ("?quiet_from=late", "is no time of day"),
        ("?start=soon", "is no date and time"),
        ("?start=9999-12-31T23:59", "more than 20 years away"),
        ("?answer=nonsense&answer=replied@x", "Hi Ann"),
        ("?who=learner&learner=Rosa", "Several are called so"),
    ],
)
def test_what_cannot_be_walked_is_said(
    as_role: Callable[[str], Client], query: str, said: str
) -> None:
    sequence = make.make_sequence()
    make.make_contact(name="Rosa One")
    make.make_contact(name="Rosa Two")
    assert said in words(as_role("viewer"), url("walkthrough", sequence, query), counted=False)


def test_a_learner_is_found_by_name_or_address(as_role: Callable[[str], Client]) -> None:
    sequence = make.make_sequence()
    rosa = make.make_contact(name="Rosa Diaz", time_zone="America/Lima")
    make.make_contact(name="Rosa Other")
    client = as_role("viewer")
    for query in ("Rosa Di", rosa.learner.email.upper()):
        said = words(
            client, url("walkthrough", sequence, f"?who=learner&learner={query}"), counted=False
        )
        assert "Rosa Diaz, America/Lima" in said


@pytest.mark.parametrize(
    ("text", "safe"),
    [("<b>Hi</b>", True), ("<script>x</script>", False), ('<a href="javascript:x">y</a>', False)],
)
def test_only_telegrams_own_tags_reach_a_bubble(text: str, *, safe: bool) -> None:
    """Anything else is escaped by the template."""
    assert isinstance(as_shown(text), SafeString) is safe


def test_a_zone_that_is_none_breaks_no_page(as_role: Callable[[str], Client]) -> None:
    sequence = make_runs(runs=100)
    learner = sequence.journeys.exclude(is_test=True).first()
    assert learner is not None
    Contact.objects.create(learner=learner.learner, time_zone="Mars/Base")
    client = as_role("viewer")

    assert "Learner" in words(client, url("runs", sequence, "?days=all&state=begun"))
    assert "Europe" not in words(
        client,
        url("walkthrough", sequence, f"?who=learner&learner={learner.learner.email}"),
        counted=False,
    )


def test_a_small_backtest_is_run_at_once_and_told_learner_by_learner(
    as_role: Callable[[str], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """N01: gained, lost, moved; with the other version beside."""
    sequence = make.make_sequence()
    one, two = make.make_contact(name="One"), make.make_contact(name="Two")
    make.make_fact(contact=one)
    make.make_fact("late", contact=two)
    sequences.import_sequence(
        source=make.PLAIN.replace("{fact: missed}", "{fact: late}"), now=make.CLASS_STARTS
    )
    monkeypatch.setattr(
        "nurture.admin.insight.backtest.now", lambda: make.CLASS_STARTS + timedelta(days=7)
    )
    client = as_role("author")

    answer = client.post(url("backtest", sequence), {"version": "2", "against": "1", "weeks": "2"})

    said = words(client, answer.headers["Location"])
    assert "1 hear something, and would not by the other version" in said
    assert "Two Tue 03 Mar 2026 21:00 UTC: hello nothing" in said
    assert "done" in said
    lost = words(client, answer.headers["Location"] + "&kind=lost")
    assert "One nothing Tue 03 Mar 2026 21:00 UTC: hello" in lost


def test_a_large_backtest_goes_to_a_worker_and_its_page_waits(
    as_role: Callable[[str], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    sequence = make.make_sequence()
    make.make_fact()
    monkeypatch.setattr(backtests, "AT_ONCE", 0)
    monkeypatch.setattr(
        "nurture.admin.insight.backtest.now", lambda: make.CLASS_STARTS + timedelta(days=7)
    )
    rung: list[bool] = []
    monkeypatch.setattr("nurture.tasks.ring_for_backtests", lambda: rung.append(True))
    client = as_role("author")

    address = client.post(
        url("backtest", sequence), {"version": "1", "against": "", "weeks": "2"}
    ).headers["Location"]

    assert "A worker will take it" in words(client, address)
    assert client.get(address + "&state=1").json() == {"state": "waiting"}
    assert len(rung) > 1
    BacktestRun.objects.update(started_at=make.CLASS_STARTS)
    assert "The worker that had it is gone" in words(client, address)


def test_too_large_a_backtest_is_refused_with_a_sentence(
    as_role: Callable[[str], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    sequence = make.make_sequence()
    make.make_fact()
    monkeypatch.setattr(backtests, "MOST", 0)
    monkeypatch.setattr(
        "nurture.admin.insight.backtest.now", lambda: make.CLASS_STARTS + timedelta(days=7)
    )
    client = as_role("author")

    answer = client.post(url("backtest", sequence), {"version": "1", "weeks": "2"}, follow=True)

    assert "These weeks hold 1 outcomes to look at" in answer.content.decode()
    assert not BacktestRun.objects.exists()


def test_a_viewer_sees_backtests_and_runs_none(as_role: Callable[[str], Client]) -> None:
    """P28: running one is for authors and above; nothing else here takes a form."""
    sequence = make.make_sequence()
    client = as_role("viewer")

    assert "Running one is for authors" in words(client, url("backtest", sequence))
    assert client.post(url("backtest", sequence), {"version": "1", "weeks": "2"}).status_code == 403
    assert client.post(url("timeline", sequence)).status_code == 403
    client.logout()
    User.objects.create_user("new", password="x", is_staff=True)
    client.force_login(User.objects.get(username="new"))
    for page in ("timeline", "runs", "walkthrough", "backtest", "effect"):
        assert client.get(url(page, sequence)).status_code == 403
