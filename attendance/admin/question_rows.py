"""A question's evidence and answers, in words, bars and keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString

from attendance.admin.bars import device_words, stays_svg
from attendance.admin.base import class_words, minute
from attendance.domain.bars import Frame, frame
from attendance.domain.kinds import ReviewKind
from attendance.domain.presence import Window
from attendance.models import ClassSession, ReviewItem
from attendance.selectors import Device
from attendance.selectors.questions import Appearance, Dossier
from attendance.services import review
from attendance.services.answers import LEAVE
from config.console.words import link

KEYS = "123456789"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer, its key, and what speaks for it."""

    code: str
    words: str
    key: str
    reasons: Sequence[str] = ()
    bars: SafeString | str = ""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One device in one class."""

    where: SafeString
    bars: SafeString
    came: str
    left: str
    minutes: int
    device: str


def answers_of(item: ReviewItem, about: Dossier) -> list[Answer]:
    """The answers with their keys: 1 to 9, and n for nobody."""
    keys = iter(KEYS)
    nobody = "visitor" if item.kind == ReviewKind.GUEST else LEAVE
    candidates = {f"is:{who.learner.pk}": who for who in about.candidates}
    found = []
    for choice in review.choices(item):
        who = candidates.get(choice.code)
        found.append(
            Answer(
                code=choice.code,
                words=choice.words,
                key="n" if choice.code == nobody else next(keys, ""),
                reasons=who.reasons if who else (),
                bars=_bars(item.session, who.devices) if who and item.session else "",
            )
        )
    return found


def evidence_rows(item: ReviewItem, about: Dossier) -> list[Seen]:
    """Where it was seen, each with its bar over the class."""
    tone = "guest" if item.kind == ReviewKind.GUEST else "sure"
    return [_seen(one, tone) for one in about.appearances]


def _seen(one: Appearance, tone: str) -> Seen:
    session, device = one.session, one.device
    return Seen(
        where=link(session, class_words(session)),
        bars=_drawn([device], session, tone),
        came=minute(device.started_at),
        left=minute(device.ended_at),
        minutes=one.minutes,
        device=device_words(device),
    )


def _bars(session: ClassSession, devices: Sequence[Device]) -> SafeString | str:
    return _drawn(devices, session, "sure") if devices else ""


def _drawn(devices: Sequence[Device], session: ClassSession, tone: str) -> SafeString:
    line: Frame = frame(
        starts_at=session.starts_at,
        ends_at=session.ends_at,
        stays=[(seen.started_at, seen.ended_at) for seen in devices],
    )
    planned = Window(session.starts_at, session.ends_at)
    return stays_svg(devices, frame=line, window=planned, tone=tone)
