"""What is brought in from elsewhere: who people are, past classes, Google's own reports."""

from __future__ import annotations

from attendance.services.imports.history import HistoryImported, import_history
from attendance.services.imports.identities import IdentitiesImported, import_identities
from attendance.services.imports.people import ImportRefusedError
from attendance.services.imports.reports import ReportImported, import_report

__all__ = [
    "HistoryImported",
    "IdentitiesImported",
    "ImportRefusedError",
    "ReportImported",
    "import_history",
    "import_identities",
    "import_report",
]
