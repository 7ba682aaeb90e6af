"""The tables of nurture."""

from __future__ import annotations

from nurture.models.alerts import AlertEpisode, AlertNotice, AlertSilence
from nurture.models.backtests import BacktestRun
from nurture.models.backups import BackupRun
from nurture.models.contacts import Contact, ContactTag, CourseZone, LinkToken
from nurture.models.dry_runs import DryRunVerdict, WouldSend
from nurture.models.figures import HourlyFigure
from nurture.models.jobs import AuditFinding, Job, JobRun, RunOutcome
from nurture.models.journeys import (
    OPEN,
    Decision,
    HoldoutAssignment,
    Journey,
    JourneyStatus,
    StaffTask,
    TaskKind,
)
from nurture.models.questions import PledgeQuestion
from nurture.models.scenarios import EditKind, Scenario, SequenceEdit
from nurture.models.sequences import (
    AttendanceTrigger,
    Sequence,
    SequenceVersion,
    Step,
    VersionStatus,
)
from nurture.models.staff import StaffChat
from nurture.models.texts import BotText

__all__ = [
    "OPEN",
    "AlertEpisode",
    "AlertNotice",
    "AlertSilence",
    "AttendanceTrigger",
    "AuditFinding",
    "BacktestRun",
    "BackupRun",
    "BotText",
    "Contact",
    "ContactTag",
    "CourseZone",
    "Decision",
    "DryRunVerdict",
    "EditKind",
    "HoldoutAssignment",
    "HourlyFigure",
    "Job",
    "JobRun",
    "Journey",
    "JourneyStatus",
    "LinkToken",
    "PledgeQuestion",
    "RunOutcome",
    "Scenario",
    "Sequence",
    "SequenceEdit",
    "SequenceVersion",
    "StaffChat",
    "StaffTask",
    "Step",
    "TaskKind",
    "VersionStatus",
    "WouldSend",
]
