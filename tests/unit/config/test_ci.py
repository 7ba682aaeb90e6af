"""CI runs what a person runs, and Render deploys after it (S12)."""

from __future__ import annotations

import re

from ruamel.yaml import YAML

from tests.blueprint import ROOT

WORKFLOW = YAML(typ="safe").load(ROOT / ".github" / "workflows" / "ci.yml")


def test_every_push_runs_the_script_that_a_person_runs() -> None:
    """On every branch, so also on the two that are deployed; nothing of it may fail unseen."""
    assert {"push", "pull_request"} <= set(WORKFLOW["on"])
    assert WORKFLOW["on"]["push"] is None  # no branch is left out
    steps = [step.get("run", "") for step in WORKFLOW["jobs"]["check"]["steps"]]
    assert "bash .ci/run" in steps
    assert "make --no-print-directory check" in (ROOT / ".ci" / "run").read_text()
    assert "continue-on-error" not in str(WORKFLOW)


def test_the_check_has_the_checks_of_a_deploy() -> None:
    makefile = (ROOT / "Makefile").read_text()
    found = re.search(r"^check: .*\n((?:\t.*\n)+)", makefile, re.MULTILINE)

    assert found is not None
    parts = {"unit", "lint", "types", "contracts", "migrations-check", "deploy-check", "rest"}
    assert parts <= set(found[1].split())
    assert "check --deploy --fail-level WARNING" in makefile


def test_a_workflow_may_read_and_nothing_else() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    runs = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
    assert {"make audit-deps", "make blueprint"} <= {step.get("run") for step in runs}
    checkouts = [step for step in runs if "checkout" in step.get("uses", "")]
    assert all(step["with"] == {"persist-credentials": False} for step in checkouts)
