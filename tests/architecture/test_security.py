"""Rules of docs/security.md that can be read off the code, and that its table tells the truth."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.template import Engine

from tests.architecture.test_code import APPS, ROOT, sources

DOCUMENT = ROOT / "docs" / "security.md"
#: What opens connections to elsewhere.
CLIENTS = {
    "aiohttp", "boto3", "http.client", "httplib2", "httpx", "obstore",
    "requests", "smtplib", "socket",
    "urllib.request", "urllib3",
}  # fmt: skip
#: Who does, and who says whereto: never a row, a request or a file of somebody's.
DOORS = {
    "attendance/google.py": "settings (GOOGLE_API_URL, the key's token_uri)",
    "config/backups/": "settings (BACKUP_S3_URL)",
    "config/doctor_deep.py": "settings; a connection and not a byte",
    "config/pagers.py": "settings (SLACK_WEBHOOK_URL, PAGERDUTY_API_URL)",
    "config/telemetry/": "settings (OTEL_EXPORTER_OTLP_ENDPOINT)",
    "config/demo/live.py": "loopback",
    "config/embedded.py": "sockets under LOCAL_DIR",
    "delivery/sandbox/": "loopback; not in production",
    "delivery/telegram_request.py": "settings (TELEGRAM_API_URL)",
}
SECRET = re.compile(r"secret|token|password|api_key|routing_key", re.IGNORECASE)
#: `TOKEN` is the name of a gate; the sandbox's token is anybody's on this machine.
NO_SECRETS = {"gate.key == TOKEN", "token != self.world.token"}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, also within functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def compared_secrets(code: str) -> list[str]:
    """Comparisons of a secret that take longer the more of it was guessed."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq):
            sides = [node.left, *node.comparators]
            known = any(isinstance(side, ast.Constant) for side in sides)
            if not known and any(SECRET.search(ast.unparse(side)) for side in sides):
                found.append(ast.unparse(node))
    return [said for said in found if said not in NO_SECRETS]


def test_each_threat_names_tests_that_there_are() -> None:
    """`path::test` in docs/security.md is a test; each line of the table has one."""
    text = DOCUMENT.read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ") and "::test_" in line]
    shown = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", text)

    lost = [
        f"{path}::{name}"
        for path, name in shown
        if not (ROOT / path).is_file() or f"def {name}(" not in (ROOT / path).read_text()
    ]
    threats = text.partition("| threat |")[2].partition("\n\n")[0].splitlines()[2:]
    assert lost == []
    assert [line for line in threats if line not in rows] == []
    assert len(rows) > 20


def test_only_known_doors_lead_outside() -> None:
    """No address that somebody wrote is ever fetched: no server-side request can be forged."""
    found = {
        named(path): sorted(CLIENTS & set(imports(path)))
        for path in sources(*APPS)
        if CLIENTS & set(imports(path))
    }
    strangers = set(found) - {"config/doctor.py"}  # knows http.client's names of statuses only

    assert {path for path in strangers if not path.startswith(tuple(DOORS))} == set()
    assert all(any(path.startswith(door) for path in found) for door in DOORS)


def test_secrets_are_compared_in_constant_time() -> None:
    """`hmac.compare_digest`, or a look-up by a hash."""
    found = {named(path): compared_secrets(path.read_text()) for path in sources(*APPS)}

    assert {path: said for path, said in found.items() if said} == {}
    assert compared_secrets("settings.METRICS_TOKEN == given") != []  # it would be found


def test_no_template_of_ours_writes_html_by_itself_or_runs_a_script() -> None:
    """Django escapes what is shown; the Content-Security-Policy runs no script within a page."""
    assert Engine.get_default().autoescape
    folders = [Path(settings.BASE_DIR) / "templates", *(ROOT / app for app in APPS)]
    script = r"<script(?![^>]*\b(?:src=|application/json))"
    spoilt = re.compile(rf"\|\s*safe\b|autoescape off|{script}|\son\w+=\"|javascript:")
    found = [
        f"{named(path)}: {match.group()}"
        for folder in folders
        for path in sorted(folder.rglob("*.html"))
        for match in [spoilt.search(path.read_text())]
        if match
    ]

    assert found == []
