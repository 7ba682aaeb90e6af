"""Fourteen hundred pairs of learner and class, played forward (google.md's targets, N04).

Google is late, repeats itself and fails every seventh call; people come as guests, on two
devices, late, briefly or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from attendance import google_circuit, services
from attendance.google import Google
from attendance.models import AttendanceEvent, AttendancePolicy, Outcome, ReviewItem, SyncRun
from attendance.sandbox import Fault, serve, service_account_key
from attendance.services import review
from tests.integration.attendance.term import (
    BEGINS,
    PAIRS_OF_COURSE,
    EverySeventhFails,
    Pair,
    Term,
    make_term,
)

pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.timeout(300)]
HOUR = timedelta(hours=1)


class Played:
    """A term on its way: an hourly reading, and staff who look into the queue or do not."""

    def __init__(self, term: Term, google: Google, fake: EverySeventhFails) -> None:
        self.term, self.google, self.fake = term, google, fake
        self.now = BEGINS
        self.truth = {(pair.person.email, pair.event_id): pair for pair in term.pairs}
        self.false_missed: set[tuple[str, str]] = set()

    def play(
        self, *, until: datetime, staff_every: timedelta | None = None, step: timedelta = HOUR
    ) -> None:
        """Read, judge, look for a false absence, let staff answer; step by step by day."""
        looked = self.now
        while self.now < until:
            self.now += step if 8 <= self.now.hour < 20 else 4 * HOUR
            services.sync(now=self.now, google=self.google)
            services.settle(now=self.now)
            self._watch()
            if staff_every and self.now - looked >= staff_every:
                looked = self.now
                self._answer()

    def _watch(self) -> None:
        rows = Outcome.objects.filter(is_current=True, effective=True, outcome="missed")
        for pair in rows.values_list("learner__email", "session__event_id"):
            if self.truth[pair].truth != "missed":
                self.false_missed.add(pair)

    def _answer(self) -> None:
        """Staff know who was there: they answer what they are asked by the truth."""
        for item in ReviewItem.objects.filter(state="open", kind="guest"):
            who = next((p for p in self.term.pairs if self._is(p, item)), None)
            choice = "leave"
            if who is not None:
                learner = services.upsert_learner(
                    email=who.person.email, name=who.person.name, calendar_ids=(), now=self.now
                )
                choice = f"is:{learner.pk}"
            review.decide(item=item, choice=choice, by="staff", now=self.now)

    def _is(self, pair: Pair, item: ReviewItem) -> bool:
        """Whether the guest was this learner; an iPad may be anybody's, so nobody can say."""
        session, endpoint = item.session, item.endpoint
        return (
            session is not None
            and endpoint is not None
            and (pair.guest, pair.event_id) == (True, session.event_id)
            and endpoint.display_name == pair.shown_as == pair.person.name
        )

    def figures(self) -> dict[str, float]:
        """Coverage, strict accuracy, accuracy of what is decided."""
        found = {
            (email, event): (outcome, effective)
            for email, event, outcome, effective in Outcome.objects.filter(
                is_current=True
            ).values_list("learner__email", "session__event_id", "outcome", "effective")
        }
        decided = {p for p, (kind, ok) in found.items() if ok and kind != "unknown"}
        right = {p for p in decided if found[p][0] == self.truth[p].truth}
        return {
            "pairs": len(self.truth),
            "coverage": len(decided) / len(self.truth),
            "strict": len(right) / len(self.truth),
            "decided": len(right) / len(decided),
        }


@pytest.fixture
def played(seed: int, courses: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Played]:
    # The circuit rests by the real clock, and a simulated hour takes a second.
    monkeypatch.setattr(google_circuit, "REST_SECONDS", 0)
    google_circuit.circuit.cache_clear()
    term = make_term(seed=seed, courses=courses)
    for person in term.people:
        services.upsert_learner(
            email=person.email, name=person.name, calendar_ids=[person.calendar_id], now=BEGINS
        )
    fake = EverySeventhFails(records=term.records, calendars=term.calendars)
    with serve(fake) as url:
        google = Google(
            key=service_account_key(f"{url}/token"), delegated_user="a@school.example",
            api_url=url, retries=0,
        )  # fmt: skip
        found = Played(term, google, fake)
        fake.clock = lambda: found.now
        services.sync(now=BEGINS, google=google)  # what was before the term
        fake.fail_every = 7
        yield found
    google_circuit.circuit.cache_clear()


@pytest.mark.parametrize(
    ("seed", "courses", "way"),
    [(1, 5, "staff answer twice a day"), (2, 2, "names count, nobody answers")],
)
def test_a_term_is_judged_right(played: Played, courses: int, way: str) -> None:
    if way.startswith("names"):
        AttendancePolicy.objects.update(names_prove_presence=True)

    played.play(
        until=played.term.ends_at + timedelta(hours=30),
        staff_every=timedelta(hours=12) if way.startswith("staff") else None,
        step=2 * HOUR,
    )

    figures = played.figures()
    assert figures["pairs"] == courses * PAIRS_OF_COURSE
    assert figures["coverage"] >= 0.95
    assert figures["strict"] >= 0.97
    assert figures["decided"] >= 0.99
    in_time = {pair for pair in played.false_missed if not played.truth[pair].came_late}
    assert in_time == set()
    # Whose records came after all is told the truth in the end.
    assert not AttendanceEvent.objects.filter(kind="missed", outcome__flags__contains=["brief"])
    assert SyncRun.objects.filter(state="failed").count() > 10


@pytest.mark.parametrize(("seed", "courses"), [(3, 2)])
def test_while_google_is_dark_nobody_is_missed_and_staff_are_told_once(played: Played) -> None:
    """It recovers by itself: the alert closes, and everybody is judged."""
    played.play(until=BEGINS + timedelta(hours=6))
    alerts = ReviewItem.objects.filter(key="google_dark:meet")
    alerts.delete()  # at a reading an hour, one failure is already a long while
    before = Outcome.objects.filter(outcome="missed", effective=True).count()
    played.fake.faults = [Fault("/admin/reports", 503, times=10_000)]

    played.play(until=BEGINS + timedelta(hours=24))

    assert Outcome.objects.filter(outcome="missed", effective=True).count() == before
    assert [item.state for item in alerts.all()] == ["open"]
    played.fake.faults = []
    played.play(until=BEGINS + timedelta(hours=28))
    assert Outcome.objects.filter(outcome="missed", effective=True).count() > before
    assert not alerts.filter(state="open").exists()
