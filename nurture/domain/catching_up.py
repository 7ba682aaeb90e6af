"""What a journey that was held does with the time that went by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from nurture.domain.journey import MAX_STEPS, Decision, Effect, End, Send, Trace, WaitUntil
from nurture.domain.reasons import Reason


class Policy(StrEnum):
    """How to go on. Under each of them at most one message goes out at once."""

    LATEST = "latest"  # of the messages missed only the newest that is still of use, now
    KEEP = "keep"  # as if it had not been held: what was missed is dropped
    SHIFT = "shift"  # everything that follows is later by as long as it was held


@dataclass(frozen=True, kw_only=True)
class Resumption:
    """Where to go on: from which step, counted from when; None where nothing is left."""

    current: str | None
    anchor: datetime
    waited: str = ""  # the event that ended the wait of that step
    trail: tuple[Trace, ...] = ()
    effects: tuple[Effect, ...] = ()


#: Asks the journey machine as if it were then: step, anchor, what ended its wait, moment.
Ask = Callable[[str, datetime, str, datetime], Decision]
#: The key of the step after this one; None after the last.
After = Callable[[str], str | None]


def catch_up(
    *,
    ask: Ask,
    after: After,
    current: str,
    anchor: datetime,
    policy: Policy,
    paused_at: datetime,
    now: datetime,
) -> Resumption:
    """Say from where a journey goes on that was held from `paused_at` until `now`, at `current`.

    `anchor`: when the step before it settled. Steps without a message that came in the pause are
    done, and so is a wait whose event came; messages that are dropped are in the trail
    (`missed_in_pause`).
    """
    if policy is Policy.SHIFT:
        later = anchor + (now - paused_at)
        return Resumption(
            current=current, anchor=later, waited=ask(current, anchor, "", paused_at).heard
        )
    walk = _Walk(ask=ask, after=after, now=now, step=current, anchor=anchor, then=paused_at)
    for _ in range(MAX_STEPS):
        if walk.step is None or not walk.pass_one():
            break
    end = walk.resumption(walk.step, walk.anchor)
    return walk.newest or end if policy is Policy.LATEST else end


@dataclass(kw_only=True)
class _Walk:
    """What would have happened, moment by moment, had the journey not been held."""

    ask: Ask
    after: After
    now: datetime
    step: str | None
    anchor: datetime
    then: datetime
    waited: str = ""
    trail: list[Trace] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    #: Going on with the newest message that was missed and is still of use.
    newest: Resumption | None = None

    def pass_one(self) -> bool:
        """Pass what came in the pause, up to one message or wait; False where nothing did."""
        assert self.step is not None, "asked only while there is a step"
        decision = self.ask(self.step, self.anchor, self.waited, self.then)
        match decision.action:
            case Send(step_key=key, due_at=due) as send if due <= self.now:
                self._take(decision)
                anchor = decision.anchor or self.anchor
                if self._is_of_use(send, anchor):
                    self.newest = self.resumption(key, anchor)
                inputs = {"due_at": due.isoformat()}
                self.trail.append(Trace(step_key=key, code=Reason.MISSED_IN_PAUSE, inputs=inputs))
                self.step, self.anchor, self.then, self.waited = self.after(key), due, due, ""
                return True
            case WaitUntil(step_key=key, at=at) if at <= self.now:
                self._take(decision)
                self.step, self.then, self.waited = key, at, "time"
                self.anchor = decision.anchor or self.anchor
                return True
            case Send(step_key=key) | WaitUntil(step_key=key) if self.waited and key != self.step:
                self._take(decision)  # a wait ended in the pause: what follows counts from then
                self.step, self.waited = key, ""
                self.anchor = decision.anchor or self.anchor
                return True
        return False

    def _is_of_use(self, send: Send, anchor: datetime) -> bool:
        """Whether a message that was missed has not expired, and its step would still be sent."""
        if send.expires_at is not None and send.expires_at <= self.now:
            return False
        again = self.ask(send.step_key, anchor, "", self.now).action
        return not isinstance(again, End) and again.step_key == send.step_key

    def _take(self, decision: Decision) -> None:
        self.trail += decision.trail
        self.effects += decision.effects

    def resumption(self, current: str | None, anchor: datetime) -> Resumption:
        """Going on from there, after what has been passed so far."""
        return Resumption(
            current=current, anchor=anchor, trail=tuple(self.trail), effects=tuple(self.effects)
        )
