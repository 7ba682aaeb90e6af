"""What the documents tell people to type is there: each command, and each option of it."""

from __future__ import annotations

import re
from functools import cache

import pytest
from django.core.management import get_commands, load_command_class

from tests.blueprint import ROOT

DOCS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
# In a span of code or in a block of it, up to what ends a command there.
COMMAND = re.compile(r"manage\.py\s+([a-z][a-z_]*)([^`#&|;\"]*)")
OPTION = re.compile(r"(?<!\S)\[?(--[a-z][a-z-]*)")


@cache
def options_of(name: str) -> frozenset[str]:
    """Every option that a command takes; nothing where there is no such command."""
    app = get_commands().get(name)
    if app is None:
        return frozenset()
    command = load_command_class(app, name) if isinstance(app, str) else app
    return frozenset(command.create_parser("manage.py", name)._option_string_actions)


def told() -> dict[tuple[str, str], set[str]]:
    """(document, command) → the options that are named with it."""
    found: dict[tuple[str, str], set[str]] = {}
    for path in DOCS:
        for span in code_of(path.read_text()):
            for name, rest in COMMAND.findall(span):
                found.setdefault((path.name, name), set()).update(OPTION.findall(rest))
    return found


def code_of(text: str) -> list[str]:
    """The lines of blocks, and the spans, which may be broken over two lines."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    spans = re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.M))
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [*lines, *(" ".join(span.split()) for span in spans)]


def test_every_command_of_the_documents_exists_with_its_options() -> None:
    commands = told()
    assert len(commands) > 80, "the documents are read wrongly"
    wrong = {
        f"{where}: {name} {option}".strip()
        for (where, name), options in commands.items()
        for option in (options or {""})
        if not options_of(name) or (option and option not in options_of(name))
    }
    assert wrong == set()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("say `manage.py restore\n  --from-storage`, then", [("restore", ["--from-storage"])]),
        ("```console\n$ python manage.py no_such --x # --y\n```\n", [("no_such", ["--x"])]),
    ],
)
def test_they_are_found(text: str, expected: list[tuple[str, list[str]]]) -> None:
    found = [pair for span in code_of(text) for pair in COMMAND.findall(span)]
    assert [(name, OPTION.findall(rest)) for name, rest in found] == expected
    assert options_of("no_such") == frozenset()
