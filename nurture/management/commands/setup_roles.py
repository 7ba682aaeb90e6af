"""`manage.py setup_roles`: the five roles as the table says."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from nurture.domain.roles import ROLES
from nurture.services.roles import set_up_roles


class Command(BaseCommand):
    """Run it after each `migrate`: models may have come that the roles may see."""

    help = "Make the roles viewer, author, publisher, operator and admin, or put them right."

    def handle(self, *args: Any, **options: Any) -> None:
        """Set, do not add; members stay."""
        if missing := set_up_roles():
            raise CommandError(f"No such permissions: {', '.join(missing)}. Run migrate first.")
        self.stdout.write(f"{len(ROLES)} roles: {', '.join(ROLES)}.")
