"""What all imports share: whose address it is, and how a file is refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attendance.domain.imports import Problem
from attendance.domain.kinds import SURE_IDENTITIES
from attendance.models import Learner, LearnerIdentity

NOBODY = "no learner has the address {email}; import the learners first"


class ImportRefusedError(ValueError):
    """The rows have mistakes; nothing was written. `problems`: all of them, by line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: Sequence[Problem] = sorted(problems, key=lambda problem: problem.number)
        super().__init__("; ".join(str(problem) for problem in self.problems))


def learners_by_address(keys: Iterable[str]) -> dict[str, int]:
    """Return the learner (id) of each address in normal form: their first one, or a sure alias."""
    wanted = set(keys)
    sure = LearnerIdentity.objects.filter(
        mark__in=[f"email:{key}" for key in wanted], status__in=SURE_IDENTITIES
    )
    found = dict(sure.values_list("value_key", "learner_id"))
    return found | dict(Learner.objects.filter(email_key__in=wanted).values_list("email_key", "pk"))
