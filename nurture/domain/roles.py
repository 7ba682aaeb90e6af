"""Who may do what in the admin: the one table of roles and permissions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deed:
    """A permission of our own: what an action needs, beyond Django's add, change, delete, view."""

    permission: str  # app.codename
    model: str  # the model of the same app that it is about
    words: str


DEEDS = (
    Deed("attendance.see_personal_data", "learner", "Can see what is nothing but personal data"),
    Deed("attendance.export_learner", "learner", "Can hand out all that is stored of a learner"),
    Deed("attendance.erase_learner", "learner", "Can erase a learner"),
    Deed("attendance.decide_review", "reviewitem", "Can answer questions about attendance"),
    Deed("attendance.judge_audit", "auditpair", "Can judge the weekly audit"),
    Deed("attendance.excuse_pledge", "pledge", "Can excuse a learner from a class"),
    Deed("delivery.withdraw_delivery", "delivery", "Can withdraw what has not gone out"),
    Deed("delivery.resolve_delivery", "delivery", "Can say that an unknown delivery arrived"),
    Deed("delivery.resend_delivery", "delivery", "Can send a delivery again"),
    Deed("delivery.switch_gate", "gate", "Can close and open gates"),
    Deed("nurture.edit_sequence", "sequence", "Can write drafts of sequences"),
    Deed("nurture.test_sequence", "sequence", "Can send a test to a staff chat"),
    Deed("nurture.backtest_sequence", "sequence", "Can run a sequence over recorded weeks"),
    Deed("nurture.publish_sequence", "sequence", "Can publish a draft"),
    Deed("nurture.change_words", "bottext", "Can change what the bot says"),
    Deed("nurture.hold_sequence", "sequence", "Can hold a sequence and let it go on"),
    Deed("nurture.release_dry_run", "wouldsend", "Can release or discard what a dry run kept"),
    Deed("nurture.pause_journey", "journey", "Can pause and resume journeys"),
    Deed("nurture.end_journey", "journey", "Can end journeys and move them to a newer version"),
    Deed("nurture.invite_learner", "linktoken", "Can make links that bind a chat to a learner"),
    Deed("nurture.run_job", "job", "Can pause jobs and run them now"),
    Deed("nurture.finish_stafftask", "stafftask", "Can close tasks"),
    Deed("nurture.silence_alerts", "alertepisode", "Can silence alerts for a while"),
)

#: `app.view_*` is every permission of that kind; personal rows ask for one more (console.pages).
VIEWER = ("attendance.view_*", "delivery.view_*", "nurture.view_*", "waffle.view_*")
AUTHOR = (
    *VIEWER,
    "nurture.edit_sequence",
    "nurture.test_sequence",
    "nurture.backtest_sequence",
)
PUBLISHER = (
    *AUTHOR,
    "nurture.publish_sequence",
    "nurture.hold_sequence",
    "nurture.change_words",
)
OPERATOR = (
    *VIEWER,
    "attendance.see_personal_data",
    "attendance.export_learner",
    "attendance.decide_review",
    "attendance.judge_audit",
    "attendance.excuse_pledge",
    "attendance.add_pledge",
    "attendance.change_learner",
    "delivery.withdraw_delivery",
    "delivery.resolve_delivery",
    "delivery.resend_delivery",
    "delivery.switch_gate",
    "nurture.backtest_sequence",
    "nurture.hold_sequence",
    "nurture.pause_journey",
    "nurture.end_journey",
    "nurture.release_dry_run",
    "nurture.invite_learner",
    "nurture.run_job",
    "nurture.finish_stafftask",
    "nurture.silence_alerts",
    "nurture.change_contact",
    "waffle.change_flag",
    "waffle.change_switch",
)
#: All that Django knows for these apps, and every deed.
ADMIN = (
    *(deed.permission for deed in DEEDS),
    *(
        f"{app}.{kind}_*"
        for app in ("attendance", "delivery", "nurture", "waffle")
        for kind in ("view", "add", "change", "delete")
    ),
    *(f"auth.{kind}_*" for kind in ("view", "add", "change", "delete")),
    "admin.view_logentry",
    "axes.view_*",
    "axes.delete_accessattempt",
    "otp_totp.view_*",
    "otp_totp.delete_totpdevice",
    "otp_static.view_*",
    "otp_static.delete_staticdevice",
)

ROLES: Mapping[str, tuple[str, ...]] = {
    "viewer": VIEWER,
    "author": AUTHOR,
    "publisher": PUBLISHER,
    "operator": OPERATOR,
    "admin": ADMIN,
}
