"""`manage.py second_factor NAME`: a one-time code for who has no phone set up, or lost it."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django_otp.plugins.otp_totp.models import TOTPDevice

from config.second_factor import new_codes


class Command(BaseCommand):
    """The phone and the recovery codes that were there count no more."""

    help = "Print a code with which a member of staff gets in once and sets up a phone."

    def add_arguments(self, parser: CommandParser) -> None:
        """Whose."""
        parser.add_argument("username")

    def handle(self, *args: Any, username: str, **options: Any) -> None:
        """Take away what there was, give one code."""
        user = User.objects.filter(username=username, is_staff=True, is_active=True).first()
        if user is None:
            raise CommandError(f"No active member of staff is called {username!r}.")
        TOTPDevice.objects.filter(user=user).delete()
        (code,) = new_codes(user=user, count=1)
        self.stdout.write(f"{code}  works once, after the password of {username}.")
