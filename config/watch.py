"""Watch over telbot: look each quarter of a minute at what is wrong, and have it told.

A thread of its own beside the clock, so that a receiver that hangs delays no bell. It needs no
broker, and it tells that the database is away from what it remembers itself. Any number may run.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import redis
from django.conf import settings
from django.db import (
    DatabaseError,
    InterfaceError,
    InternalError,
    OperationalError,
    connection,
    connections,
)
from django.urls import reverse

from config import doctor, doctor_deep, metrics
from config.pagers import Channel, TellError, Word, channels
from delivery import clock
from delivery.models import Process
from delivery.selectors import standing as standing_of_delivery
from nurture.domain.alerts import CATALOGUE, CLEAR, Code, Tell
from nurture.models import AlertNotice
from nurture.services import telling
from nurture.services.alerts import Alert, alerts, is_missing
from nurture.services.figures import standing

log = logging.getLogger(__name__)

LOOK_SECONDS = 15.0
WEBHOOK_SECONDS = 300.0  # how often Telegram is asked about our webhook
OUTAGE = "telbot:alerts:database"  # in Redis: since when, and that it was told
OUTAGE_KEPT = timedelta(days=1)


@dataclass(kw_only=True)
class Watch:
    """One who looks. `look` never raises for what it is there to tell."""

    channels: list[Channel]
    redis_url: str
    outage: Outage = field(init=False)
    _webhook: list[Alert] = field(default_factory=list, init=False)
    _webhook_at: float | None = field(default=None, init=False)  # monotonic

    def __post_init__(self) -> None:
        self.outage = Outage(channels=self.channels, redis_url=self.redis_url)

    def look(self, *, at: Callable[[], float] = time.monotonic) -> None:
        """See what is wrong, keep it, and tell what is to be told."""
        monotonic = at()
        try:
            self._look(monotonic=monotonic)
        except (OperationalError, InterfaceError, InternalError):  # the last: it is read-only
            log.warning("watch.database_unreachable")
            self.outage.is_away(monotonic=monotonic)
        else:
            self.outage.is_back(monotonic=monotonic)

    def _look(self, *, monotonic: float) -> None:
        present = clock.now()
        found = [*alerts(standing(now=present)), *self._beside(monotonic)]
        repeats = {channel.name: channel.repeats for channel in self.channels}
        telling.review(found=found, channels=repeats, now=present)
        self._tell(now=present)

    def _beside(self, monotonic: float) -> list[Alert]:
        """What no row says."""
        if self._webhook_at is None or monotonic - self._webhook_at >= WEBHOOK_SECONDS:
            self._webhook_at = monotonic
            self._webhook = _of_webhook(before=self._webhook)
        return [*_of_redis(self.redis_url), *self._webhook]

    def _tell(self, *, now: datetime) -> None:
        known = {channel.name: channel for channel in self.channels}
        for notice in telling.claim_notices(now=now, channels=list(known)):
            problem = tell(known[notice.channel], word_of(notice))
            telling.record(notice=notice, problem=problem, now=clock.now())


def _of_redis(url: str) -> list[Alert]:
    try:
        with redis.Redis.from_url(url, socket_timeout=2) as client:
            client.ping()
    except redis.RedisError:
        return [Alert(Code.REDIS_UNREACHABLE, "Redis does not answer.", about="redis")]
    return []


def _of_webhook(*, before: list[Alert]) -> list[Alert]:
    """Whether Telegram pushes to us; as `before` where it does not say, for others tell of that."""
    wanted = doctor_deep.wanted_webhook() if settings.BOT_TOKEN else ""
    if not wanted:
        return []
    call = doctor.ask_telegram(lambda door: door.get_webhook_info())
    if call.status != HTTPStatus.OK or not call.body:
        return before
    wrong = doctor_deep.unheard(call.body.get("result") or {}, wanted)
    words = "Telegram does not push to us what learners say."
    return [Alert(Code.WEBHOOK_WRONG, words, "update", detail="; ".join(wrong))] if wrong else []


def word_of(notice: AlertNotice) -> Word:
    """A notice as it is said outside."""
    episode = notice.episode
    page = reverse("admin:nurture_alertepisode_change", args=[episode.pk])
    return Word(
        code=Code(episode.code), kind=Tell(notice.kind), words=episode.words,
        key=f"telbot-{settings.ENVIRONMENT}-{episode.code}-{episode.pk}",
        link=f"{settings.PUBLIC_URL}{page}",
    )  # fmt: skip


def tell(channel: Channel, word: Word) -> str:
    """Say it; return what stood in the way, empty if nothing did."""
    try:
        channel.tell(word)
    except TellError as error:
        log.warning(
            "watch.not_told", extra={"channel": channel.name, "error": type(error).__name__}
        )
        return str(error)
    log.info("watch.told", extra={"channel": channel.name, "kind": word.kind, "alert": word.code})
    return ""


@dataclass(kw_only=True)
class Outage:
    """That the database is away: told from memory, for its table cannot be written.

    Among several clocks the one tells who is first to set a key in Redis, and so it is with the
    end; the key also outlives a clock. With Redis away as well each clock tells for itself, and
    PagerDuty makes one incident of it.
    """

    channels: list[Channel]
    redis_url: str
    away_since: float | None = None
    well_since: float | None = None
    is_ours: bool = False  # told without Redis
    untold: list[tuple[Channel, Tell]] = field(default_factory=list)

    def is_away(self, *, monotonic: float) -> None:
        """The database did not answer."""
        self.well_since = None
        self.away_since = monotonic if self.away_since is None else self.away_since
        after = CATALOGUE[Code.DATABASE_UNREACHABLE].after or timedelta()
        if monotonic - self.away_since >= after.total_seconds() and self._claim():
            self.untold += [(channel, Tell.TRIGGER) for channel in self.channels]
        self._tell()

    def is_back(self, *, monotonic: float) -> None:
        """The database answered; once it has done so for a while, what was told is over."""
        self.well_since = monotonic if self.well_since is None else self.well_since
        if monotonic - self.well_since >= CLEAR.total_seconds() or self.away_since is None:
            self.away_since = None
            since = self._release()
            if since:
                self.untold += [(channel, Tell.RESOLVE) for channel in self.channels]
                telling.note_outage(since=since, until=clock.now())
        self._tell()

    def _claim(self) -> bool:
        """Whether it is for us to tell that it is away."""
        if self.is_ours:
            return False
        since = _utc().isoformat()
        try:
            with redis.Redis.from_url(self.redis_url, socket_timeout=2) as client:
                return bool(client.set(OUTAGE, since, nx=True, ex=OUTAGE_KEPT))
        except redis.RedisError:
            self.is_ours = True
            return True

    def _release(self) -> datetime | None:
        """Since when it was told to be away, if it is for us to tell that this is over."""
        ours, self.is_ours = self.is_ours, False
        with suppress(redis.RedisError):
            with redis.Redis.from_url(self.redis_url, socket_timeout=2) as client:
                kept = client.getdel(OUTAGE)
                if isinstance(kept, bytes):
                    return datetime.fromisoformat(kept.decode())
        return _utc() if ours else None

    def _tell(self) -> None:
        """In order, so that whoever has not heard of the beginning hears of it before the end."""
        deaf: set[str] = set()
        left = []
        for channel, kind in self.untold:
            if channel.name in deaf or tell(channel, outage_word(kind)):
                deaf.add(channel.name)
                left.append((channel, kind))
        self.untold = left


def outage_word(kind: Tell) -> Word:
    """What is said of the database; the same key for all who say it."""
    code = Code.DATABASE_UNREACHABLE
    return Word(
        code=code, kind=kind, words=f"{CATALOGUE[code].title}.",
        key=f"telbot-{settings.ENVIRONMENT}-{code}", link=f"{settings.PUBLIC_URL}/readyz",
    )  # fmt: skip


def _utc() -> datetime:
    return datetime.now(UTC)


def run(*, stopping: threading.Event, unless: Callable[[], bool] = lambda: False) -> None:
    """Look until `stopping` is set. What was not foreseen is logged; the next look comes.

    `unless`: leave it to others for now.
    """
    watch = Watch(channels=channels(), redis_url=settings.REDIS_URL)
    while not stopping.is_set():
        try:
            if not unless():
                _be_patient()
                with metrics.task("watch"):
                    watch.look()
        except Exception:
            log.exception("watch.look_failed")
        finally:
            connections.close_all()
        stopping.wait(LOOK_SECONDS)


def _be_patient() -> None:
    """A database that answers nothing within 20 s is away."""
    with suppress(DatabaseError, InterfaceError), connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = '20s'")


def start(
    *, stopping: threading.Event, unless: Callable[[], bool] = lambda: False
) -> threading.Thread:
    """Watch beside whatever this process does."""
    given = {"stopping": stopping, "unless": unless}
    thread = threading.Thread(target=run, kwargs=given, name="watch", daemon=True)
    thread.start()
    return thread


def others_look() -> bool:
    """Whether a clock was seen of late, has yet to begin, or cannot be known to be away."""
    try:
        return not is_missing(Process.CLOCK, standing_of_delivery().processes)
    except (DatabaseError, InterfaceError):
        return True
