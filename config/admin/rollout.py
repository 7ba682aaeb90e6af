"""Rollout: what is on, for whom, and what one may do about it. The same as `manage.py switch`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from waffle.models import Flag, Switch

from config.admin.overview import lasting
from delivery import selectors as delivery
from delivery.clock import now
from delivery.models import Gate
from delivery.selectors import COUNTED, Queue
from delivery.services import ensure_stream, stream_key
from nurture import flags
from nurture.domain.catching_up import Policy
from nurture.flags import ATTENDANCE, DELIVER, EVERYBODY, NURTURE, STREAM_PREFIX
from nurture.models import Sequence as NurtureSequence
from nurture.services.alerts import counted, deliveries
from nurture.services.switches import percent_of, reached, turn

MAY_LOOK = "waffle.view_flag"
SHARES = (5.0, 10.0, 25.0, 50.0, 75.0, EVERYBODY)
#: What each switch takes; a stream takes what holding its sequence takes.
NEEDS = {
    NURTURE: "waffle.change_flag",
    ATTENDANCE: "waffle.change_switch",
    DELIVER: "delivery.switch_gate",
}
HOLD = "nurture.hold_sequence"
NOT_READ = "Google is not read and no class is settled, so no new journey begins."
POLICIES = (
    (Policy.LATEST, "send the newest that is still of use, drop the older ones"),
    (Policy.KEEP, "drop what came due; go on with what comes next"),
    (Policy.SHIFT, "send it, and let all that follows be later by as long"),
)


@dataclass(frozen=True, kw_only=True)
class Change:
    """One turn of a switch before it is made: how it stands, how it would, and what follows."""

    name: str
    what: str  # in words
    before: str
    after: str
    effects: Sequence[str]
    danger: bool = False
    policies: Sequence[tuple[Policy, str]] = field(default=())


@dataclass(frozen=True, kw_only=True)
class Stream:
    """What one sequence, or the bot's questions, owe and whether it may go out."""

    name: str
    what: str
    gate: Queue | None
    due: str


@require_http_methods(["GET", "POST"])
@never_cache
def rollout(request: HttpRequest) -> HttpResponse:
    """Show the switches; on POST ask before one is turned, and turn it once that was confirmed."""
    if not request.user.has_perm(MAY_LOOK):
        raise PermissionDenied
    if request.method == "GET":
        return _page(request, "admin/rollout.html", _switches(request))
    name, to = request.POST.get("name", ""), request.POST.get("to", "").strip()
    if not _may_turn(request, name):
        raise PermissionDenied
    try:
        if "expected" in request.POST:
            return _turn(request, name, to)
        return _page(request, "admin/rollout_confirm.html", {"change": foresee(name, to), "to": to})
    except LookupError as error:
        return HttpResponseBadRequest(str(error), content_type="text/plain")  # it quotes
    except ValueError as error:
        messages.error(request, f"{str(error).capitalize()}. Nothing was changed.")
        return redirect("rollout")


def foresee(name: str, to: str) -> Change:
    """What turning a switch would do. Writes nothing. Raises LookupError and ValueError."""
    before = flags.state(name)
    if name == NURTURE:
        return _of_nurture(before, percent_of(to))
    if to not in {"on", "off"}:
        raise ValueError(f"{name} is on or off")
    on = to == "on"
    if name == ATTENDANCE:
        effect = "Google is read again, and classes are settled." if on else NOT_READ
        return Change(
            name=name, what="Reading Google", before=before, after=to, effects=[effect],
            danger=not on,
        )  # fmt: skip
    queues = delivery.queues()
    if name == DELIVER:
        due = sum(queue.due for queue in queues)
        return Change(name=name, what="All sending", before=before, after=to,
                      effects=list(_of_sending(on, due)), danger=not on)  # fmt: skip
    slug = name.removeprefix(STREAM_PREFIX)
    due = next((queue.due for queue in queues if queue.key == stream_key(slug)), 0)
    asks = on and due > 0
    chosen = [f"Due now: {deliveries(due)}. What becomes of what is due is chosen here."]
    return Change(
        name=name, what=f"Sequence {slug}", before=before, after=to, danger=not on,
        effects=chosen if asks else list(_of_sending(on, due)), policies=POLICIES if asks else (),
    )  # fmt: skip


def _of_nurture(before: str, percent: float) -> Change:
    flags.check_percent(percent)
    is_now = flags.rollout_percent()
    linked, counts = reached([is_now, percent])
    after = flags.Stand(percent=percent, attendance=True, deliver=True).percent_words
    more = counts[percent] - counts[is_now]
    kind = "more" if more >= 0 else "fewer"
    effects = [
        f"About {abs(more):,} {kind} learners: {counts[percent]:,} instead of {counts[is_now]:,} "
        f"may enter sequences, of {linked:,} who have opened the bot.",
        "Who is let in is drawn once for each learner: raising the share only adds people.",
    ]
    if percent == 0:
        effects.append("Journeys under way stand still. What is already planned still goes out.")
    elif more < 0:
        effects.append("Journeys under way go on; those who are out only begin no new ones.")
    return Change(name=NURTURE, what="Nurture", before=before, after=after, effects=effects,
                  danger=more < 0)  # fmt: skip


def _of_sending(on: bool, due: int) -> Iterator[str]:
    if not on:
        yield "Nothing more goes out from the next moment on; what is on the wire comes to its end."
        yield f"Due now: {deliveries(due)}. What is due waits, and so does all that follows."
        yield "What is useless by the time it could go out expires."
        return
    rate = settings.TELEGRAM_SENDS_PER_SECOND
    yield f"Due now: {deliveries(due)}. What is due goes out at once."
    if due:
        least = "at least " if due > COUNTED else ""
        yield f"At {rate:g} a second that takes {least}{lasting(due / rate)}."


def _turn(request: HttpRequest, name: str, to: str) -> HttpResponse:
    policy = Policy(request.POST["policy"]) if request.POST.get("policy") else None
    before, after = turn(
        name=name, to=to, by=request.user.get_username(), now=now(), policy=policy,
        expected=request.POST["expected"],
    )  # fmt: skip
    words = f"{name}: {before} → {after}"
    user: Any = request.user
    LogEntry.objects.log_actions(user.pk, [_row(name)], CHANGE, words, single_object=True)
    messages.success(request, f"{words}.")
    return redirect("rollout")


def _row(name: str) -> Flag | Switch | Gate:
    """The row that the audit log names."""
    if name == NURTURE:
        return Flag.objects.get(name=name)
    if name in {ATTENDANCE, DELIVER}:
        return Switch.objects.get(name=name)
    return Gate.objects.get(key=ensure_stream(name.removeprefix(STREAM_PREFIX)))


def _may_turn(request: HttpRequest, name: str) -> bool:
    return bool(request.user.has_perm(NEEDS.get(name, HOLD)))


def _switches(request: HttpRequest) -> dict[str, Any]:
    stand, queues = flags.stand(), delivery.queues()
    linked, counts = reached([stand.percent, *SHARES])
    return {
        "stand": stand,
        "due": deliveries(sum(queue.due for queue in queues)),
        "bot_gates": [gate for gate in queues if gate.scope == "bot" and gate.closed],
        "linked": linked,
        "reached": counts[stand.percent],
        "shares": [(share, counts[share]) for share in SHARES],
        "streams": list(_streams(queues)),
        "may": {name: request.user.has_perm(needs) for name, needs in NEEDS.items()},
        "may_hold": request.user.has_perm(HOLD),
    }


def _streams(queues: Sequence[Queue]) -> Iterator[Stream]:
    gates = {queue.key: queue for queue in queues}
    published = NurtureSequence.objects.filter(published_version__isnull=False).order_by("name")
    names = [*published.values_list("slug", "name"), (flags.QUESTIONS, "The bot's own questions")]
    for slug, what in names:
        gate = gates.get(stream_key(slug))
        yield Stream(
            name=f"{STREAM_PREFIX}{slug}",
            what=what,
            gate=gate,
            due=counted(gate.due if gate else 0),
        )


def _page(request: HttpRequest, template: str, context: dict[str, Any]) -> TemplateResponse:
    frame = {**admin.site.each_context(request), "title": "Rollout"}
    return TemplateResponse(request, template, frame | context)
