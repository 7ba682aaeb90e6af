"""Drafts, publishing, pinned versions (P20)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.db.utils import IntegrityError

from delivery.models import Delivery, Gate
from nurture import flags, sequence_files, services
from nurture.models import Journey, Sequence, SequenceVersion, Step
from tests.factories import nurture as make

pytestmark = pytest.mark.django_db

LATER = make.NOW + timedelta(hours=1)
TWO = (
    make.PLAIN
    + """\
  - key: more
    wait: {after: 2h}
    text: "Old words."
"""
)


@pytest.fixture(autouse=True)
def _on() -> None:
    flags.set_nurture(percent=100)
    flags.set_attendance(on=True)


def test_the_same_file_again_changes_nothing() -> None:
    """Neither as a draft nor when it is published."""
    first = services.import_sequence(source=make.PLAIN, now=make.NOW)
    again = services.import_sequence(source=make.PLAIN, now=LATER)
    published = services.publish(sequence=first.sequence, now=LATER)
    third = services.import_sequence(source=make.PLAIN, now=LATER)

    assert (first.changed, again.changed, third.changed) == (True, False, False)
    assert again.version == published == third.version
    assert services.publish(sequence=first.sequence, now=LATER) == published
    assert SequenceVersion.objects.count() == 1
    assert Gate.objects.filter(key="stream:missed-class").exists()


def test_a_draft_is_written_over_and_a_published_one_retired() -> None:
    """One draft, one published version, numbers in order."""
    make.make_sequence()
    second = services.import_sequence(source=TWO, now=LATER)
    third = services.import_sequence(source=TWO.replace("Old", "New"), now=LATER)
    services.publish(sequence=second.sequence, now=LATER)

    assert second.version.number == third.version.number
    versions = SequenceVersion.objects.order_by("number").values_list("number", "status")
    assert list(versions) == [(1, "retired"), (2, "published")]
    sequence = Sequence.objects.get()
    assert (sequence.draft_version, sequence.published_version) == (None, third.version)


def test_nothing_to_publish_is_an_error() -> None:
    """A sequence without any version."""
    with pytest.raises(services.UnknownSequenceError):
        services.publish(sequence=Sequence.objects.create(slug="empty", name="Empty"), now=LATER)


def test_a_journey_keeps_the_version_it_began_with() -> None:
    """Publishing while it runs changes nothing for it."""
    make.make_sequence(TWO)
    make.make_fact()
    services.tick(now=make.NOW)
    services.import_sequence(source=TWO.replace("Old", "New"), now=LATER)
    services.publish(sequence=Sequence.objects.get(), now=LATER)

    make.settle(Delivery.objects.get(), at=LATER)
    services.tick(now=LATER)

    last = Delivery.objects.order_by("id").last()
    assert last is not None
    assert last.text == "Old words."


def test_stopping_a_sequence_ends_its_journeys() -> None:
    """The mode of the file is applied when it is published."""
    make.make_sequence()
    make.make_fact()
    services.tick(now=make.NOW)

    services.import_sequence(
        source=make.PLAIN.replace("entry:", "mode: stopped\nentry:"), now=LATER
    )
    services.publish(sequence=Sequence.objects.get(), now=LATER)

    assert Sequence.objects.get().mode == "stopped"
    assert Journey.objects.get().exit_reason == "sequence_stopped"
    assert Delivery.objects.get().reason == "sequence_stopped"


def test_what_is_published_does_not_change() -> None:
    """The database refuses it, whoever asks."""
    make.make_sequence()
    step = Step.objects.get()
    step.text = "Something else"

    with pytest.raises(IntegrityError), transaction.atomic():
        step.save()
    with pytest.raises(IntegrityError), transaction.atomic():
        SequenceVersion.objects.update(name="Other")
    assert Step.objects.get().text != "Something else"


def test_out_and_in_again_is_the_same() -> None:
    """From file to tables to file to values."""
    make.make_sequence(TWO)

    written = services.export(slug="missed-class")

    assert sequence_files.read(written) == sequence_files.read(TWO)
    assert services.spec_of(SequenceVersion.objects.get()) == sequence_files.read(TWO)
