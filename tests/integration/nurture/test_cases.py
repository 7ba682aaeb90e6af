"""Case bundles: a run without personal data, and the same decisions from it (N14)."""

from __future__ import annotations

import json
import re
from io import StringIO
from pathlib import Path
from random import Random

import pytest
from django.core.management import CommandError, call_command
from hypothesis import settings

from attendance.models import Learner
from delivery.models import Chat
from nurture.models import Decision, Journey
from nurture.services import cases
from nurture.services.cases.stage import is_over
from tests.factories import nurture as make
from tests.factories.cases import make_cases

pytestmark = pytest.mark.django_db
#: `make stories` takes fifty runs, the check as many as it has time for.
LONG = settings.get_current_profile_name() == "long"
RUNS, LEARNERS = (50, 29) if LONG else (20, 14)
#: What chance has to bring about, so that the test says something.
MET = {
    "entered", "step_planned", "waiting", "arm_taken", "tagged", "handed_over", "completed",
    "variable_missing", "past_moment", "opted_out", "exit_fact", "unreachable", "disputed",
    "paused_by_staff", "resumed", "corrected",
}  # fmt: skip


@pytest.mark.slow
def test_random_runs_come_out_the_same_and_name_nobody() -> None:
    make_cases(learners=LEARNERS)
    chosen = Random(3).sample(list(Journey.objects.order_by("pk")), RUNS)
    codes = set(Decision.objects.filter(journey__in=chosen).values_list("code", flat=True))
    assert len(MET - codes) <= (0 if LONG else 3)
    before = Decision.objects.count()

    texts = [
        json.dumps(cases.export(journey=journey, now=make.NOW), ensure_ascii=False)
        for journey in chosen
    ]

    planted = {"planted", "lesson", "group.calendar.google.com", "+49"}
    planted |= set(Learner.objects.values_list("email", flat=True))
    assert {word for word in planted for text in texts if word in text.lower()} == set()
    chats = {str(chat) for chat in Chat.objects.values_list("telegram_id", flat=True)}
    assert chats & {number for text in texts for number in re.findall(r"\d+", text)} == set()
    originals = [json.loads(text) for text in texts]
    found = cases.replay(*originals)
    assert [one.difference for one in found if not one.same] == []
    assert [one.digest for one in found] == [case["digest"] for case in originals]
    assert Decision.objects.count() == before


def one_case() -> Journey:
    """A journey that is under way."""
    make_cases(learners=2)
    return Journey.objects.order_by("-pk")[0]


def test_the_commands_write_a_case_and_decide_again(tmp_path: Path) -> None:
    journey, file = one_case(), tmp_path / "case.json"
    out = StringIO()

    call_command("case_bundle", str(journey.pk), str(file), "--json", stdout=out)
    said = json.loads(out.getvalue().splitlines()[-1])
    out = StringIO()
    call_command("case_replay", str(file), "--json", stdout=out)

    again = json.loads(out.getvalue().splitlines()[-1])
    assert (again["ok"], again["digest"]) == (True, said["digest"])

    case = json.loads(file.read_text())
    case["sequence"] = case["sequence"].replace("after: 2d", "after: 3d").replace("08:00", "10:30")
    file.write_text(json.dumps(case))
    with pytest.raises(CommandError, match=r"It comes out otherwise: decision \d+: "):
        call_command("case_replay", str(file), stdout=StringIO())


@pytest.mark.parametrize(
    ("text", "said"),
    [("{}", "no case of format 1"), ("[]", "no case"), ("no", "Expecting value")],
)
def test_what_is_no_case_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "case.json"
    file.write_text(text)

    with pytest.raises(CommandError, match=said):
        call_command("case_replay", str(file))
    with pytest.raises(CommandError, match="There is no journey 7"):
        call_command("case_bundle", "7", str(file))


def test_an_end_counts_from_when_it_was_noted() -> None:
    """Where the clock is simulated, a message may be sent within the moment of a pass."""
    message = {"settled_at": "2026-03-03T21:00:00.050+00:00", "observed_at": make.NOW.isoformat()}

    assert is_over(message, make.NOW)
    assert not is_over(message | {"observed_at": None}, make.NOW)
