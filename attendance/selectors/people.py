"""Whom staff mean when they type a name."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from attendance.models import Learner, LearnerIdentity


def named(words: str) -> QuerySet[Learner]:
    """The learners of whom each of these words begins a name, or occurs in an address or mark.

    In the order of their addresses, for names are sealed. It reads addresses through: there are no
    more than some tens of thousands, and an index for parts of words (pg_trgm) is not in every
    PostgreSQL that telbot runs on.
    """
    rows = Learner.objects.order_by("email_key")
    for word in words.split():
        marked = LearnerIdentity.objects.filter(value_key__icontains=word).values("learner")
        rows = rows.filter(Q(name__words=word) | Q(email__icontains=word) | Q(pk__in=marked))
    return rows
