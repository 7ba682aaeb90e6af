"""render.yaml as a test sees it: what is in which environment, and which settings Render gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
BLUEPRINT: dict[str, Any] = YAML(typ="safe").load(ROOT / "render.yaml")
ENVIRONMENTS: dict[str, dict[str, Any]] = {
    environment["name"]: environment for environment in BLUEPRINT["projects"][0]["environments"]
}
#: What `generateValue` makes: base64 of 256 bits, with the letters that only base64 has.
GENERATED = "B0jrphAPOY7pg92AN0c9MN4yecczLMdwnx4Ok+/KFUk="
#: What Render itself gives a web service, and what a server's URL looks like there.
GIVEN = {
    "RENDER_EXTERNAL_URL": "https://telbot-web-1a2b.onrender.com",
    "RENDER_EXTERNAL_HOSTNAME": "telbot-web-1a2b.onrender.com",
}
SERVERS = {
    "fromDatabase": "postgresql://telbot:secret@dpg-1a2b-a:5432/telbot",
    "fromService": "redis://red-1a2b:6379",
}

Variable = dict[str, Any]


def programs(environment: str) -> list[dict[str, Any]]:
    """The services of `environment` that run our code: web, worker, clock."""
    return [service for service in ENVIRONMENTS[environment]["services"] if "runtime" in service]


def groups(environment: str) -> dict[str, list[Variable]]:
    """The groups of variables of `environment`."""
    return {group["name"]: group["envVars"] for group in ENVIRONMENTS[environment]["envVarGroups"]}


def variables(environment: str, service: dict[str, Any]) -> dict[str, Variable]:
    """Every variable of `service` by its name, those of its groups first."""
    found: dict[str, Variable] = {}
    for entry in service["envVars"]:
        if "fromGroup" in entry:
            found |= {inner["key"]: inner for inner in groups(environment)[entry["fromGroup"]]}
        else:
            found[entry["key"]] = entry
    return found


def given(environment: str, service: dict[str, Any], *, preview: bool = False) -> dict[str, str]:
    """What Render gives `service`, before anybody has answered what `sync: false` asks for.

    `preview`: in a copy for a pull request, where these stay unknown.
    """
    return {
        name: text
        for name, variable in variables(environment, service).items()
        if (text := _text(variable, preview=preview)) is not None
    }


def _text(variable: Variable, *, preview: bool) -> str | None:
    if preview and "previewValue" in variable:
        return str(variable["previewValue"])
    if "value" in variable:
        return str(variable["value"])
    if variable.get("generateValue"):
        return GENERATED
    for source in ("fromDatabase", "fromService"):
        if source in variable:
            return GIVEN.get(variable[source].get("envVarKey", ""), SERVERS[source])
    return None
