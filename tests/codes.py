"""What the authenticator on a phone shows now."""

from __future__ import annotations

import time

from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice


def code_of(phone: TOTPDevice) -> str:
    """The six digits of this half minute; the one before fits as well."""
    totp = TOTP(phone.bin_key, phone.step, phone.t0, phone.digits, phone.drift)
    totp.time = time.time()
    return f"{totp.token():06d}"
