"""Keep which alerts stand, and what is to be told of them to whom.

Whoever looks (config/watch.py) calls `review` with what is wrong now, then sends what
`claim_notices` gives and says with `record` how that went. Any number of processes may do so at
once. A notice is claimed before it is sent, so it is told once; only where its teller died between
the sending and the record is it told again, which PagerDuty sees by its key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from nurture.domain.alerts import CATALOGUE, Advance, Code, Rule, Stretch, Tell, advance, wait_after
from nurture.models import AlertEpisode, AlertNotice, AlertSilence
from nurture.services.alerts import Alert

#: A teller that has not said within this how it went is dead; a call ends after 10 s.
CLAIMED = timedelta(minutes=1)
#: What nobody took for so long is no news any more.
TOO_OLD = timedelta(hours=24)
AT_ONCE = 20


@transaction.atomic
def review(*, found: Iterable[Alert], channels: Mapping[str, bool], now: datetime) -> int:
    """Take one look: open, repeat and resolve alerts; return how many notices were written.

    `channels`: who is told, and whether they are also told again of what still stands. Safe to
    run twice and in many processes: one looks, the others leave it.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext('nurture_alertepisode'))")
        if not cursor.fetchone()[0]:
            return 0
    silenced = is_silenced(now=now)
    seen = {(alert.code.value, alert.subject): alert for alert in found}
    notices: list[AlertNotice] = []
    standing = {(row.code, row.subject): row for row in AlertEpisode.objects.filter(
        resolved_at__isnull=True)}  # fmt: skip
    for key, alert in seen.items():
        if key not in standing and alert.rule.after is not None:
            standing[key] = _begin(alert, now=now)
    for key, row in standing.items():
        done = advance(
            _stretch(row), rule=CATALOGUE[Code(row.code)], is_seen=key in seen,
            is_silenced=silenced, now=now,
        )  # fmt: skip
        _keep(row, done, seen.get(key), now=now)
        notices += _notices(row, done.tell, channels, now=now)
    AlertNotice.objects.bulk_create(notices)
    return len(notices)


def _begin(alert: Alert, *, now: datetime) -> AlertEpisode:
    return AlertEpisode.objects.create(
        code=alert.code, subject=alert.subject, severity=alert.rule.severity, words=alert.told,
        seen_since=now,
    )  # fmt: skip


def _stretch(row: AlertEpisode) -> Stretch:
    return Stretch(row.seen_since, row.opened_at, row.gone_since, row.told_at)


def _keep(row: AlertEpisode, done: Advance, alert: Alert | None, *, now: datetime) -> None:
    if done.is_forgotten:
        row.delete()
        return
    words = alert.told if alert else row.words
    if done.stretch == _stretch(row) and words == row.words and not done.is_resolved:
        return
    row.words = words
    row.opened_at, row.gone_since = done.stretch.opened_at, done.stretch.gone_since
    row.told_at = done.stretch.told_at
    row.resolved_at = now if done.is_resolved else None
    row.save()


def _notices(
    row: AlertEpisode, tell: Tell, channels: Mapping[str, bool], *, now: datetime
) -> list[AlertNotice]:
    """One for each who is told. Who has not yet taken the last word is not told again."""
    if tell is Tell.NOTHING:
        return []
    told = list(row.notices.values_list("channel", "kind", "sent_at"))
    behind = {channel for channel, _, sent_at in told if sent_at is None}
    return [
        AlertNotice(
            episode=row,
            channel=channel,
            kind=tell,
            created_at=now,
            next_at=now,
            number=sum(kind == tell and name == channel for name, kind, _ in told),
        )
        for channel, repeats in channels.items()
        if tell is not Tell.AGAIN or (repeats and channel not in behind)
    ]


@transaction.atomic
def claim_notices(*, now: datetime, channels: Sequence[str]) -> list[AlertNotice]:
    """Take what is to be told now; nobody else does for a minute. Each receiver hears in order.

    In a silence only that something is over is told.
    """
    fresh = AlertNotice.objects.filter(sent_at__isnull=True, created_at__gt=now - TOO_OLD)
    earlier = fresh.filter(
        episode=OuterRef("episode"), channel=OuterRef("channel"), pk__lt=OuterRef("pk")
    )
    due = fresh.filter(next_at__lte=now, channel__in=channels).exclude(Exists(earlier))
    if is_silenced(now=now):
        due = due.filter(kind=Tell.RESOLVE)
    rows = list(
        due.select_related("episode").order_by("pk")
        .select_for_update(skip_locked=True, of=("self",))[:AT_ONCE]
    )  # fmt: skip
    for row in rows:
        row.tries += 1
        row.next_at = now + CLAIMED
    AlertNotice.objects.bulk_update(rows, ["tries", "next_at"])
    return rows


def record(*, notice: AlertNotice, problem: str, now: datetime) -> None:
    """Say how telling went; empty `problem`: it was taken. Else it is tried again, ever later."""
    rows = AlertNotice.objects.filter(pk=notice.pk, sent_at__isnull=True)
    if not problem:
        rows.update(sent_at=now, error="")
    else:
        rows.update(error=problem[:200], next_at=now + wait_after(notice.tries))


def note_outage(*, since: datetime, until: datetime) -> None:
    """Keep that the database was away, which it could not be told itself. Safe to run twice."""
    rule: Rule = CATALOGUE[Code.DATABASE_UNREACHABLE]
    AlertEpisode.objects.get_or_create(
        code=Code.DATABASE_UNREACHABLE, opened_at=since,
        defaults={
            "severity": rule.severity, "words": f"{rule.title}.", "seen_since": since,
            "told_at": since, "gone_since": until, "resolved_at": until,
        },
    )  # fmt: skip


def is_silenced(*, now: datetime) -> bool:
    """Whether nobody is told now."""
    return current_silence(now=now) is not None


def current_silence(*, now: datetime) -> AlertSilence | None:
    """The silence that lasts longest of those that hold now."""
    return AlertSilence.objects.filter(since__lte=now, until__gt=now).order_by("-until").first()


def silence(*, length: timedelta, reason: str, by: str, now: datetime) -> AlertSilence:
    """Tell nobody for so long; what stands at its end is told then."""
    return AlertSilence.objects.create(since=now, until=now + length, reason=reason[:200], by=by)


def end_silence(*, now: datetime) -> int:
    """Tell again from now on; return how many silences were ended. Safe to run twice."""
    return AlertSilence.objects.filter(until__gt=now).update(until=now)
