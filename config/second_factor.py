"""The second factor of staff: a code from their phone, asked for after the password.

A password alone never reaches a page of the admin, not even the one that sets up the phone: who has
no phone set up yet, or has lost it, first gives a one-time code that `manage.py second_factor NAME`
has printed for them.
"""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import segno
from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import mark_safe
from django.views.decorators.cache import never_cache
from django_otp import devices_for_user, login, match_token
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.widgets import UnfoldAdminTextInputWidget

RECOVERY_CODES = 10
OPEN = ("admin:login", "admin:logout", "second_factor", "admin:jsi18n")


def client_ip(request: HttpRequest) -> str:
    """The address that lock-outs go by.

    On Render a request passes Cloudflare and Render's proxy: X-Forwarded-For ends in the client as
    Cloudflare saw it and Cloudflare's edge. What stands left of these anybody can write.
    """
    forwarded = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    if settings.IS_LOCAL or len(forwarded) < 2:
        return str(request.META.get("REMOTE_ADDR", ""))
    return str(forwarded[-2])


def is_required(request: HttpRequest) -> bool:
    """Whether this request must not go on before a code was given."""
    user: Any = request.user
    known = settings.SECOND_FACTOR_REQUIRED and user.is_authenticated
    return bool(known and not user.is_verified())


class Required:
    """Middleware: send staff who gave only their password to the page that asks for the code."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Let through what is outside the admin, and the way in and out."""
        inside = request.path.startswith(reverse("admin:index"))
        open_pages = {reverse(name) for name in OPEN}
        if inside and request.path not in open_pages and is_required(request):
            onward = urlencode({"next": request.get_full_path()}, safe="/")
            return redirect(f"{reverse('second_factor')}?{onward}")
        return self.get_response(request)


class CodeForm(forms.Form):
    """One code: from the phone, or a recovery code."""

    code = forms.CharField(
        label="Code",
        max_length=16,
        widget=UnfoldAdminTextInputWidget(
            attrs={"autocomplete": "one-time-code", "autofocus": True, "spellcheck": "false"}
        ),
    )

    def __init__(self, *args: Any, accepts: Callable[[str], Any], **options: Any) -> None:
        super().__init__(*args, **options)
        self.accepts = accepts

    def clean_code(self) -> str:
        """Ask the devices; they slow down who guesses."""
        code = self.cleaned_data["code"].replace(" ", "").lower()
        self.device = self.accepts(code)
        if not self.device:
            raise forms.ValidationError(
                "This code does not fit. Wait for the next one; after wrong ones, a little longer."
            )
        return str(code)


@never_cache
@login_required(login_url="admin:login")
def verify(request: HttpRequest) -> HttpResponse:
    """Ask for the code; then go where the request wanted to, or set up a phone first."""

    def accepts(code: str) -> Any:
        return match_token(request.user, code)

    form = CodeForm(request.POST or None, accepts=accepts)
    if request.method == "POST" and form.is_valid():
        login(request, form.device)
        if not _has_phone(request.user):
            return redirect("second_factor_set_up")
        return redirect(_next(request))
    has_any = any(True for _ in devices_for_user(request.user))
    context: dict[str, Any] = {"title": "Second factor", "form": form, "has_any": has_any}
    return _page(request, "admin/second_factor/verify.html", context)


@never_cache
@login_required(login_url="admin:login")
def set_up(request: HttpRequest) -> HttpResponse:
    """Show the QR code of a new phone; once its first code fits, show the recovery codes, once."""
    user: Any = request.user
    new = TOTPDevice.objects.filter(user=user, confirmed=False).order_by("pk")
    # Two pages that were opened at once may have made two; both go on with the same one.
    phone = new.first() or TOTPDevice.objects.create(user=user, confirmed=False, name="phone")

    def accepts(code: str) -> TOTPDevice | None:
        return phone if code.isdigit() and phone.verify_token(code) else None

    form = CodeForm(request.POST or None, accepts=accepts)
    if request.method == "POST" and form.is_valid():
        codes = confirm(user=user, phone=phone)
        login(request, phone)
        context = {"title": "Recovery codes", "codes": codes}
        return _page(request, "admin/second_factor/codes.html", context)
    image = segno.make(phone.config_url).svg_inline(scale=5, dark="#000", light="#fff")
    about: dict[str, Any] = {
        "title": "Set up your phone",
        "form": form,
        "image": mark_safe(image),  # noqa: S308 - drawn by segno from our own address
        "secret": _in_fours(phone),
        "replaces": _has_phone(user),
    }
    return _page(request, "admin/second_factor/set_up.html", about)


@transaction.atomic
def confirm(*, user: User, phone: TOTPDevice) -> list[str]:
    """Make `phone` the only one, and new recovery codes the only ones; return these."""
    TOTPDevice.objects.filter(user=user).exclude(pk=phone.pk).delete()
    TOTPDevice.objects.filter(pk=phone.pk).update(confirmed=True)
    return new_codes(user=user, count=RECOVERY_CODES)


@transaction.atomic
def new_codes(*, user: User, count: int) -> list[str]:
    """Codes that work once each, in place of those that `user` had."""
    StaticDevice.objects.filter(user=user).delete()
    device = StaticDevice.objects.create(user=user, name="recovery codes")
    codes = [StaticToken.random_token() for _ in range(count)]
    StaticToken.objects.bulk_create(StaticToken(device=device, token=code) for code in codes)
    return codes


def _has_phone(user: Any) -> bool:
    return bool(TOTPDevice.objects.filter(user=user, confirmed=True).exists())


def _in_fours(phone: TOTPDevice) -> str:
    """The secret as one types it where no camera is at hand."""
    text = b32encode(phone.bin_key).decode().rstrip("=")
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def _next(request: HttpRequest) -> str:
    to = request.GET.get("next", "")
    safe = url_has_allowed_host_and_scheme(to, {request.get_host()}, request.is_secure())
    return to if safe else reverse("admin:index")


def _page(request: HttpRequest, template: str, context: dict[str, Any]) -> TemplateResponse:
    frame = admin.site.each_context(request)
    return TemplateResponse(request, template, {**frame, **context})
