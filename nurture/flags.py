"""What may be switched without a deploy: `nurture`, `attendance`, `deliver`, and each stream.

The rows are waffle's, so they are seen and edited in the admin. They are read from the database,
not through waffle's cache: a switch holds from its commit on, in every process, and Redis need
not be there. Waffle's own percentage is drawn per request, so it is never asked; here a learner's
place is drawn once and for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings
from django.db import connection, transaction
from waffle.models import Flag, Switch

from delivery import selectors as delivery_selectors
from delivery import services as delivery
from delivery.services.gates import SWITCH as DELIVER_GATE
from delivery.services.gates import TOKEN as TOKEN_GATE
from nurture.domain.rollout import bucket
from nurture.models import Sequence

NURTURE, ATTENDANCE, DELIVER = "nurture", "attendance", "deliver"
FOUR_EYES = "four_eyes"
STREAM_PREFIX = "stream:"
QUESTIONS = "pledge-question"  # the stream of what the bot itself asks before a class
EVERYBODY = 100.0
_FINEST = Decimal("0.1")  # as waffle's column keeps it
_MOST = Decimal("99.9")

_STAND = """
SELECT f.name, f.everyone, coalesce(f.percent, 0)::float FROM waffle_flag f WHERE f.name = 'nurture'
 UNION ALL
SELECT s.name, s.active, 0 FROM waffle_switch s WHERE s.name IN ('attendance', 'deliver')
"""


@dataclass(frozen=True, slots=True)
class Stand:
    """How all switches stand; the streams are gates of delivery."""

    percent: float  # of nurture, 0 to 100
    attendance: bool
    deliver: bool

    @property
    def percent_words(self) -> str:
        """`on`, `off`, or the percentage of nurture."""
        return _share_in_words(self.percent)


class UnknownSwitchError(LookupError):
    """There is no switch of this name."""


@transaction.atomic
def seed() -> None:
    """Make the rows that are missing, from the settings. Safe to run twice: what is there stays."""
    share = settings.ROLLOUT_PERCENT if settings.NURTURE_ENABLED else 0.0
    everyone, percent = _stored(share)
    Flag.objects.get_or_create(
        name=NURTURE,
        defaults={
            "everyone": everyone,
            "percent": percent,
            "note": "Who may enter sequences: a fixed share of the learners.",
        },
    )
    Switch.objects.get_or_create(
        name=ATTENDANCE,
        defaults={
            "active": settings.ATTENDANCE_ENABLED,
            "note": "Whether Calendar and Meet are read.",
        },
    )
    Switch.objects.get_or_create(
        name=DELIVER,
        defaults={"active": True, "note": "Whether anything is sent; change it with `switch`."},
    )
    Switch.objects.get_or_create(
        name=FOUR_EYES,
        defaults={
            "active": settings.ENVIRONMENT != "local",
            "note": "Whether a draft is published by somebody else than who wrote it last.",
        },
    )


def stand() -> Stand:
    """All switches by one statement; a row that is missing is made first."""
    with connection.cursor() as cursor:
        cursor.execute(_STAND)
        found = {name: (on, percent) for name, on, percent in cursor.fetchall()}
    if found.keys() != {NURTURE, ATTENDANCE, DELIVER}:
        seed()
        return stand()
    everyone, percent = found[NURTURE]
    if everyone is not None:
        percent = EVERYBODY if everyone else 0.0
    return Stand(percent=percent, attendance=found[ATTENDANCE][0], deliver=found[DELIVER][0])


def rollout_percent() -> float:
    """The share of learners, 0 to 100, that nurture is on for."""
    flag = _flag()
    if flag.everyone is not None:
        return EVERYBODY if flag.everyone else 0.0
    return float(flag.percent or 0)


def nurture_is_on() -> bool:
    """Whether anybody may enter a sequence."""
    return rollout_percent() > 0


def in_rollout(learner_id: int) -> bool:
    """Whether a learner is in the share. Raising the share only ever adds learners."""
    return bucket(rollout_key(learner_id)) < rollout_percent()


def rollout_key(learner_id: int) -> str:
    """What the draw of a learner is made from."""
    return f"nurture:{learner_id}"


def attendance_is_on() -> bool:
    """Whether Calendar and Meet are read."""
    return _switch(ATTENDANCE).active


def four_eyes_is_on() -> bool:
    """Whether who wrote a draft last may not publish it themselves."""
    return _switch(FOUR_EYES).active


def deliver_is_on() -> bool:
    """Whether deliveries may go out, as far as this switch is concerned."""
    return _switch(DELIVER).active


@transaction.atomic
def set_nurture(*, percent: float) -> None:
    """Put nurture on for a share of the learners: 0 (off) to 100 (all), in tenths.

    Raises ValueError for any other number. Safe to run twice.
    """
    check_percent(percent)
    flag = _flag(lock=True)
    flag.everyone, flag.percent = _stored(percent)
    flag.save()


def check_percent(percent: float) -> None:
    """Raise ValueError for what is no percentage of learners: 0 to 100, in tenths."""
    if not 0 <= percent <= EVERYBODY:
        raise ValueError(f"{percent} is no percentage from 0 to 100")
    if Decimal(str(percent)) % _FINEST:
        raise ValueError(f"{percent} is finer than a tenth of a percent")


@transaction.atomic
def pause_nurture() -> None:
    """Put nurture off and remember its share for `resume_nurture`. Safe to run twice."""
    flag = _flag(lock=True)
    flag.everyone = False
    flag.save()


@transaction.atomic
def resume_nurture() -> None:
    """Put nurture on again for the share it had; for all where it had none. Safe to run twice."""
    flag = _flag(lock=True)
    flag.everyone = None if flag.percent else True
    flag.save()


@transaction.atomic
def set_attendance(*, on: bool) -> None:
    """Let Calendar and Meet be read, or not. Safe to run twice."""
    _set_switch(ATTENDANCE, on)


@transaction.atomic
def set_deliver(*, on: bool, by: str) -> None:
    """Let deliveries go out, or hold them all back: the gate moves in the same transaction.

    `on` also opens what a refused token has closed; a token that is still wrong closes it anew.
    """
    _set_switch(DELIVER, on)
    if on:
        delivery.open_gate(key=DELIVER_GATE, by=by)
        delivery.open_gate(key=TOKEN_GATE, by=by)
    else:
        delivery.close_gate(key=DELIVER_GATE, reason="the switch `deliver` is off", by=by)


@transaction.atomic
def set_stream(*, slug: str, on: bool, by: str) -> None:
    """Let the deliveries of one sequence go out, or hold them back.

    Raises UnknownSwitchError where no sequence has this slug. Safe to run twice.
    """
    _known_stream(slug)
    delivery.ensure_stream(slug)
    key = delivery.stream_key(slug)
    if on:
        delivery.open_gate(key=key, by=by)
    else:
        delivery.close_gate(key=key, reason="paused by staff", by=by)


def state(name: str) -> str:
    """How a switch stands: "on", "off", or a percentage such as "12.5%".

    Raises UnknownSwitchError for a name that is none.
    """
    if name == NURTURE:
        return _share_in_words(rollout_percent())
    if name == ATTENDANCE:
        return _on_off(attendance_is_on())
    if name == DELIVER:
        return _on_off(deliver_is_on())
    slug = name.removeprefix(STREAM_PREFIX)
    if slug == name:
        raise UnknownSwitchError(
            f"there is no switch {name!r}; there are nurture, attendance, deliver, stream:<slug>"
        )
    _known_stream(slug)
    closed = {gate.key for gate in delivery_selectors.closed_gates()}
    return _on_off(delivery.stream_key(slug) not in closed)


def _known_stream(slug: str) -> None:
    if slug != QUESTIONS and not Sequence.objects.filter(slug=slug).exists():
        raise UnknownSwitchError(f"no sequence has the slug {slug!r}")


def _stored(percent: float) -> tuple[bool | None, Decimal | None]:
    """The two columns that say `percent`."""
    if percent <= 0:
        return False, None
    if percent >= EVERYBODY:
        return True, None
    tenths = Decimal(str(percent)).quantize(_FINEST)
    return None, min(max(tenths, _FINEST), _MOST)


def _flag(*, lock: bool = False) -> Flag:
    rows = Flag.objects.select_for_update(no_key=True) if lock else Flag.objects.all()
    found: Flag | None = rows.filter(name=NURTURE).first()
    if found is None:
        seed()
        found = rows.get(name=NURTURE)
    return found


def _switch(name: str, *, lock: bool = False) -> Switch:
    rows = Switch.objects.select_for_update(no_key=True) if lock else Switch.objects.all()
    found: Switch | None = rows.filter(name=name).first()
    if found is None:
        seed()
        found = rows.get(name=name)
    return found


def _set_switch(name: str, on: bool) -> None:
    row = _switch(name, lock=True)
    row.active = on
    row.save()


def _share_in_words(share: float) -> str:
    return _on_off(share > 0) if share in {0.0, EVERYBODY} else f"{share:g}%"


def _on_off(on: bool) -> str:
    return "on" if on else "off"
