"""Identities and Google's reports from files: all of it or nothing, and never twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from attendance.domain.kinds import IdentityKind, IdentityStatus
from attendance.models import Endpoint, LearnerIdentity, ReviewItem
from attendance.services import review, settle, upsert_learners
from attendance.services.identities import reject_identity
from attendance.services.roster import Person
from tests.factories.classes import (
    STARTS,
    facts,
    judge,
    make_class,
    make_course,
    outcome_of,
    stay,
)
from tests.factories.imports import HISTORY, NOW, REPORT, everything, line, refused, run

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands run a month after the first class."""
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)


def test_identities_are_sure_and_link_what_was_seen(tmp_path: Path) -> None:
    """Each kind, with a byte order mark and semicolons; again changes nothing."""
    course, (rosa,) = make_course("Rosa Maro")
    session = make_class(course)
    seen = [
        stay(session, email="rosa.home@gmail.com"),
        stay(session, name="Rosi"),
        stay(session, google_user_id="4711"),
    ]
    content = (
        "\ufeffemail;kind;value;course\n"
        f"{rosa.email};alias;Rosa.Home@gmail.com;\n"
        f"{rosa.email};phone;+49 30 123456;\n"
        f"rosahome@gmail.com;google_user_id;4711;\n"
        f"{rosa.email};display_name;Rosi;{course.calendar_id}\n"
    )

    # The third line knows Rosa by the alias of the first only from the second run on.
    assert refused(tmp_path, "import_identities", content) == [
        "line 4: no learner has the address rosahome@gmail.com; import the learners first"
    ]
    content = content.replace("rosahome@gmail.com", rosa.email)
    created = run(tmp_path, "import_identities", content)

    assert created == {"created": 4, "confirmed": 0, "unchanged": 0, "dry_run": False}
    rows = LearnerIdentity.objects.exclude(kind="email")
    assert set(rows.values_list("status", "origin")) == {("staff_confirmed", "import")}
    assert set(
        Endpoint.objects.filter(pk__in=[row.pk for row in seen]).values_list("learner", flat=True)
    ) == {rosa.pk}
    before = list(LearnerIdentity.objects.order_by("pk").values())
    assert run(tmp_path, "import_identities", content)["unchanged"] == 4
    assert list(LearnerIdentity.objects.order_by("pk").values()) == before


def test_a_suggestion_becomes_sure(tmp_path: Path) -> None:
    _, (rosa,) = make_course("Rosa Maro")
    LearnerIdentity.objects.create(
        learner=rosa, kind="alias", value_key="r@x.org", status="suggested", origin="bot",
        created_at=STARTS,
    )  # fmt: skip

    done = run(tmp_path, "import_identities", f"email,kind,value\n{rosa.email},alias,r@x.org\n")

    assert done["confirmed"] == 1
    row = LearnerIdentity.objects.get(value_key="r@x.org")
    assert (row.status, row.origin) == ("staff_confirmed", "import")


def test_marks_that_cannot_be_given_refuse_the_file(tmp_path: Path) -> None:
    """Another's, in the database or in the file, the rejected, the unknown: each by its line."""
    _, (rosa, bea) = make_course("Rosa Maro", "Bea Luz")
    reject_identity(
        learner=rosa, kind=IdentityKind.PHONE, value="+4930123456", course=None, by="ann", now=NOW
    )
    before = LearnerIdentity.objects.count()

    problems = refused(
        tmp_path,
        "import_identities",
        "email,kind,value,course\n"
        f"{rosa.email},alias,free@x.org,\n"
        f"{rosa.email},alias,{bea.email},\n"
        f"{bea.email},alias,FREE@x.org,\n"
        f"{rosa.email},phone,+4930123456,\n"
        f"{rosa.email},display_name,Rosi,nowhere@x\n"
        "who@x.org,phone,+4930123457,\n",
    )

    assert problems == [
        "line 3: this alias surely belongs to another learner already",
        "line 4: this alias surely belongs to another learner already",
        "line 5: staff said that this phone is not this learner's",
        "line 6: there is no course 'nowhere@x'",
        "line 7: no learner has the address who@x.org; import the learners first",
    ]
    assert not any(bea.email in problem for problem in problems)
    assert LearnerIdentity.objects.count() == before


def test_at_most_fifty_mistakes_are_listed(tmp_path: Path) -> None:
    lines = "".join(f"who{number}@x.org,phone,+4930123456\n" for number in range(60))

    problems = refused(tmp_path, "import_identities", "email,kind,value\n" + lines)

    assert len(problems) == 51
    assert problems[0].startswith("line 2:")
    assert problems[-1] == "… and 10 more"


def test_a_file_that_is_no_text_or_no_file(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_bytes(b"email,kind,value\n\xff\xfe\n")
    with pytest.raises(CommandError, match="not UTF-8 text in line 2"):
        call_command("import_identities", str(file))
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        call_command("import_identities", str(tmp_path / "none.csv"))


def test_a_report_asks_about_everybody_whom_the_log_has_not_shown(tmp_path: Path) -> None:
    """By address, by a name that is unique, or about nobody of ours; no outcome comes of it."""
    course, (rosa, bea, cleo, *_) = make_course("Rosa Maro", "Bea Luz", "Cleo Paz", "Ana Sol")
    twin = upsert_learners(
        people=[Person(email="ana2@x.org", name="Ana Sol", calendar_ids=[course.calendar_id])],
        now=STARTS,
    )
    session = make_class(course, event_id="ev1")
    stay(session, email=cleo.email, start=0, end=30)
    stay(session, email=cleo.email, start=31, end=58)
    stay(session, email=bea.email, start=0, end=30)
    judge(session)
    before = everything()
    content = (
        REPORT
        + f"Rosi,M,{rosa.email.upper()},1 hr 2 min,6:00 PM,7:02 PM\n"
        + "Luz,Bea (she),b***@s***.com,58 min,6:01 PM,6:59 PM\n"
        + f"Cleo,,{cleo.email},59 min,6:00 PM,6:59 PM\n"
        + "Ana,Sol,,45 sec,6:00 PM,6:01 PM\n"
    )

    done = run(tmp_path, "import_report", content, "--session", "ev1")

    assert done == {"people": 4, "asked": 3, "asked_before": 0, "seen": 1, "dry_run": False}
    items = {item.key: item for item in ReviewItem.objects.filter(kind="report")}
    assert set(items) == {
        f"report:{session.pk}:{rosa.pk}",
        f"report:{session.pk}:{bea.pk}",
        f"report:{session.pk}:ana sol",
    }
    assert items[f"report:{session.pk}:{rosa.pk}"].evidence == {
        "file": "list.csv", "by": "address", "name": "Rosi M", "address": rosa.email.upper(),
        "minutes": 62, "seconds": 3720, "joined": "18:00:00", "exited": "19:02:00",
    }  # fmt: skip
    assert items[f"report:{session.pk}:{bea.pk}"].evidence["by"] == "name"
    nobody = items[f"report:{session.pk}:ana sol"]
    assert (nobody.learner, nobody.evidence["by"]) == (None, "")
    assert everything() == before
    again = run(tmp_path, "import_report", content, "--session", str(session.pk))
    assert (again["asked"], again["asked_before"]) == (0, 3)
    assert len(twin) == 1


def test_staff_answer_what_a_report_asks(tmp_path: Path) -> None:
    """With an outcome where a learner is meant, with nothing where none is."""
    course, (rosa,) = make_course("Rosa Maro")
    session = make_class(course, event_id="ev1")
    content = REPORT + "Rosa,Maro,,1 hr,18:00,19:00\nSomebody,Else,,1 hr,18:00,19:00\n"
    run(tmp_path, "import_report", content, "--session", "ev1")
    known = ReviewItem.objects.get(learner=rosa)
    nobody = ReviewItem.objects.get(learner=None)

    review.decide(item=known, choice="attended", by="ann", now=NOW)

    assert outcome_of(rosa, session).origin == "staff"
    assert [choice.code for choice in review.choices(nobody)] == ["leave"]
    review.decide(item=nobody, choice="leave", by="ann", now=NOW)
    again = run(tmp_path, "import_report", content, "--session", "ev1")
    assert (again["asked"], again["asked_before"]) == (0, 2)


def test_of_whom_a_report_says_that_they_were_there_staff_are_heard_first(tmp_path: Path) -> None:
    """Nobody is told that they were missed while that lies in the queue."""
    course, (rosa, bea, cleo) = make_course("Rosa Maro", "Bea Luz", "Cleo Paz")
    session = make_class(course, event_id="ev1")
    stay(session, email=cleo.email)
    run(tmp_path, "import_report", REPORT + "Rosa,Maro,,1 hr,18:00,19:00\n", "--session", "ev1")

    now = judge(session)

    assert (facts(rosa), facts(bea)) == ([], ["missed"])
    review.decide(item=ReviewItem.objects.get(), choice="attended", by="ann", now=now)
    assert "attended" in facts(rosa)


def test_whom_staff_leave_as_they_are_is_judged_at_once(tmp_path: Path) -> None:
    """Until staff have answered, not until the day is over."""
    course, (_, bea, cleo) = make_course("Rosa Maro", "Bea Luz", "Cleo Paz")
    session = make_class(course, event_id="ev1")
    stay(session, email=cleo.email)
    run(tmp_path, "import_report", REPORT + "Bea,Luz,,1 hr,18:00,19:00\n", "--session", "ev1")
    now = judge(session)
    assert facts(bea) == []

    review.decide(item=ReviewItem.objects.get(), choice="leave", by="ann", now=now)

    settle(now=now)
    assert facts(bea) == ["missed"]


def test_a_report_of_the_console_puts_devices_together(tmp_path: Path) -> None:
    course, (rosa,) = make_course("Rosa Maro")
    make_class(course, event_id="ev1")
    content = (
        "Event,Actor,Actor name,Duration (seconds),Start time,Meeting code\n"
        f"Endpoint left,{rosa.email},Rosa Maro,3000,2026-06-02T18:10:00Z,ABC\n"
        f"Endpoint left,{rosa.email},Rosa Maro,3600,2026-06-02T18:00:00Z,ABC\n"
        f"Hand raised,{rosa.email},Rosa Maro,,,ABC\n"
    )

    assert run(tmp_path, "import_report", content, "--session", "ev1")["asked"] == 1
    evidence = ReviewItem.objects.get(kind="report").evidence
    assert (evidence["minutes"], evidence["joined"]) == (60, "2026-06-02T18:00:00Z")


def test_a_report_with_a_mistake_asks_nothing(tmp_path: Path) -> None:
    course, _ = make_course("Rosa Maro")
    make_class(course, event_id="ev1")
    content = REPORT + "Rosa,Maro,,58 min,18:00,18:58\nBea,Luz,,long,18:00,18:58\n"

    (problem,) = refused(tmp_path, "import_report", content, "--session", "ev1")

    assert problem.startswith("line 3: the duration 'long'")
    assert not ReviewItem.objects.exists()
    with pytest.raises(CommandError, match="there is no class 'ev9'"):
        run(tmp_path, "import_report", content, "--session", "ev9")


def test_an_address_confirmed_for_a_learner_counts_in_a_report(tmp_path: Path) -> None:
    """Also somebody's name as they show it, which staff confirmed for this course."""
    course, (rosa, bea) = make_course("Rosa Maro", "Bea Luz")
    make_class(course, event_id="ev1")
    for learner, kind, value, of in (
        (rosa, "alias", "home@x.org", None),
        (bea, "display_name", "beatriz", course),
    ):
        LearnerIdentity.objects.create(
            learner=learner, kind=kind, value_key=value, course=of, created_at=NOW,
            status=IdentityStatus.STAFF_CONFIRMED,
        )  # fmt: skip
    content = REPORT + "R,,home@x.org,1 hr,18:00,19:00\nBeatriz,,,1 hr,18:00,19:00\n"

    run(tmp_path, "import_report", content, "--session", "ev1")

    assert set(ReviewItem.objects.values_list("learner", flat=True)) == {rosa.pk, bea.pk}


@pytest.mark.parametrize("command", ["import_history", "import_identities", "import_report"])
def test_a_dry_run_says_the_same_and_keeps_nothing(tmp_path: Path, command: str) -> None:
    course, (rosa,) = make_course("Rosa Maro")
    make_class(course, event_id="ev1")
    content, options = {
        "import_history": (HISTORY + line(rosa, course, week=1, outcome="late"), []),
        "import_identities": (f"email,kind,value\n{rosa.email},alias,a@x.org\n", []),
        "import_report": (REPORT + "Rosa,Maro,,58 min,18:00,18:58\n", ["--session", "ev1"]),
    }[command]
    before = [everything(), ReviewItem.objects.count(), LearnerIdentity.objects.count()]

    tried = run(tmp_path, command, content, *options, "--dry-run")

    assert tried.pop("dry_run") is True
    assert [everything(), ReviewItem.objects.count(), LearnerIdentity.objects.count()] == before
    assert run(tmp_path, command, content, *options) == {**tried, "dry_run": False}
