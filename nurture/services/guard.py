"""One broken row must not hold up the others, and must not be tried for ever."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import OperationalError, transaction

from attendance.models import AttendanceEvent
from nurture.domain.reasons import Reason
from nurture.models import Journey, JourneyStatus, StaffTask, TaskKind
from nurture.services.world import World

log = logging.getLogger(__name__)


@contextmanager
def one_event(event: AttendanceEvent, world: World) -> Iterator[list[Exception]]:
    """Work on one fact in a savepoint; what fails is undone, logged and given to staff.

    Trouble of the database itself is raised: the whole pass is tried again then. Yields a list
    that holds the exception afterwards, if there was one.
    """
    with _undone(world) as failed:
        yield failed
    if failed:
        log.error("nurture.event_failed", exc_info=failed[0], extra={"event": event.pk})
        world.contacts.pop(event.learner_id, None)
        world.notes.add(
            learner_id=event.learner_id, code=Reason.ENGINE_ERROR, now=world.now, event=event
        )
        _ask_staff(f"fact:{event.pk}", event.learner_id, None, failed[0], world)


@contextmanager
def one_journey(journey: Journey, world: World) -> Iterator[None]:
    """The same for a journey: one that fails is held until somebody has looked."""
    with _undone(world) as failed:
        yield
    if failed:
        log.error("nurture.journey_failed", exc_info=failed[0], extra={"journey": journey.pk})
        world.contacts.pop(journey.learner_id, None)
        Journey.objects.filter(pk=journey.pk, status=JourneyStatus.ACTIVE).update(
            status=JourneyStatus.PAUSED, next_action_at=None
        )
        world.notes.of_journey(journey, Reason.ENGINE_ERROR, world.now, step_key=journey.step_key)
        _ask_staff(f"journey:{journey.pk}", journey.learner_id, journey, failed[0], world)


@contextmanager
def _undone(world: World) -> Iterator[list[Exception]]:
    """Undo rows, notes and counts of what raises, and hand the exception out."""
    failed: list[Exception] = []
    noted = len(world.notes.rows)
    counted = (world.tally.journeys, world.tally.deliveries)
    try:
        with transaction.atomic():
            yield failed
    except OperationalError:
        raise
    except Exception as error:
        del world.notes.rows[noted:]
        world.tally.journeys, world.tally.deliveries = counted
        failed.append(error)


def _ask_staff(
    key: str, learner_id: int, journey: Journey | None, error: Exception, world: World
) -> None:
    StaffTask.objects.bulk_create(
        [
            StaffTask(
                kind=TaskKind.HANDOVER,
                key=f"engine_error:{key}",
                learner_id=learner_id,
                journey=journey,
                note=(
                    f"The engine failed here ({type(error).__name__}); nothing was sent because "
                    "of it. The log has the details. Mend the cause, then resume the journey."
                ),
                created_at=world.now,
            )
        ],
        ignore_conflicts=True,
    )
