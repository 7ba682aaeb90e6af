"""render.yaml: what Render's own schema cannot say (S08).

`make blueprint` holds it against the schema that Render publishes, where that can be reached.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from config import env
from tests.blueprint import BLUEPRINT, ENVIRONMENTS, given, groups, programs, variables

BOTH = pytest.mark.parametrize("environment", ["staging", "production"])
#: Settings that only a laptop has, or that have one right value on Render.
NOT_ON_RENDER = {"LOCAL_DIR", "PORT", "GOOGLE_API_URL", "PAGERDUTY_API_URL", "TELEGRAM_API_URL"}
#: What may differ between the two: how large, from which branch, and whether it is copied.
OWN = {"plan", "branch", "previews", "previewPlan", "diskSizeGB", "storageAutoscalingEnabled"}
PROGRAM_FIELDS = {
    "type", "name", "runtime", "plan", "branch", "previews", "autoDeployTrigger", "buildCommand",
    "preDeployCommand", "startCommand", "healthCheckPath", "maxShutdownDelaySeconds", "envVars",
}  # fmt: skip
DATABASE_FIELDS = {
    "name", "plan", "previewPlan", "diskSizeGB", "storageAutoscalingEnabled",
    "postgresMajorVersion", "ipAllowList",
}  # fmt: skip
KEYVALUE_FIELDS = {"type", "name", "plan", "maxmemoryPolicy", "ipAllowList"}
ENVIRONMENT_FIELDS = {
    "name", "networking", "permissions", "envVarGroups", "services", "databases",
}  # fmt: skip


def keyvalue(environment: str) -> dict[str, Any]:
    """The one Key Value instance."""
    services = ENVIRONMENTS[environment]["services"]
    (found,) = [service for service in services if service["type"] == "keyvalue"]
    return dict(found)


def database(environment: str) -> dict[str, Any]:
    """The one PostgreSQL."""
    (found,) = ENVIRONMENTS[environment]["databases"]
    return dict(found)


def test_there_is_one_project_with_two_environments() -> None:
    assert set(BLUEPRINT) == {"previews", "projects"}
    assert [project["name"] for project in BLUEPRINT["projects"]] == ["telbot"]
    assert list(ENVIRONMENTS) == ["staging", "production"]


@BOTH
def test_no_field_is_misspelt(environment: str) -> None:
    """Render refuses what it does not know, but only when somebody deploys."""
    assert set(ENVIRONMENTS[environment]) == ENVIRONMENT_FIELDS
    assert set(keyvalue(environment)) == KEYVALUE_FIELDS
    assert set(database(environment)) <= DATABASE_FIELDS
    for service in programs(environment):
        assert set(service) <= PROGRAM_FIELDS, service["name"]
        assert {"type", "name", "runtime", "plan", "buildCommand", "startCommand"} <= set(service)


@BOTH
def test_every_service_has_every_setting_and_no_other(environment: str) -> None:
    known = {setting.name for setting in env.SETTINGS}
    for service in programs(environment):
        named = set(variables(environment, service))

        assert known - NOT_ON_RENDER - named == set(), service["name"]
        assert named - known == {"PYTHON_VERSION"}, service["name"]


@BOTH
def test_a_secret_never_has_a_value(environment: str) -> None:
    secrets = {setting.name for setting in env.SETTINGS if setting.secret}
    for service in programs(environment):
        for name, variable in variables(environment, service).items():
            assert name not in secrets or not {"value", "previewValue"} & set(variable), name
            assert "sync" not in variable or variable["sync"] is False, name


@BOTH
def test_a_group_asks_for_nothing(environment: str) -> None:
    """Render ignores `sync: false` in a group, without a word."""
    for entries in groups(environment).values():
        for variable in entries:
            assert set(variable) <= {"key", "value", "previewValue", "generateValue"}, variable


def test_staging_is_built_as_production_is() -> None:
    """Same services, commands, variables and names, but for the suffix."""

    def shape(environment: str) -> Any:
        text = json.dumps([
            ENVIRONMENTS[environment][field] for field in ("services", "databases", "envVarGroups")
        ]).replace("-staging", "")  # fmt: skip
        services, databases, settings = json.loads(text)
        for resource in (*services, *databases):
            for field in OWN:
                resource.pop(field, None)
        settings[0]["envVars"] = [
            variable for variable in settings[0]["envVars"] if variable["key"] != "ENVIRONMENT"
        ]
        return services, databases, settings

    assert shape("staging") == shape("production")


@BOTH
def test_every_name_is_one_of_the_same_environment(environment: str) -> None:
    """A worker of staging never gets production's database."""
    here = ENVIRONMENTS[environment]
    services = {(service["type"], service["name"]) for service in here["services"]}
    for service in programs(environment):
        for entry in service["envVars"]:
            if "fromGroup" in entry:
                assert entry["fromGroup"] in groups(environment)
            elif "fromDatabase" in entry:
                assert entry["fromDatabase"]["name"] == database(environment)["name"]
            elif "fromService" in entry:
                source = entry["fromService"]
                assert (source["type"], source["name"]) in services


def test_names_are_unique_and_say_where_they_are() -> None:
    for environment, here in ENVIRONMENTS.items():
        for resource in (*here["services"], *here["databases"], *here["envVarGroups"]):
            assert resource["name"].endswith("-staging") == (environment == "staging")
    names = [
        resource["name"]
        for here in ENVIRONMENTS.values()
        for resource in (*here["services"], *here["databases"], *here["envVarGroups"])
    ]
    assert len(names) == len(set(names)) == 12


@BOTH
def test_each_environment_is_what_it_is_called(environment: str) -> None:
    """Whatever fences staging off hangs on this one word."""
    for service in programs(environment):
        assert given(environment, service)["ENVIRONMENT"] == environment


@BOTH
def test_its_settings_boot(environment: str) -> None:
    """Before anybody answers `sync: false`; with what Render generates, as it generates it."""
    for service in programs(environment):
        read = env.read(given(environment, service))

        assert read["ENVIRONMENT"] == environment
        assert read["TELEGRAM_WEBHOOK_SECRET"]
        assert read["ALLOWED_HOSTS"] == ("telbot-web-1a2b.onrender.com",)
        assert not read["NURTURE_ENABLED"]


@BOTH
def test_a_preview_boots_and_can_reach_nobody(environment: str) -> None:
    """No bot, no chat, no Google, and it is never called production."""
    for service in programs(environment):
        read = env.read(given(environment, service, preview=True))

        assert read["ENVIRONMENT"] == "staging"
        assert (read["BOT_TOKEN"], read["STAGING_ALLOWED_CHATS"]) == ("", frozenset())
        assert read["GOOGLE_SERVICE_ACCOUNT_JSON"] is None


def test_production_is_not_copied_for_previews() -> None:
    assert BLUEPRINT["previews"] == {"generation": "manual", "expireAfterDays": 3}
    for service in programs("production"):
        assert service["previews"] == {"generation": "off"}
        assert service["branch"] == "production"
    for service in programs("staging"):
        assert "branch" not in service  # a preview would build that branch instead of the request's


@BOTH
def test_servers_are_private_and_keep_what_they_are_given(environment: str) -> None:
    assert keyvalue(environment)["maxmemoryPolicy"] == "noeviction"
    assert keyvalue(environment)["ipAllowList"] == []
    assert database(environment)["ipAllowList"] == []
    assert int(database(environment)["postgresMajorVersion"]) >= 15
    assert database(environment)["diskSizeGB"] % 5 == 0
    assert "free" not in {resource["plan"] for resource in (
        *ENVIRONMENTS[environment]["services"], *ENVIRONMENTS[environment]["databases"],
    )}  # fmt: skip
    assert ENVIRONMENTS[environment]["networking"] == {"isolation": "enabled"}
    assert ENVIRONMENTS["production"]["permissions"] == {"protection": "enabled"}


@BOTH
def test_a_deploy_waits_for_the_checks_and_for_the_migrations(environment: str) -> None:
    """S12, S20: only the web migrates; no worker leaves its place before that is done."""
    web, *others = programs(environment)
    assert [service["type"] for service in (web, *others)] == ["web", "worker", "worker"]
    assert web["preDeployCommand"] == "python manage.py predeploy"
    assert web["healthCheckPath"] == "/healthz"
    for service in others:
        assert service["preDeployCommand"] == "python manage.py wait_for_migrations"
        assert "healthCheckPath" not in service  # nobody asks a worker
    for service in (web, *others):
        assert service["autoDeployTrigger"] == "checksPass"
        assert "--require-hashes" in service["buildCommand"]
        assert not re.search("migrate|predeploy", service["buildCommand"] + service["startCommand"])


@BOTH
def test_render_waits_longer_than_a_process_takes_to_leave(environment: str) -> None:
    """SIGTERM to exit under 25 s, then a margin; what Render kills may leave unknowns."""
    web, worker, _clock = programs(environment)
    assert "--graceful-timeout 25 " in f"{web['startCommand']} "
    assert "--worker-shutdown-timeout 20000" in worker["startCommand"]
    for service in programs(environment):
        assert 30 < service["maxShutdownDelaySeconds"] <= 300
