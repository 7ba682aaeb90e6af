"""Measuring ourselves: a gold set from a file, and the weekly audit (N04)."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from attendance import services
from attendance.domain.kinds import AuditVerdict, OutcomeKind
from attendance.models import AuditPair, Learner, Outcome
from attendance.selectors.accuracy import audit_figures
from tests.factories.classes import ENDS, judge, make_class, make_course, outcome_of, stay

pytestmark = pytest.mark.django_db


def gold(tmp_path: Path, *lines: str, header: str = "email,session,outcome,endpoints") -> str:
    """A gold set as a file."""
    path = tmp_path / "gold.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return str(path)


def test_outcomes_are_measured_against_a_gold_set(tmp_path: Path) -> None:
    course, (rosa, amir, lena) = make_course("Rosa Maro", "Amir Lindt", "Lena Okoye")
    session = make_class(course)
    own = stay(session, email=rosa.email)
    stay(session, name="Lena Okoye")
    judge(session)
    out = StringIO()

    call_command(
        "evaluate_attendance",
        gold(
            tmp_path,
            f"{rosa.email},{session.event_id},attended,{own.endpoint_id};another",
            f"{amir.email},{session.pk},attended,",
            f"{lena.email},{session.event_id},attended,",
        ),
        "--json",
        stdout=out,
    )

    told = json.loads(out.getvalue().splitlines()[-1])
    assert told["confusion"] == {"attended": {"attended": 1, "missed": 1, "pending": 1}}
    figures = told["figures"]
    assert figures["false_absences"]["hits"] == 1
    assert figures["coverage"]["hits"] == 2
    assert figures["identity_precision"]["value"] == 1
    assert figures["identity_recall"]["value"] == 0.5
    assert "the figures flatter" in out.getvalue()


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("nobody@x.org,{event},attended,", "line 2: there is no learner 'nobody@x.org'"),
        ("{email},nothing,attended,", "line 2: there is no class 'nothing'"),
        ("{email},{event},present,", "line 2: 'present' is no outcome"),
        ("{email},{event},late,\n{email},{event},late,", "line 3: .* stand in the file already"),
        ("", "no line beside its header"),
    ],
)
def test_a_bad_line_refuses_the_file(tmp_path: Path, line: str, error: str) -> None:
    course, (rosa,) = make_course("Rosa Maro")
    session = make_class(course)

    with pytest.raises(CommandError, match=error):
        call_command(
            "evaluate_attendance",
            gold(tmp_path, line.format(email=rosa.email, event=session.event_id)),
        )


def test_a_file_without_its_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="line 1: the columns outcome are missing"):
        call_command("evaluate_attendance", gold(tmp_path, header="email,session"))
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("evaluate_attendance", str(tmp_path / "none.csv"))


# --- the weekly audit ---------------------------------------------------------------------------

NEXT_WEEK = ENDS + timedelta(days=7)


@pytest.fixture
def judged() -> list[Learner]:
    """Thirty learners of a class last week, six of whom missed it."""
    course, people = make_course(*(f"P{n:02} Q{n:02}" for n in range(30)))
    session = make_class(course)
    for who in people[6:]:
        stay(session, email=who.email)
    judge(session)
    return people


def test_twenty_are_drawn_a_week_with_enough_hard_cases(judged: list[Learner]) -> None:
    assert services.draw_audit(now=NEXT_WEEK) == 20
    assert services.draw_audit(now=NEXT_WEEK + timedelta(days=1)) == 0

    drawn = AuditPair.objects.values_list("outcome__outcome", flat=True)
    assert sum(kind == "missed" for kind in drawn) >= 6


def test_what_staff_decided_is_not_audited(judged: list[Learner]) -> None:
    for outcome in Outcome.objects.filter(is_current=True):
        services.correct_outcome(
            learner=outcome.learner, session=outcome.session, outcome=OutcomeKind.EXCUSED,
            by="ann", note="", now=NEXT_WEEK,
        )  # fmt: skip

    assert services.draw_audit(now=NEXT_WEEK) == 0


def test_the_audit_feeds_the_same_figures(judged: list[Learner]) -> None:
    services.draw_audit(now=NEXT_WEEK)
    pairs = list(AuditPair.objects.order_by("pk"))
    wrong = next(pair for pair in pairs if pair.outcome.outcome == "missed")
    for pair in pairs[1:]:
        services.judge_audit(
            pair=pair, verdict=AuditVerdict.RIGHT, truth=None, by="ann", now=NEXT_WEEK
        )
    services.judge_audit(
        pair=wrong, verdict=AuditVerdict.WRONG, truth=OutcomeKind.LATE, by="ann", now=NEXT_WEEK
    )

    found = audit_figures(weeks=4, now=NEXT_WEEK)

    assert found.share("false absences").hits == 1
    assert found.share("strict accuracy").of == 20 - AuditPair.objects.filter(verdict="").count()
    with pytest.raises(ValueError, match="what it was"):
        services.judge_audit(
            pair=wrong, verdict=AuditVerdict.WRONG, truth=None, by="ann", now=NEXT_WEEK
        )
    with pytest.raises(ValueError, match="then it is right"):
        services.judge_audit(
            pair=wrong, verdict=AuditVerdict.WRONG, truth=OutcomeKind.MISSED, by="a", now=NEXT_WEEK
        )
    assert outcome_of(wrong.outcome.learner, wrong.outcome.session).outcome == "missed"


LIST = reverse("admin:attendance_auditpair_changelist")


def log_in(client: Client, *rights: str) -> None:
    """Somebody with these rights."""
    user = User.objects.create_user("eve", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client.force_login(user)


def test_a_pair_is_judged_with_one_click(
    client: Client, judged: list[Learner], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django.utils.timezone.now", lambda: NEXT_WEEK)
    services.draw_audit(now=NEXT_WEEK)
    log_in(client, "view_auditpair", "judge_audit")
    right, wrong = AuditPair.objects.order_by("pk")[:2]

    shown = client.get(LIST).content.decode()
    client.post(reverse("admin:attendance_auditpair_judge", args=[right.pk]), {"said": "right"})
    said = "late" if wrong.outcome.outcome != "late" else "missed"
    client.post(reverse("admin:attendance_auditpair_judge", args=[wrong.pk]), {"said": said})

    for words in ("Right of all judged", "Called missed, and were", "Nothing is judged yet.",
                  f"0 of {AuditPair.objects.count()}", 'data-key="y"'):  # fmt: skip
        assert words in shown, words
    judged_now = client.get(LIST).content.decode()
    assert "1 of 2" in judged_now
    assert "95 % interval: 9.5% to 90.5%" in judged_now
    right.refresh_from_db()
    wrong.refresh_from_db()
    assert (right.verdict, right.decided_by) == ("right", "eve")
    assert (wrong.verdict, wrong.truth) == ("wrong", said)


def test_who_may_only_look_cannot_judge(client: Client, judged: list[Learner]) -> None:
    services.draw_audit(now=NEXT_WEEK)
    log_in(client, "view_auditpair")
    pair = AuditPair.objects.latest("pk")
    to = reverse("admin:attendance_auditpair_judge", args=[pair.pk])

    assert to not in client.get(LIST).content.decode()
    assert client.post(to, {"said": "right"}).status_code == 403
    assert client.get(to).status_code == 403
    pair.refresh_from_db()
    assert pair.verdict == ""
