"""The scorecard of a week, and the rules of going live: from what was measured to a verdict.

Nothing is assumed: what was not measured, or not for long enough, is `not_yet`, which is neither
good nor bad but no reason to go live either.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from nurture.domain.figures import Share, Target, Verdict

#: For how long something has to be watched before a share of it says anything.
WEEK = timedelta(days=7)
#: A backup is made each night; a late one may take two hours.
BACKUP_AGE = timedelta(hours=26)
#: The audit looks each night, too.
AUDIT_AGE = timedelta(hours=26)
#: A restore is rehearsed every month.
REHEARSAL_AGE = timedelta(days=35)
#: The plan names no number; where nobody at all answers, or nothing ends well, something is broken.
SOME = Target(above=0.0)
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Item:
    """One line: `source` says what was asked, `value` what came back and what to do."""

    name: str
    verdict: Verdict
    value: str
    source: str
    time: str = ""  # when that was so, ISO 8601; empty: at the moment of asking

    @property
    def label(self) -> str:
        """The name as staff read it."""
        if self.name == "audit":  # as the menu has it: Audit is what staff judge each week
            return "Self-audit"
        return self.name.replace("_", " ").capitalize()

    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return {key: value for key, value in asdict(self).items() if key != "time" or value}


@dataclass(frozen=True, kw_only=True)
class Record:
    """That something was done, and whether it came out well: a backup, a rehearsal."""

    at: datetime
    ok: bool
    what: str  # in a few words: its size, how long it took


def percent(share: Share, *, digits: int = 1) -> str:
    """A share as staff read it; a dash of nothing. Never rounded up to all."""
    value = share.value
    if value is None:
        return "–"
    shown = round(100 * value, digits)
    if shown == 100 and share.hits < share.of:
        shown -= 10**-digits
    return f"{shown:g} %"


def of_week(
    name: str,
    share: Share,
    target: Target,
    *,
    source: str,
    watched: timedelta,
    unit: str,
    digits: int = 1,
) -> Item:
    """A share of the last seven days against its target; `watched`: for how long there was watch.

    `not_yet` before the week is full, however good or bad it is so far, and where too few were
    counted.
    """
    value = f"{percent(share, digits=digits)} ({share.hits:,} of {share.of:,} {unit}), {target}"
    if watched < WEEK:
        value += f"; {watched / timedelta(days=1):.1f} of 7 days are measured"
        return Item(name=name, verdict="not_yet", value=value, source=source)
    verdict = target.verdict(share)
    if verdict == "not_yet":
        value += f"; at least {target.enough} are needed"
    return Item(name=name, verdict=verdict, value=value, source=source)


def of_audit(share: Share, verdict: str) -> Item:
    """Correlation: how many of the outcomes that staff looked at were right; `verdict` as the
    evaluation gave it, which asks for more pairs where the share alone would do."""
    value = f"{percent(share)} ({share.hits:,} of {share.of:,} outcomes), > 90 %"
    if verdict not in {"pass", "fail"}:
        value += "; judge more pairs of the weekly audit"
    found: Verdict = "pass" if verdict == "pass" else "fail" if verdict == "fail" else "not_yet"
    source = "attendance_auditpair, eight weeks, lower end of the 95 % interval"
    return Item(name="correlation", verdict=found, value=value, source=source)


def of_false_activations(*, open_now: int, of_week: int, watched: timedelta) -> Item:
    """Learners who were told what was not true: none that nobody has looked at."""
    value = f"{of_week} in seven days, {open_now} open"
    verdict: Verdict = "pass" if watched >= WEEK else "not_yet"
    if open_now:
        verdict, value = "fail", f"{value}; tell these learners and close the tasks"
    return Item(
        name="false_activations", verdict=verdict, value=value,
        source="nurture_stafftask, false_activation",
    )  # fmt: skip


def of_invariants(*, broken: Sequence[str], of: int) -> Item:
    """Nothing is lost, nothing doubled: every invariant of `audit` holds."""
    value = f"{of - len(broken)} of {of} hold"
    if broken:
        value += f"; broken: {', '.join(broken)}; see manage.py audit"
    verdict: Verdict = "fail" if broken else "pass"
    return Item(name="audit", verdict=verdict, value=value, source="the statements of audit")


def of_last_audit(*, broken: Sequence[str], of: int, at: datetime | None, now: datetime) -> Item:
    """The invariants as the last audit that ran to its end (`at`) left them: `broken` are the
    rules of its open findings.

    `not_yet` where none ever did, or too long ago: what nobody has looked at is not known.
    """
    source, do = "the nightly audit (job audit)", "run the job audit, or manage.py audit"
    if at is None:
        value = f"no audit has run to its end yet; {do}"
        return Item(name="audit", verdict="not_yet", value=value, source=source)
    item, age = of_invariants(broken=broken, of=of), now - at
    value = f"{item.value}; {_span(age)} ago, < {_span(AUDIT_AGE, digits=0)}"
    verdict = item.verdict if age < AUDIT_AGE else "not_yet"
    if verdict == "not_yet":
        value += f"; too long ago: {do}"
    return Item(name="audit", verdict=verdict, value=value, source=source, time=at.isoformat())


def of_lateness(seconds: float, *, at_most: float) -> Item:
    """How late the oldest delivery is that no closed gate holds back."""
    good = seconds <= at_most
    value = f"{seconds:,.0f} s late, < {at_most:.0f} s"
    if not good:
        value += "; see whether the worker runs and has room"
    return Item(
        name="oldest_due", verdict="pass" if good else "fail", value=value,
        source="nurture_deliveries",
    )  # fmt: skip


def of_alerts(bad: Sequence[str]) -> Item:
    """No alert is open that asks for an act."""
    return Item(
        name="open_alerts",
        verdict="fail" if bad else "pass",
        value=" ".join(bad) or "none is open that needs an act",
        source="the alerts of the overview",
    )


def of_isolation(*, environment: str, has_bot: bool, strays: int) -> Item:
    """Outside production nobody is written to whose chat is not allowed.

    `strays`: sends that reached another chat.
    """
    source = "STAGING_ALLOWED_CHATS and nurture_deliveries"
    if strays:
        value = f"{strays} went to chats that are not allowed; switch deliver off and look"
        return Item(name="isolation", verdict="fail", value=value, source=source)
    if environment == "production":
        value = "production: every chat is meant"
    elif has_bot:
        value = f"{environment}: only allowed chats were written to"
    else:
        value = f"{environment}: the sandbox takes every message"
    return Item(name="isolation", verdict="pass", value=value, source=source)


def of_record(
    name: str, record: Record | None, *, at_most: timedelta, now: datetime, source: str, do: str
) -> Item:
    """That something is done regularly: the newest is well and young enough; `do` is the cure."""
    if record is None:
        return Item(name=name, verdict="not_yet", value=f"none is known; {do}", source=source)
    age = now - record.at
    value = f"{_span(age)} old, < {_span(at_most, digits=0)}, {record.what}".rstrip(", ")
    good = record.ok and age < at_most
    if not good:
        value = f"{value}; {'too old' if record.ok else 'it failed'}: {do}"
    return Item(
        name=name, verdict="pass" if good else "fail", value=value, source=source,
        time=record.at.isoformat(),
    )  # fmt: skip


def of_staff(
    *, missing: Sequence[str], without_role: int, without_factor: int, of: int, asked: bool
) -> Item:
    """Roles are set up; everybody of the staff has one, and a second factor.

    `asked`: whether this installation asks for second factors; a laptop does not.
    """
    source = "auth_group, auth_user, otp_totp_totpdevice"
    wrong = []
    if missing:
        wrong.append(f"roles are missing ({', '.join(missing)}): run manage.py setup_roles")
    if without_role:
        wrong.append(f"{without_role} have no role")
    if without_factor and asked:
        wrong.append(f"{without_factor} have no second factor: they set it up at their next login")
    if wrong:
        return Item(name="staff", verdict="fail", value="; ".join(wrong), source=source)
    if not of:
        value = "nobody is staff yet: run manage.py createsuperuser"
        return Item(name="staff", verdict="not_yet", value=value, source=source)
    if without_factor:
        value = (
            f"{without_factor} of {of} have no second factor; on a laptop nobody is asked for one"
        )
        return Item(name="staff", verdict="not_yet", value=value, source=source)
    value = f"{of} with a role and a second factor"
    return Item(name="staff", verdict="pass", value=value, source=source)


def of_google(
    readings: Iterable[tuple[str, datetime | None]],
    *,
    now: datetime,
    dark: timedelta,
    configured: bool,
) -> Item:
    """Google was read as a whole of late: each source with the end of its newest complete run."""
    rows = list(readings)
    said = [f"{name} {_ago(at, now)}" for name, at in rows]
    source, value = "attendance_syncrun, state complete", ", ".join(said) or "never read"
    if not configured:
        value = "off; set GOOGLE_SERVICE_ACCOUNT_JSON and GOOGLE_DELEGATED_USER"
        return Item(name="google_sync", verdict="not_yet", value=value, source=source)
    times = [at for _, at in rows if at is not None]
    if not rows or len(times) < len(rows):
        value += "; run manage.py sync_attendance"
        return Item(name="google_sync", verdict="not_yet", value=value, source=source)
    good = now - min(times) <= dark
    if not good:
        value += "; no absence is concluded meanwhile: run manage.py doctor"
    return Item(
        name="google_sync", verdict="pass" if good else "fail", value=value, source=source,
        time=min(times).isoformat(),
    )  # fmt: skip


def overall(items: Iterable[Item]) -> Verdict:
    """The worst of all: one that fails decides, then one that is not known yet."""
    found = {item.verdict for item in items}
    return "fail" if "fail" in found else "not_yet" if "not_yet" in found else "pass"


def _span(span: timedelta, *, digits: int = 1) -> str:
    """Hours for two days, then days."""
    few = span < 2 * _DAY
    return f"{span / (_HOUR if few else _DAY):.{digits}f} {'h' if few else 'days'}"


def _ago(at: datetime | None, now: datetime) -> str:
    return "never" if at is None else f"{(now - at) / timedelta(minutes=1):.0f} min ago"
