"""One broken row must not hold up the others, and must not be tried for ever."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import OperationalError, transaction

from attendance.models import AttendanceEvent
from nurture.domain.reasons import Reason
from nurture.models import Journey, JourneyStatus, StaffTask, TaskKind
from nurture.services.world import World

log = logging.getLogger(__name__)


def all_at_once(act: Callable[[], None], *, world: World) -> bool:
    """Decide about many rows and write it together; False, and nothing is done, where one fails.

    The caller then takes them one by one (`one_event`, `one_journey`), to find which. Trouble of
    the database itself is raised: the whole pass is tried again then.
    """
    try:
        with transaction.atomic():
            act()
            world.writes.write()
    except OperationalError:
        raise
    except Exception as error:
        log.warning("nurture.batch_failed", extra={"error": type(error).__name__})
        return False
    return True


@contextmanager
def one_event(event: AttendanceEvent, world: World) -> Iterator[None]:
    """Work on one fact in a savepoint; what fails is undone, logged and given to staff."""
    with _undone(world) as failed:
        yield
    if failed:
        log.error("nurture.event_failed", exc_info=failed[0], extra={"event_id": event.pk})
        world.writes.note(
            learner_id=event.learner_id, code=Reason.ENGINE_ERROR, now=world.now, event=event
        )
        _ask_staff(f"fact:{event.pk}", event.learner_id, None, failed[0], world)


@contextmanager
def one_journey(journey: Journey, world: World) -> Iterator[None]:
    """The same for a journey: one that fails is held until somebody has looked."""
    with _undone(world) as failed:
        yield
    if failed:
        log.error("nurture.journey_failed", exc_info=failed[0], extra={"journey_id": journey.pk})
        Journey.objects.filter(pk=journey.pk, status=JourneyStatus.ACTIVE).update(
            status=JourneyStatus.PAUSED, next_action_at=None, paused_at=world.now
        )
        world.writes.note_of(journey, Reason.ENGINE_ERROR, world.now, step_key=journey.step_key)
        _ask_staff(f"journey:{journey.pk}", journey.learner_id, journey, failed[0], world)


@contextmanager
def _undone(world: World) -> Iterator[list[Exception]]:
    """Write what was decided, or undo all of it and hand the exception out."""
    failed: list[Exception] = []
    try:
        with transaction.atomic():
            yield failed
            world.writes.write()
    except OperationalError:
        raise
    except Exception as error:
        world.writes.forget()
        failed.append(error)


def _ask_staff(
    key: str, learner_id: int, journey: Journey | None, error: Exception, world: World
) -> None:
    task = StaffTask(
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
    world.writes.ask([task])
    world.writes.write()
