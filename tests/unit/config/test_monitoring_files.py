"""Dashboard, rules and handbook speak of what there is, and of all of it (S14, S16)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from config.pagers import RUNBOOK
from nurture.domain.alerts import CATALOGUE, Code, Severity
from nurture.services.metrics import MEANINGS

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "docs" / "operations"
#: What OTLP's names become in Prometheus, and what Prometheus knows by itself.
OTHERS = {
    "http_server_request_duration_seconds_bucket", "telbot_task_duration_seconds_bucket",
    "telbot_database_duration_seconds_bucket", "up",
}  # fmt: skip
NAME = re.compile(r"\b(?:telbot_\w+|http_server_\w+|up(?={))")
#: Only shown, or no alert.
WITHOUT_RULE = {Code.TASKS_OPEN, Code.TEST}


def rules() -> list[dict[str, Any]]:
    """Prometheus' rules."""
    text = (FOLDER / "prometheus" / "telbot-rules.yml").read_text()
    found: list[dict[str, Any]] = YAML(typ="safe").load(text)["groups"][0]["rules"]
    return found


def headings(page: str) -> set[str]:
    """What one may link to in a page of the handbook."""
    return set(re.findall(r"^## (\S+)$", (FOLDER / page).read_text(), re.MULTILINE))


def expressions() -> Iterator[str]:
    """All that the dashboard and the rules ask for."""
    board = json.loads((FOLDER / "grafana" / "telbot.json").read_text())
    for panel in board["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    yield from (note["expr"] for note in board["annotations"]["list"])
    yield from (rule["expr"] for rule in rules())


def test_dashboard_and_rules_name_only_figures_that_there_are() -> None:
    asked = {name for text in expressions() for name in NAME.findall(text)}

    assert asked - set(MEANINGS) <= OTHERS
    assert len(asked) > 35  # nearly all of them: this test reads what it should
    assert all(NAME.search(text) for text in expressions())


def test_every_panel_has_a_place_of_its_own() -> None:
    board = json.loads((FOLDER / "grafana" / "telbot.json").read_text())
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_every_rule_says_how_bad_it_is_and_where_to_read_on() -> None:
    places = headings("alerts.md")
    for rule in rules():
        said, page = rule["annotations"], rule["annotations"]["runbook"]
        assert said["summary"]
        assert page.startswith(f"{RUNBOOK}#")
        code = page.rpartition("#")[2]
        assert code in places
        # Prometheus asks for a severity as our own catalogue does.
        assert Severity(rule["labels"]["severity"]) is CATALOGUE[Code(code)].severity, code
    codes = {Code(rule["annotations"]["runbook"].rpartition("#")[2]) for rule in rules()}
    assert codes == set(Code) - WITHOUT_RULE


def test_the_handbook_has_every_alert() -> None:
    text = (FOLDER / "alerts.md").read_text()

    codes = {code.value for code in Code} - {Code.TEST}
    assert {place for place in headings("alerts.md") if "_" in place or place == "poison"} == codes
    for code in Code:
        rule = CATALOGUE[code]
        if rule.after is not None:
            said = text.partition(f"## {code}\n")[2].strip()
            assert said.startswith(f"*{rule.severity.value.capitalize()}, "), code


def test_the_handbook_has_every_figure() -> None:
    text = (FOLDER / "monitoring.md").read_text()

    found = dict(re.findall(r"^\| `(telbot_\w+)` \| .* \| (.*) \|$", text, re.MULTILINE))
    assert found == dict(MEANINGS)
