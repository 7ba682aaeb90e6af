"""Which database this is: a cloned or restored one sends nothing until somebody says so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, QuerySet

from delivery.domain.reasons import Reason
from delivery.domain.states import IN_FLIGHT, Status
from delivery.models import DRY_STREAMS, OPEN, Attempt, Delivery, Gate, Installation
from delivery.services.gates import FENCE, close_gate, open_gate

_LENGTH = 32  # of Installation.system_identifier


def arm(*, now: datetime) -> str:
    """Compare this database with what it was armed as; return what is wrong, or "".

    A new database arms itself, also where something was planned and withdrawn already. One that was
    armed in another environment, for another bot or on another server has its sending closed (gate
    `bot:fence`) until `rearm`. Safe to run often: it is run before every drain.
    """
    present = _present()
    stored = Installation.objects.first()
    if stored is None:
        if Delivery.objects.filter(intent_at__isnull=False).exists():
            return _refuse("something was sent from it, but it was never armed")
        Installation.objects.bulk_create(
            [Installation(armed_at=now, **present)], ignore_conflicts=True
        )
        return ""
    wrong = _difference(stored, present)
    if wrong:
        return _refuse(wrong)
    if stored.bot_id != present["bot_id"]:
        # From the sandbox to a bot, or back, on one and the same database.
        Installation.objects.filter(pk=stored.pk).update(bot_id=present["bot_id"])
    return ""


def fence_copy(*, taken_at: datetime) -> str:
    """Hold a database that was just filled from a backup; return why it does not send.

    Where it can be told from the original, `arm` holds it. Where it cannot, as it has the same
    name on the same server or was never armed, the fence is closed here: what it owes may have gone
    out since. Belongs into the transaction that fills it. "" where nothing was ever owed.
    """
    stored = Installation.objects.first()
    if stored is None and not Delivery.objects.exists():
        return ""
    if stored is not None and (wrong := _difference(stored, _present())):
        return _say(wrong)
    return _refuse(f"it is what it was at {taken_at:%Y-%m-%d %H:%M} UTC")


@dataclass(frozen=True, kw_only=True)
class Rearmed:
    """How many deliveries became unknown: what was in flight, and what was due before."""

    in_flight: int
    due: int


@transaction.atomic
def rearm(*, now: datetime, until: datetime | None = None) -> Rearmed:
    """An operator says that this database is the one that sends here. Safe to run twice.

    What was leased or being sent when the copy was made may have gone out from the original since,
    as may all that was due before `until`, the last moment at which the original sent: it becomes
    unknown, which the system never sends again.
    """
    Installation.objects.update_or_create(pk=True, defaults={**_present(), "armed_at": now})
    open_gate(key=FENCE, by="operator")
    flying = Delivery.objects.filter(status__in=IN_FLIGHT)
    in_flight = _doubt(flying, now=now)
    pretended = Gate.objects.filter(key__startswith=DRY_STREAMS)
    owed = Delivery.objects.filter(status=Status.PENDING).exclude(stream__in=pretended)
    due = owed.filter(due_at__lt=until or OPEN)
    return Rearmed(in_flight=in_flight, due=_doubt(due, now=now))


def _doubt(rows: QuerySet[Delivery], *, now: datetime) -> int:
    """Call them unknown, by the legal way through leased and sending; their tries end, too."""
    ids = list(rows.select_for_update().values_list("pk", flat=True))
    chosen = Delivery.objects.filter(pk__in=ids)
    ends = {"lease_until": now, "leased_by": "0"}
    chosen.filter(status=Status.PENDING).update(status=Status.LEASED, **ends)
    chosen.filter(status=Status.LEASED).update(status=Status.SENDING, intent_at=now)
    Attempt.objects.filter(delivery__in=ids, outcome="").update(
        outcome="unknown", finished_at=now, description="the database was restored"
    )
    return chosen.update(
        status=Status.UNKNOWN,
        reason=Reason.NO_ANSWER,
        fence=F("fence") + 1,
        lease_until=None,
        leased_by="",
        slot_at=None,
    )


def remember_bot(*, username: str) -> None:
    """Keep the name under which learners find the bot, as Telegram told it. Safe to run twice."""
    Installation.objects.exclude(bot_username=username).update(bot_username=username)


@transaction.atomic
def simulate_until(*, at: datetime) -> bool:
    """Move the simulated clock of a local world to `at`; False if that would be back in time."""
    Installation.objects.select_for_update(no_key=True).filter(pk=True).first()
    behind = Installation.objects.filter(simulated_at__gt=at).exists()
    if not behind:
        Installation.objects.filter(pk=True).update(simulated_at=at)
    return not behind


def _present() -> dict[str, object]:
    bot = settings.BOT_TOKEN.partition(":")[0]
    return {
        "environment": settings.ENVIRONMENT,
        "bot_id": int(bot) if bot.isdigit() else None,
        "system_identifier": _identity(_whole_name()),
    }


def _whole_name() -> str:
    """The number that PostgreSQL gave the server when it was made, and the database there."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT system_identifier::text FROM pg_control_system()")
        system: str = cursor.fetchone()[0]
        cursor.execute("SELECT current_database()")
        database: str = cursor.fetchone()[0]
    return f"{system}/{database}"


def _identity(whole: str) -> str:
    """`server/database` in as many letters as are kept of it: of a long name the hash.

    Cut off, `telbot_production` and `telbot_production_copy` would be one and the same.
    """
    if len(whole) <= _LENGTH:
        return whole
    system, _, database = whole.partition("/")
    return f"{system}/{sha256(database.encode()).hexdigest()}"[:_LENGTH]


def _difference(stored: Installation, present: dict[str, object]) -> str:
    if stored.environment != present["environment"]:
        return f"it was armed for {stored.environment}, this is {present['environment']}"
    if stored.system_identifier != present["system_identifier"]:
        return "it was armed on another database server or under another name"
    both = stored.bot_id is not None and present["bot_id"] is not None
    if both and stored.bot_id != present["bot_id"] and settings.ENVIRONMENT != "local":
        return "it was armed for another bot"
    return ""


def _say(why: str) -> str:
    return f"this database does not send: {why}; if that is meant, run manage.py post_restore"


def _refuse(why: str) -> str:
    said = _say(why)
    if not Gate.objects.filter(key=FENCE, closed_until__gt=OPEN).exists():
        close_gate(key=FENCE, reason=said[:200], by="environment fence")
    return said
