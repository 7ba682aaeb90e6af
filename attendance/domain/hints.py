"""Who could a guest be? What an endpoint that nobody vouched for says of the people expected.

A hint never makes anybody present by itself (unless a course trusts names for that) and never
makes anybody absent; it says whose absence cannot be concluded while the guest is unresolved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from attendance.domain.identity import alike, fits_mask, is_full_email, is_masked, name_key
from attendance.domain.kinds import ReviewKind

NOTHING, WEAK, STRONG = 0, 2, 3  # levels of identity; 4 and 5 are links that somebody vouched for
# In a smaller group, a name that is merely alike says too little.
ROSTER_AT_LEAST = 3


@dataclass(frozen=True)
class Guest:
    """An endpoint in a class that belongs to nobody we know, and could be a learner's."""

    endpoint: int
    mark: str
    identifier: str = ""
    display_name: str = ""
    is_room: bool = False  # learners may have sat before it, uncounted; it is none itself


@dataclass(frozen=True)
class Expected:
    """One learner who is expected in the class, by what could tell that a guest is them."""

    learner: int
    name: str = ""  # as a name key
    email: str = ""
    others: frozenset[str] = frozenset()  # further addresses: theirs for sure, or as they say
    seen: bool = False  # on a device of their own, in this class
    suggested: frozenset[str] = frozenset()  # marks that somebody named, and nobody confirmed
    rejected: frozenset[str] = frozenset()  # marks that staff said are not theirs


@dataclass(frozen=True)
class Hint:
    """Who a guest could be: these learners, or (None) anyone whom nothing speaks against."""

    level: int
    learners: frozenset[int] | None
    why: str

    def could_be(self, learner: Expected, guest: Guest) -> bool:
        """Say whether the guest could be this learner."""
        if guest.mark and guest.mark in learner.rejected:
            return False
        return self.learners is None or learner.learner in self.learners


def hint(*, guest: Guest, roster: Sequence[Expected], same_name: int = 1) -> Hint:
    """Read what a guest says. `same_name`: how many guests of the class show this very name.

    A whole address of a stranger belongs to a stranger, unless the name is a learner's. A masked
    one speaks of those whom it fits. No address at all could be anyone, unless the name says who.
    A room is nobody, but staff may know who sat in it.
    """
    if guest.is_room:
        return Hint(NOTHING, frozenset(), "room")
    possible = [who for who in roster if not guest.mark or guest.mark not in who.rejected]
    named = [who for who in possible if guest.mark and guest.mark in who.suggested]
    if named:
        return _these(WEAK, named, "address_named_by_learner")
    same = _same_name(guest, possible)
    if is_masked(guest.identifier):
        return _of_mask(guest, possible, same)
    if is_full_email(guest.identifier):
        return _these(WEAK, same, "name") if same else Hint(NOTHING, frozenset(), "stranger")
    if len(same) == 1 and same_name == 1 and not same[0].seen and _is_exact(guest, same[0]):
        return _these(STRONG, same, "name")
    return _these(WEAK, same, "name") if same else Hint(NOTHING, None, "anyone")


def guest_key(*, guest: Guest, course_id: int) -> str:
    """The key under which a guest is asked about; without a mark, each time anew."""
    if not guest.mark:
        return f"{ReviewKind.GUEST}:endpoint:{guest.endpoint}"
    everywhere = guest.mark.startswith(("email:", "phone:", "device:"))
    where = "" if everywhere else f"{course_id}:"
    return f"{ReviewKind.GUEST}:{where}{guest.mark}"


def _of_mask(guest: Guest, possible: Sequence[Expected], same: Sequence[Expected]) -> Hint:
    fitting = [who for who in possible if _fits(guest.identifier, who)]
    if len(fitting) == 1 and _is_exact(guest, fitting[0]):
        return _these(STRONG, fitting, "masked_address_and_name")
    if fitting:
        return _these(WEAK, fitting, "masked_address")
    return _these(WEAK, same, "name") if same else Hint(NOTHING, frozenset(), "stranger")


def _fits(mask: str, who: Expected) -> bool:
    return any(fits_mask(mask=mask, email=address) for address in (who.email, *who.others))


def _same_name(guest: Guest, roster: Sequence[Expected]) -> list[Expected]:
    """Those of the very name; else the one whose name is alike, or is meant by a part of it."""
    name = name_key(guest.display_name)
    if not name:
        return []
    if exact := [who for who in roster if who.name == name]:
        return exact
    words = set(name.split())
    near = [
        who
        for who in roster
        if who.name and (words <= set(who.name.split()) or alike(name, who.name))
    ]
    return near if len(near) == 1 and len(roster) >= ROSTER_AT_LEAST else []


def _is_exact(guest: Guest, who: Expected) -> bool:
    name = name_key(guest.display_name)
    return bool(name) and name == who.name


def _these(level: int, learners: Sequence[Expected], why: str) -> Hint:
    return Hint(level, frozenset(who.learner for who in learners), why)
