"""What stands between a draft and its publication (N10, N11, P02, P29, P30)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from waffle.models import Switch

from nurture import flags, services
from nurture.domain.sequence import InFlight, Mode
from nurture.models import Journey, Sequence, SequenceEdit, SequenceVersion
from nurture.services.publishing import (
    NotPublishableError,
    blast_of,
    look,
    look_closely,
    publish_checked,
)
from nurture.services.simulation.blast import difference, owed
from tests.factories import nurture as make
from tests.factories.scenarios import given, make_scenario, sent

pytestmark = pytest.mark.django_db

NEW = make.PLAIN.replace("we missed you in {{ session_title }}", "where were you?") + (
    "  - {key: later, wait: {after: 2d}, text: Still there?}\n"
)
ODD = make.PLAIN + "holdout: 100\n"


@pytest.fixture(autouse=True)
def _on() -> None:
    flags.set_nurture(percent=100)


@pytest.fixture
def ann() -> User:
    """She writes."""
    return User.objects.create_user("ann")


@pytest.fixture
def ben() -> User:
    """He publishes."""
    return User.objects.create_user("ben")


def draft(source: str, by: User | None) -> Sequence:
    """What is published, and a draft of somebody's."""
    sequence = make.make_sequence()
    services.save_draft(
        sequence=sequence,
        source=source,
        expected_checksum=services.checksum_of(sequence.published_version),
        by=by,
        now=make.NOW,
    )
    sequence.refresh_from_db()
    return sequence


def publish(sequence: Sequence, by: User | None, **overrides: Any) -> SequenceVersion:
    """Publish what stands there."""
    assert sequence.draft_version is not None
    values: dict[str, Any] = {
        "expected_checksum": sequence.draft_version.checksum,
        "in_flight": InFlight.FINISH,
        "mode": Mode.LIVE,
        "now": make.NOW,
    }
    return publish_checked(sequence=sequence, by=by, **(values | overrides))


def test_a_good_draft_is_published_and_that_is_kept(ann: User, ben: User) -> None:
    sequence = draft(NEW, ann)
    found = look(sequence=sequence, by=ben)
    assert (found.blockers, found.refusal) == ([], "")
    assert [step.key for step in found.difference.changed_steps] == ["hello", "later"]

    version = publish(sequence, ben)

    assert version.published_by == ben
    kept = [(row.kind, row.number, row.by) for row in SequenceEdit.objects.order_by("at", "id")]
    assert kept[-2:] == [("saved", 2, ann), ("published", 2, ben)]


def test_lint_errors_block_until_a_reason_is_given(ann: User, ben: User) -> None:
    sequence = draft(ODD, ann)
    with pytest.raises(NotPublishableError, match="everybody is left alone"):
        publish(sequence, ben, override=" because ")
    publish(sequence, ben, override="We only count, this week.")
    assert SequenceEdit.objects.get(kind="published", number=2).note == "We only count, this week."


def test_a_failing_scenario_blocks_publication(ann: User, ben: User) -> None:
    """N10: also by the command, which then imports nothing."""
    sequence = draft(NEW, ann)
    happens = [given(1, "22:00", "missed")]
    scenario = make_scenario(sequence, happens, [sent("hello", 1, "22:00")])
    with pytest.raises(NotPublishableError, match="“Rosa misses a class” fails"):
        publish(sequence, ben)

    scenario.expected = [sent("hello", 1, "22:00"), sent("later", 3, "22:00")]
    scenario.save()
    assert look(sequence=sequence, by=ben).blockers == []
    publish(sequence, ben)


def test_the_command_publishes_nothing_whose_scenarios_fail(tmp_path: Path) -> None:
    sequence = make.make_sequence()
    make_scenario(sequence, [given(1, "22:00", "missed")], [sent("hello", 1, "22:00")])
    path = tmp_path / "new.yaml"
    path.write_text(NEW)
    with pytest.raises(CommandError, match="nobody expects it"):
        call_command("import_sequence", str(path), "--publish")
    sequence.refresh_from_db()
    assert sequence.draft_version is None
    assert sequence.published_version is not None
    assert sequence.published_version.number == 1
    call_command("import_sequence", str(path))  # as a draft it may be wrong


def test_who_wrote_last_does_not_publish(ann: User, ben: User) -> None:
    """P30: superusers neither, and no reason overrides it."""
    Switch.objects.update_or_create(name=flags.FOUR_EYES, defaults={"active": True})
    ann.is_superuser = True
    ann.save()
    sequence = draft(NEW, ann)
    with pytest.raises(NotPublishableError, match="four eyes"):
        publish(sequence, ann, override="I am in a hurry today.")
    assert look(sequence=sequence, by=ann).refusal
    assert publish(sequence, ben).published_by == ben


def test_alone_one_may_publish_what_one_wrote(ann: User) -> None:
    """Where the switch is off, as it is at first on a machine of one's own."""
    assert not flags.four_eyes_is_on()
    assert publish(draft(NEW, ann), ann).published_by == ann


def test_what_changed_since_it_was_looked_at_is_not_published(ann: User, ben: User) -> None:
    sequence = draft(NEW, ann)
    assert sequence.draft_version is not None
    seen = sequence.draft_version.checksum
    services.save_draft(sequence=sequence, source=ODD, expected_checksum=seen, by=ann, now=make.NOW)
    sequence.refresh_from_db()
    with pytest.raises(NotPublishableError, match="changed meanwhile"):
        publish(sequence, ben, expected_checksum=seen, override="This is a long reason.")


@pytest.mark.parametrize("policy", list(InFlight))
def test_the_page_tells_what_publishing_then_does(ann: User, policy: InFlight) -> None:
    """P02, N11: counts and the exact list beforehand are what is found afterwards."""
    sequence = make.make_sequence()
    for _ in range(3):
        make.make_fact()
    services.tick(now=make.NOW)
    services.save_draft(
        sequence=sequence, source=NEW, by=ann, now=make.NOW,
        expected_checksum=services.checksum_of(sequence.published_version),
    )  # fmt: skip
    sequence.refresh_from_db()

    said = look_closely(sequence=sequence, by=None, now=make.NOW).in_flight[policy]
    foreseen = blast_of(sequence=sequence, in_flight=policy, mode=Mode.LIVE, now=make.NOW)

    assert said.moved + said.awaiting + said.finishing + said.exited == 3
    assert foreseen.size == (0 if policy is InFlight.FINISH else 3)
    before = owed()
    publish(sequence, None, in_flight=policy)
    assert difference(before, owed()) == foreseen
    assert Journey.objects.filter(status="exited").count() == said.exited


def test_an_older_state_becomes_the_draft_again(ann: User, ben: User) -> None:
    """P29: with who did it, and refused like any save."""
    sequence = draft(NEW, ann)
    publish(sequence, ben)
    sequence.refresh_from_db()
    old = SequenceEdit.objects.filter(number=1).first()
    assert old is not None
    version = services.revert(
        sequence=sequence, source=old.source, by=ben, now=make.NOW,
        expected_checksum=services.checksum_of(sequence.published_version),
    )  # fmt: skip
    assert (version.number, version.checksum) == (3, old.checksum)
    assert SequenceEdit.objects.latest("id").kind == "reverted"
    with pytest.raises(services.DraftChangedError):
        services.revert(
            sequence=sequence,
            source=NEW,
            by=ann,
            now=make.NOW,
            expected_checksum=old.checksum[::-1],
        )


def test_the_record_of_edits_does_not_change(ann: User) -> None:
    draft(NEW, ann)
    with pytest.raises(IntegrityError, match="is history"), transaction.atomic():
        SequenceEdit.objects.update(note="never happened")
    ann.delete()  # who did it may leave
    assert SequenceEdit.objects.filter(kind="saved", by=None).count() == 1


def test_a_change_of_mode_ends_what_began_in_the_other_one(ben: User) -> None:
    """P24: nobody hears the end of what was only pretended."""
    sequence = make.make_sequence()
    make.make_fact()
    services.tick(now=make.NOW)
    assert services.set_mode(sequence=sequence, mode=Mode.STOPPED, now=make.NOW, by=ben)
    assert not services.set_mode(sequence=sequence, mode=Mode.STOPPED, now=make.NOW, by=ben)
    journey = Journey.objects.get()
    assert (journey.status, journey.exit_reason) == ("exited", "sequence_stopped")
    assert SequenceEdit.objects.latest("id").inputs == {"before": "live", "mode": "stopped"}
    bare = Sequence.objects.create(slug="bare", name="Bare")
    with pytest.raises(services.sequences.UnknownSequenceError):
        services.set_mode(sequence=bare, mode=Mode.LIVE, now=make.NOW)


def test_publishing_keeps_the_mode_that_is_chosen(ann: User) -> None:
    """A sequence that is off is not put live by the words of its file."""
    sequence = draft(NEW, ann)
    publish(sequence, None, mode=Mode.STOPPED)
    sequence.refresh_from_db()
    assert sequence.mode == "stopped"
    assert json.loads(json.dumps(SequenceEdit.objects.latest("id").inputs))["mode"] == "stopped"
