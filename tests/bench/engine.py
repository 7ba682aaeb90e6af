"""How fast the engine is: a term under the simulated clock, a backtest, a pass among many.

`make bench-engine`, or `SHORT=1 make bench-engine`. Prints a table and one JSON object as the
last line. It fails where the results are wrong, never for a time.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.db import connection, connections, transaction  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402

from delivery.models import Delivery  # noqa: E402
from nurture import flags  # noqa: E402
from nurture.models import Decision, Journey  # noqa: E402
from nurture.services import advance_due, sequences  # noqa: E402
from nurture.services.simulation import backtest  # noqa: E402
from tests.bench.report import Figures, expect, table  # noqa: E402
from tests.bench.terms import BEGINS, Term, record  # noqa: E402
from tests.bench.worlds import copied, own_database, working_on  # noqa: E402

BUNDLED = Path(__file__).resolve().parent.parent.parent / "nurture" / "sequences"
WAITS = """\
sequence: waits
name: Waits
triggers:
  - {fact: missed}
steps:
  - {key: pause, kind: wait, wait: {after: 1d}}
  - key: hello
    wait: {after: 1h}
    when: {not: {all: [attended, replied, pledged_next]}}
    text: "Hi {{ first_name | default: 'there' }}, until {{ next_session_date | default: 'then' }}."
"""
NOW = BEGINS + timedelta(days=10)


# --- a term under the simulated clock -------------------------------------------------------------


def simulate(*, term: Term, slug: str, times: int) -> Figures:
    """Run a bundled sequence over a recorded term, `times` times; the digests must be equal."""
    facts = record(term)
    source = (BUNDLED / f"{slug}.yaml").read_text(encoding="utf-8")
    sequence = sequences.import_sequence(source=source, now=BEGINS).sequence
    sequences.publish(sequence=sequence, now=BEGINS)
    before = _rows()
    took, digests, found = [], set(), None
    for _ in range(times):
        began = time.perf_counter()
        found = backtest(slug=slug, since=BEGINS, until=term.ends)
        took.append(time.perf_counter() - began)
        digests.add(found.digest)
    assert found is not None, "times is at least one"
    expect("facts replayed", found.totals["facts"], facts)
    expect("digests", len(digests), 1)
    expect("rows written", _rows(), before)
    expect("somebody hears something", found.totals["messages"].get("sent", 0) > 0, True)
    return {
        "learners": term.learners,
        "days": term.days,
        "facts": facts,
        "journeys": found.totals["journeys"],
        "sent": found.totals["messages"]["sent"],
        "seconds": statistics.median(took),
        "facts_per_second": facts / statistics.median(took),
    }


def _rows() -> tuple[int, int, int]:
    return Journey.objects.count(), Delivery.objects.count(), Decision.objects.count()


# --- a pass with 1,000 due among many open journeys -----------------------------------------------


def among(*, few: int, many: int, due: int, rounds: int) -> Figures:
    """Advance the same due journeys among `few` and among `many` open ones, by turns."""
    record(Term(learners=due, days=10))
    sequences.publish(
        sequence=sequences.import_sequence(source=WAITS, now=BEGINS).sequence, now=BEGINS
    )
    flags.set_nurture(percent=100)
    with copied("many") as crowd:
        worlds: dict[str, Any] = {"few": connections["default"], "many": crowd}
        for name, world in worlds.items():
            with working_on(world):
                _open_journeys(few if name == "few" else many, due=due)
        took: dict[str, list[float]] = {name: [] for name in worlds}
        statements: dict[str, int] = {}
        for turn in range(rounds + 1):
            for name in worlds if turn % 2 else reversed(worlds):
                with working_on(worlds[name]):
                    seconds, statements[name] = _advance(due)
                if turn:  # the first one only warms up
                    took[name].append(1000 * seconds)
    ms = {name: statistics.median(values) for name, values in took.items()}
    return {
        "due": due,
        "few": few,
        "many": many,
        "ms_among_few": ms["few"],
        "ms_among_many": ms["many"],
        "ratio": ms["many"] / ms["few"],
        "statements_for_one": _statements(1),
        "statements_for_500": _statements(500),
    }


_FILL = """
INSERT INTO user_nurture_journeys
    (sequence_id, version_id, learner_id, entry_key, round, slot, status, exit_reason, course_id,
     step_key, anchor_at, next_action_at, steps_taken, is_test, started_at)
SELECT s.id, s.published_version_id, l.id, 'session:' || n, 1, n, 'active', '', e.course_id,
       'pause', %(now)s - interval '1 day',
       CASE WHEN n = 0 THEN %(now)s - interval '1 hour' * random()
            ELSE %(now)s + interval '1 day' * (1 + n) END, 1, false, %(now)s - interval '1 day'
  FROM nurture_sequences s
 CROSS JOIN attendance_learner l
  JOIN attendance_enrolment e ON e.learner_id = l.id
 CROSS JOIN generate_series(0, %(each)s - 1) n
 WHERE s.slug = 'waits'
"""


def _open_journeys(number: int, *, due: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_FILL, {"now": NOW, "each": number // due})
        cursor.execute("VACUUM ANALYZE user_nurture_journeys")
    expect("open journeys", Journey.objects.filter(status="active").count(), number)


@contextmanager
def _taken_back() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def _advance(due: int) -> tuple[float, int]:
    """Advance everything that is due, take it back; the seconds and the statements."""
    with _taken_back(), CaptureQueriesContext(connection) as queries:
        began = time.perf_counter()
        done = 0
        while advanced := advance_due(now=NOW):
            done += advanced
        took = time.perf_counter() - began
        expect("advanced", done, due)
        expect("planned", Delivery.objects.count(), due)
    return took, len(queries)


def _statements(limit: int) -> int:
    with _taken_back(), CaptureQueriesContext(connection) as queries:
        advance_due(now=NOW, limit=limit)
    return len(queries)


# --- the report -----------------------------------------------------------------------------------


def main() -> None:
    """Run the bench; exit non-zero where a result is wrong."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="fewer of all: under 30 s")
    short = parser.parse_args().short
    long_term = Term(learners=50 if short else 1000, days=28 if short else 90)
    weeks = Term(learners=50 if short else 400, days=14 if short else 84)
    with own_database():
        with copied("term") as world, working_on(world):
            term = simulate(term=long_term, slug="missed-class", times=1)
        with copied("weeks") as world, working_on(world):
            tested = simulate(term=weeks, slug="missed-class", times=2)
        with copied("among") as world, working_on(world):
            crowd = among(
                few=1_000 if short else 10_000,
                many=10_000 if short else 1_000_000,
                due=100 if short else 1_000,
                rounds=3 if short else 9,
            )
    days, people = term["days"], term["learners"]
    table(
        [
            (f"{days} days x {people:,} learners: facts", term["facts"], ""),
            ("  messages", term["sent"], ""),
            ("  seconds", term["seconds"], "< 120 for 90 x 1,000"),
            (f"backtest {tested['days']} days x {tested['learners']}, seconds", tested["seconds"],
             "< 60 for 84 x 400"),
            (f"{crowd['due']:,} due among {crowd['few']:,}, ms", crowd["ms_among_few"], ""),
            (f"{crowd['due']:,} due among {crowd['many']:,}, ms", crowd["ms_among_many"], ""),
            ("  ratio", crowd["ratio"], "<= 1.3"),
            ("statements for one due journey", crowd["statements_for_one"], ""),
            ("statements for 500", crowd["statements_for_500"], "<= 25"),
        ]
    )  # fmt: skip
    report = {"short": short, "term": term, "backtest": tested, "among": crowd}
    sys.stdout.write(json.dumps(report, default=str, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
