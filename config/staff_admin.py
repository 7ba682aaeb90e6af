"""Staff: who they are, how they get in, what they did."""

from __future__ import annotations

from typing import Any

from axes.models import AccessAttempt, AccessAttemptExpiration, AccessFailureLog, AccessLog
from django.contrib import admin
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from config.console.lists import SpanFilter
from config.console.pages import Console
from config.console.words import moment, pill
from nurture.domain.roles import ROLES

WHAT = {ADDITION: ("good", "added"), CHANGE: ("info", "changed"), DELETION: ("bad", "deleted")}

for theirs in (
    User, Group, AccessAttempt, AccessAttemptExpiration, AccessFailureLog, AccessLog,
    StaticDevice, TOTPDevice,
):  # fmt: skip
    if admin.site.is_registered(theirs):
        admin.site.unregister(theirs)


def _by_superuser(request: HttpRequest) -> bool:
    """Whether a superuser asks."""
    user: Any = request.user
    return bool(user.is_superuser)


def _is_theirs(request: HttpRequest, row: User | None) -> bool:
    """Whether somebody may lay hands on a user, as far as it hangs on who that is."""
    return row is None or not row.is_superuser or _by_superuser(request)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):
    """Staff."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "roles", "is_active", "seen")
    list_filter = ("is_active", "is_superuser", "groups")

    # Whoever may change users could make themselves a superuser, or take one's name and password.

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        """Only superusers make superusers."""
        own = () if _by_superuser(request) else ("is_superuser",)
        return [*super().get_readonly_fields(request, obj), *own]

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Superusers, with their passwords, are for each other alone."""
        return _is_theirs(request, obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Likewise, one by one and from the list."""
        return _is_theirs(request, obj) and super().has_delete_permission(request, obj)

    @admin.display(description="roles")
    def roles(self, row: User) -> str:
        """In words."""
        names = [group.name for group in row.groups.all()]
        return ", ".join(["superuser"] * row.is_superuser + names) or "none: sees nothing"

    @admin.display(description="last login", ordering="last_login")
    def seen(self, row: User) -> SafeString:
        """When they last gave their password."""
        return moment(row.last_login)


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    """Roles. The five that come with telbot are set anew by each `setup_roles`."""

    list_display = ("name", "kind")

    @admin.display(description="made by")
    def kind(self, row: Group) -> str:
        """Whether it is one of the five."""
        return "telbot" if row.name in ROLES else "staff"


@admin.register(LogEntry)
class LogEntryAdmin(Console):
    """The audit log: who did what in the admin, and when."""

    list_display = ("at", "user", "what", "which", "said")
    list_select_related = ("user", "content_type")
    list_filter = (
        ("user", RelatedDropdownFilter),
        "action_flag",
        ("content_type", RelatedDropdownFilter),
        ("action_time", SpanFilter),
    )
    search_fields = ("object_repr", "change_message", "user__username")
    search_help_text = "Who, which row, or what was done"
    ordering = ("-pk",)
    list_display_links = ("which",)
    empty_words = "Nobody has changed anything here yet. Each change and each action is kept."

    def heading(self, row: LogEntry) -> str:
        """By who and what."""
        return f"{row.user.get_username()} {WHAT[row.action_flag][1]} {row.object_repr}"

    @admin.display(description="when", ordering="action_time")
    def at(self, row: LogEntry) -> SafeString:
        """On the clock of whoever looks."""
        return moment(row.action_time)

    @admin.display(description="what")
    def what(self, row: LogEntry) -> SafeString:
        """Added, changed or deleted."""
        return pill(*WHAT[row.action_flag])

    @admin.display(description="which")
    def which(self, row: LogEntry) -> str:
        """The kind of row and its name then."""
        return f"{row.content_type}: {row.object_repr}" if row.content_type else row.object_repr

    @admin.display(description="in words")
    def said(self, row: LogEntry) -> str:
        """What was noted."""
        return row.get_change_message() or "–"


class Forgettable(Console):
    """Read-only, but an admin may take rows away."""

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """By the usual permission; `Console` has none."""
        return ModelAdmin.has_delete_permission(self, request, obj)


@admin.register(AccessAttempt)
class AccessAttemptAdmin(Forgettable):
    """Wrong passwords of late; deleting a row opens a locked login."""

    list_display = ("username", "ip_address", "failures_since_start", "at")
    search_fields = ("username", "ip_address")
    ordering = ("-pk",)
    exclude = ("get_data", "post_data", "http_accept")
    empty_words = "Nobody has typed a wrong password of late."

    def heading(self, row: AccessAttempt) -> str:
        """By name."""
        return str(row.username)

    @admin.display(description="last", ordering="attempt_time")
    def at(self, row: AccessAttempt) -> SafeString:
        """When."""
        return moment(row.attempt_time)


class DeviceAdmin(Forgettable):
    """Second factors; deleting one locks its owner out until they get a one-time code."""

    list_display = ("user", "name", "confirmed", "used")
    list_select_related = ("user",)
    search_fields = ("user__username",)
    ordering = ("user__username", "pk")
    empty_words = "Nobody has set up a phone yet. Staff do it at their first login."

    def heading(self, row: TOTPDevice | StaticDevice) -> str:
        """By owner."""
        return f"{row.name} of {row.user.get_username()}"

    @admin.display(description="last used", ordering="last_used_at")
    def used(self, row: TOTPDevice | StaticDevice) -> SafeString:
        """When."""
        return moment(row.last_used_at)


@admin.register(TOTPDevice)
class TOTPDeviceAdmin(DeviceAdmin):
    """Phones. Their secrets are shown to nobody."""

    fields = ("user", "name", "confirmed", "created_at", "last_used_at")


@admin.register(StaticDevice)
class StaticDeviceAdmin(DeviceAdmin):
    """Recovery codes. The codes are shown to nobody."""

    fields = ("user", "name", "confirmed", "created_at", "last_used_at")
