"""What log lines may have is listed, and nobody writes around the list (S13)."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from config.telemetry.scrubbing import FIELDS
from tests.architecture.test_code import APPS, ROOT, sources


def extras() -> Iterator[tuple[str, str]]:
    """Every field that the code gives to a log line, with its place."""
    for path in sources(*APPS):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.keyword) and node.arg == "extra"):
                continue
            for key in getattr(node.value, "keys", ()):
                if isinstance(key, ast.Constant):
                    yield f"{path.relative_to(ROOT)}:{node.value.lineno}", str(key.value)


def test_every_field_of_a_line_is_listed_and_explained() -> None:
    """An unlisted one would be dropped in silence: add it to scrubbing.FIELDS where harmless."""
    found = list(extras())
    explained = (ROOT / "docs/operations/observability.md").read_text()

    assert [place for place in found if place[1] not in FIELDS] == []
    assert len(found) > 10  # the scan itself works
    assert [name for name in FIELDS if f"`{name}`" not in explained] == []
