"""Past classes from a file: all of it or nothing, and never twice."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from attendance.domain.imports import csv_rows
from attendance.models import (
    AttendanceEvent,
    ClassSession,
    Course,
    Enrolment,
    Learner,
    Outcome,
    Pledge,
)
from attendance.selectors import streak
from attendance.services import imports, upsert_learners
from attendance.services.roster import Person
from tests.factories.classes import ENDS, STARTS, judge, make_class, make_course, outcome_of, stay
from tests.factories.imports import HISTORY, NOW, everything, line, refused, run

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands run a month after the first class."""
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)


def test_history_makes_classes_at_rest_with_effective_outcomes(tmp_path: Path) -> None:
    """A course that is new, two learners in one class; again changes nothing; no fact goes out."""
    course, (rosa, bea) = make_course("Rosa Maro", "Bea Luz")
    other = Course(calendar_id="new@group.example")
    content = HISTORY + "".join(
        [
            line(rosa, other, outcome="missed", pledge="broken"),
            line(bea, other, outcome="attended"),
            line(rosa, course, session="ev1", outcome="late", pledge="kept"),
            line(bea, course, session="ev1"),
        ]
    )

    done = run(tmp_path, "import_history", content)

    assert done == {
        "classes": 2, "enrolments": 2, "outcomes": 3, "pledges": 2, "kept": 0, "pledges_kept": 0,
        "dry_run": False,
    }  # fmt: skip
    held = ClassSession.objects.get(course__calendar_id="new@group.example")
    assert (held.status, held.settled_at, held.next_check_at) == ("settled", held.ends_at, None)
    assert held.event_id.startswith("import:")
    assert (held.starts_at, held.title) == (STARTS, "Spanish A2")
    assert held.course.policies.count() == 1
    outcome = outcome_of(rosa, held)
    assert (outcome.outcome, outcome.origin, outcome.reason) == ("missed", "import", "imported")
    assert (outcome.revision, outcome.effective, outcome.effective_at) == (1, True, NOW)
    promise = Pledge.objects.get(learner=rosa, session=held)
    assert (promise.state, promise.answered_at, promise.source) == ("broken", STARTS, "import")
    assert ClassSession.objects.filter(course=course).get().event_id == "ev1"
    before = everything()
    again = run(tmp_path, "import_history", content)
    assert (again["classes"], again["outcomes"], again["kept"]) == (0, 0, 3)
    assert again["pledges_kept"] == 2
    assert everything() == before
    assert not AttendanceEvent.objects.exists()


def test_imported_classes_count_in_streaks(tmp_path: Path) -> None:
    """Two imported absences and one of the engine's are three in a row; only the last is news."""
    course, (rosa, bea) = make_course("Rosa Maro", "Bea Luz")
    run(
        tmp_path,
        "import_history",
        HISTORY
        + line(rosa, course, week=-2, outcome="missed", pledge="broken")
        + line(rosa, course, week=-1, outcome="missed", pledge="yes"),
    )
    session = make_class(course)
    stay(session, email=bea.email)

    judge(session)

    count = streak(learner_id=rosa.pk, course_id=course.pk, fact="missed", session=session)
    assert count == 3
    assert AttendanceEvent.objects.get(learner=rosa, kind="missed").streak == 3
    newest = ClassSession.objects.get(starts_at=STARTS - timedelta(weeks=1))
    pledged = streak(learner_id=rosa.pk, course_id=course.pk, fact="missed_pledged", session=newest)
    assert pledged == 2


def test_what_is_known_stays_as_it_is(tmp_path: Path) -> None:
    """An outcome, a promise, a class of the calendar's, an enrolment that has ended."""
    course, (rosa, bea) = make_course("Rosa Maro", "Bea Luz")
    session = make_class(course, event_id="ev1", title="By the calendar")
    stay(session, email=rosa.email)
    judge(session)
    Pledge.objects.create(learner=rosa, session=session, state="no", answered_at=STARTS)
    Enrolment.objects.filter(learner=bea).update(ends_at=ENDS)
    facts = AttendanceEvent.objects.count()

    done = run(
        tmp_path,
        "import_history",
        HISTORY
        + line(rosa, course, session="ev1", title="x", outcome="missed", pledge="broken")
        + line(bea, course, week=1, outcome="excused"),
    )

    assert (done["kept"], done["pledges_kept"]) == (1, 1)
    assert (done["classes"], done["enrolments"], done["outcomes"]) == (1, 0, 1)
    assert outcome_of(rosa, session).outcome == "attended"
    assert Pledge.objects.get().state == "no"
    assert ClassSession.objects.get(event_id="ev1").title == "By the calendar"
    assert not Enrolment.objects.filter(learner=bea, ends_at=None).exists()
    assert AttendanceEvent.objects.count() == facts


def test_a_line_without_an_id_means_the_class_that_began_then(tmp_path: Path) -> None:
    """So no class is made twice beside the calendar's; where two began, the line must say."""
    course, (rosa, bea) = make_course("Rosa Maro", "Bea Luz")
    session = make_class(course, event_id="ev1")
    make_class(course, event_id="off", status="cancelled", next_check_at=None)

    run(tmp_path, "import_history", HISTORY + line(rosa, course, outcome="late"))

    assert outcome_of(rosa, session).outcome == "late"
    make_class(course, event_id="ev2")
    assert refused(tmp_path, "import_history", HISTORY + line(bea, course, outcome="late")) == [
        "line 2: several classes of this course begin then; say which one in `session`"
    ]


def test_a_class_to_come_can_only_be_promised(tmp_path: Path) -> None:
    """Nothing of the class itself changes, and no fact goes out."""
    course, (rosa, bea) = make_course("Rosa Maro", "Bea Luz")
    session = make_class(course, weeks=8, event_id="soon")
    before = ClassSession.objects.filter(pk=session.pk).values().get()

    problems = refused(
        tmp_path,
        "import_history",
        HISTORY
        + line(rosa, course, week=8, session="soon", outcome="attended")
        + line(bea, course, week=8, session="soon", pledge="kept")
        + line(rosa, course, week=9, session="later", pledge="yes")
        + line(bea, course, week=8, session="soon", pledge="yes"),
    )

    assert problems == [
        "line 2: this class is not over; it can only be pledged (yes or no)",
        "line 3: this class is not over; it can only be pledged (yes or no)",
        "line 4: this class is not over and not known; sync the calendar first",
    ]
    done = run(
        tmp_path,
        "import_history",
        HISTORY + line(rosa, course, week=8, session="soon", pledge="yes"),
    )
    assert (done["classes"], done["pledges"]) == (0, 1)
    promise = Pledge.objects.get()
    assert (promise.state, promise.answered_at) == ("yes", NOW)
    assert ClassSession.objects.filter(pk=session.pk).values().get() == before
    assert not AttendanceEvent.objects.exists()


def test_bad_history_is_refused_whole(tmp_path: Path) -> None:
    course, (rosa,) = make_course("Rosa Maro")
    before = everything()

    problems = refused(
        tmp_path,
        "import_history",
        HISTORY
        + line(rosa, Course(calendar_id="new@x"), outcome="attended")
        + line(rosa, course, session="ev1", outcome="attended")
        + line(rosa, course, session="ev1", outcome="missed")
        + line(rosa, course, session="ev1", week=1, outcome="missed")
        + line(Learner(email="who@x.org"), course, outcome="late")
        + line(rosa, course, week=2, outcome="pending")
        + line(rosa, course, week=3, starts_at="2026-06-23T18:00"),
    )

    assert problems == [
        "line 4: the same learner and class as in line 3",
        f"line 5: this class is known to begin at {STARTS.isoformat()}",
        "line 6: no learner has the address who@x.org; import the learners first",
        "line 7: the outcome 'pending' is none of attended, late, left_early, partial, missed, "
        "excused",
        "line 8: starts_at: say the zone of '2026-06-23T18:00' too, as in 2026-03-03T17:00Z",
    ]
    assert everything() == before


def test_many_lines_take_few_statements_and_show_progress(tmp_path: Path) -> None:
    """A thousand lines more cost no more than a constant; progress only where it is asked for."""
    course, _ = make_course()
    people = [Person(email=f"p{number}@x.org", name="P", calendar_ids=[]) for number in range(1000)]
    learners = list(upsert_learners(people=people, now=STARTS).values())
    lines = [line(one, course, week=week, outcome="late") for week in (0, 1) for one in learners]
    counts = []
    for number in (10, 1000):
        rows = csv_rows([HISTORY, *lines[:number]], required=HISTORY.strip().split(","))
        with CaptureQueriesContext(
            connection,
        ) as queries:
            imports.import_history(rows=rows, now=NOW, dry_run=True)
        counts.append(len(queries))
    assert counts[0] == counts[1] < 25

    file, out, err = tmp_path / "long.csv", StringIO(), StringIO()
    file.write_text(HISTORY + "".join(lines))
    call_command("import_history", str(file), verbosity=2, stdout=out, stderr=err)
    assert err.getvalue().splitlines() == ["1000 lines …", "2000 lines …"]
    quiet = StringIO()
    call_command("import_history", str(file), stdout=out, stderr=quiet)
    assert quiet.getvalue() == ""
    assert Outcome.objects.filter(origin="import").count() == 2000
