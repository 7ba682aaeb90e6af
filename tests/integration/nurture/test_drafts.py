"""Two people at one sequence: the second save is refused, with what differs (P29)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User

from nurture import services
from nurture.models import Sequence, SequenceVersion
from nurture.sequence_files import SequenceFileError
from tests.factories import nurture as make

pytestmark = pytest.mark.django_db

MINE = make.PLAIN.replace("we missed you", "you were not")
THEIRS = make.PLAIN + "  - {key: more, wait: {after: 2d}, text: Still there?}\n"


def save(sequence: Sequence, source: str, *, expected: str, by: User) -> SequenceVersion:
    return services.save_draft(
        sequence=sequence, source=source, expected_checksum=expected, by=by, now=make.NOW
    )


def test_the_second_of_two_saves_is_refused_with_what_differs() -> None:
    ann, ben = (User.objects.create_user(name) for name in ("ann", "ben"))
    sequence = make.make_sequence()
    seen = services.checksum_of(sequence.published_version)

    draft = save(sequence, THEIRS, expected=seen, by=ann)
    with pytest.raises(services.DraftChangedError) as refused:
        save(sequence, MINE, expected=seen, by=ben)

    assert "ann saved this sequence meanwhile" in str(refused.value)
    assert "step more was removed" in str(refused.value)  # by mine
    assert "Meanwhile this was changed:\nstep more was added" in str(refused.value)
    assert [step.key for step in refused.value.difference.changed_steps] == ["hello", "more"]
    sequence.refresh_from_db()
    assert sequence.draft_version == draft

    mine = save(sequence, MINE, expected=draft.checksum, by=ben)
    assert (mine.number, mine.created_by) == (2, ben)
    assert not SequenceVersion.objects.filter(pk=draft.pk).exists()


def test_saving_the_same_again_changes_nothing() -> None:
    """Safe to run twice, even with what was expected the first time."""
    ann = User.objects.create_user("ann")
    sequence = make.make_sequence()
    seen = services.checksum_of(sequence.published_version)
    draft = save(sequence, MINE, expected=seen, by=ann)
    again = services.save_draft(
        sequence=sequence, source=MINE, expected_checksum=seen, by=ann,
        now=make.NOW + timedelta(hours=1),
    )  # fmt: skip
    assert (again.pk, again.created_at) == (draft.pk, make.NOW)


def test_the_first_draft_of_a_new_sequence() -> None:
    ann = User.objects.create_user("ann")
    sequence = Sequence.objects.create(slug="missed-class", name="We missed you")
    assert services.checksum_of(sequence.draft_version) == ""
    assert save(sequence, MINE, expected="", by=ann).number == 1


def test_a_sequence_keeps_its_name_and_takes_no_faulty_file() -> None:
    ann = User.objects.create_user("ann")
    sequence = make.make_sequence()
    seen = services.checksum_of(sequence.published_version)
    with pytest.raises(SequenceFileError, match="keeps that name"):
        save(sequence, MINE.replace("missed-class", "other"), expected=seen, by=ann)
    with pytest.raises(SequenceFileError, match="line"):
        save(sequence, MINE + "colour: red\n", expected=seen, by=ann)
    sequence.refresh_from_db()
    assert sequence.draft_version is None
