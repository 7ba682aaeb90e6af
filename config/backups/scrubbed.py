"""Column by column: what an anonymised dump keeps, and how it disguises the rest.

A column that is not named here is disguised by its type, so one that is new tells nothing before
somebody has thought about it. Kept without being named: numbers of rows and what points at them,
moments, yes and no, counts, and columns whose values are a list in the code (`choices`).

What is sealed with a key is opened, disguised as it says here, and left open: no key of production
comes to staging. Hashes that are made with a key are replaced by others, which find nobody until
`rotate_keys` makes them anew.
"""

from __future__ import annotations

from collections.abc import Mapping

from config.backups.disguise import Disguise

#: Kept as they are: words of ours, and what staff write for everybody.
KEPT: frozenset[str] = frozenset(
    f"{model}.{column}"
    for model, columns in {
        "attendance.Activity": "application name",
        "attendance.Course": "time_zone",
        "attendance.Endpoint": "identifier_type device_type identity_rule",
        "attendance.LearnerIdentity": "origin",
        "attendance.Outcome": "flags reason",
        "attendance.Pledge": "source",
        "attendance.SyncRun": "failure",
        "delivery.ArchivedDelivery": "stream category status reason",
        "delivery.Consent": "category source",
        "delivery.Delivery": "category reason withdrawal window_zone",
        "delivery.Gate": "key",
        "delivery.InboundUpdate": "update_id",
        "delivery.Installation": "environment system_identifier",
        "nurture.AlertEpisode": "subject words",
        "nurture.AlertNotice": "channel",
        "nurture.AuditFinding": "rule says about row",
        "nurture.BackupRun": "file rows size",
        "nurture.BotText": "key language",
        "nurture.Contact": "time_zone language",
        "nurture.Decision": "step_key code",
        "nurture.HourlyFigure": "name",
        "nurture.Job": "name does",
        "nurture.JobRun": "error counts",
        "nurture.Journey": "exit_reason step_key",
        "nurture.PledgeQuestion": "code",
        "nurture.Scenario": "time_zone language",
        "nurture.Sequence": "slug name",
        "nurture.SequenceEdit": "checksum",
        "nurture.SequenceVersion": "checksum name category exit_when",
        "nurture.Step": "key wait when options",
        "auth.Group": "name",
        "auth.Permission": "name codename",
        "contenttypes.ContentType": "app_label model",
        "waffle.Flag": "name",
        "waffle.Switch": "name",
        "waffle.Sample": "name",
    }.items()
    for column in columns.split()
)

#: Disguised so that what belongs together still does.
DISGUISED: Mapping[str, str] = {
    f"{model}.{column}": way.__name__
    for way, columns in {
        Disguise.address: {
            "attendance.Learner": "email email_key",
            "attendance.ClassSession": "organizer_email",
            "attendance.Conference": "organizer_email",
        },
        Disguise.addresses: {"attendance.ClassSession": "declined"},
        Disguise.name: {"attendance.Learner": "name", "attendance.Endpoint": "display_name"},
        Disguise.identity: {
            "attendance.LearnerIdentity": "value_key",
            "attendance.Endpoint": "identifier identifier_key",
        },
        Disguise.digits: {"attendance.Endpoint": "google_user_id"},
        Disguise.mark: {
            "attendance.Endpoint": "mark",
            "attendance.Outsider": "mark",
            "attendance.ReviewItem": "mark",
        },
        Disguise.calendar: {
            "attendance.Course": "calendar_id",
            "nurture.AttendanceTrigger": "course",
        },
        Disguise.title: {"attendance.Course": "title", "attendance.ClassSession": "title"},
        Disguise.link: {"attendance.ClassSession": "meet_url"},
        Disguise.staff: {
            "attendance.LearnerIdentity": "created_by",
            "attendance.Outsider": "created_by",
            "attendance.Conference": "decided_by",
            "attendance.Outcome": "decided_by",
            "attendance.ReviewItem": "decided_by",
            "attendance.AuditPair": "decided_by",
            "delivery.Gate": "closed_by",
            "nurture.AlertSilence": "by",
            "nurture.BacktestRun": "asked_by",
            "nurture.BotText": "changed_by",
            "nurture.Job": "wanted_by paused_by",
            "nurture.JobRun": "by",
            "auth.User": "username",
        },
        Disguise.nothing: {
            "auth.User": "first_name last_name email",
            "attendance.AttendanceEvent": "trace",
            "delivery.Delivery": "trace",
            "nurture.Journey": "trace",
        },
        Disguise.locked: {"auth.User": "password"},
        Disguise.text: {"delivery.Delivery": "text", "delivery.ArchivedDelivery": "text"},
        Disguise.coded: {
            "attendance.AttendanceEvent": "key",
            "attendance.ReviewItem": "key",
            "delivery.Delivery": "dedupe_key",
            "delivery.ArchivedDelivery": "dedupe_key",
            "nurture.Journey": "entry_key",
            "nurture.StaffTask": "key",
        },
        Disguise.prose: {
            "nurture.BotText": "text",
            "nurture.SequenceVersion": "source",
            "nurture.SequenceEdit": "source",
            "nurture.Step": "text texts buttons",
        },
    }.items()
    for model, names in columns.items()
    for column in names.split()
}

#: JSON of rows that were in another table, with each column as it is disguised there.
ROWS_OF: Mapping[str, str] = {
    "delivery.ArchivedDelivery.rest": "delivery.Delivery",
    "delivery.ArchivedDelivery.tries": "delivery.Attempt",
}

#: Tables whose rows stay behind: sessions, second factors, guesses at passwords, links, logs of who
#: looked at whom. So do those of tables that no model describes.
LEFT_OUT: frozenset[str] = frozenset(
    {
        "admin.LogEntry",
        "sessions.Session",
        "django_dramatiq.Task",
        "axes.AccessAttempt",
        "axes.AccessAttemptExpiration",
        "axes.AccessFailureLog",
        "axes.AccessLog",
        "otp_static.StaticDevice",
        "otp_static.StaticToken",
        "otp_totp.TOTPDevice",
        "attendance.ErasedMark",
        "nurture.LinkToken",
        "nurture.StaffChat",
    }
)

#: A table of Django's without a model; it says what the schema is.
SCHEMA = "django_migrations"
