"""Sizes, actors, settings and reasons: rules about code that no linter sees."""

from __future__ import annotations

import ast
import functools
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
APPS = ("config", "attendance", "delivery", "nurture")
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40


def sources(*folders: str) -> list[Path]:
    """Every Python file of ours in `folders`, without migrations."""
    return [
        path
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "migrations" not in path.parts
    ]


@functools.cache
def tree(path: Path) -> ast.Module:
    """What is in `path`, read once."""
    return ast.parse(path.read_text())


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function in `path`, nested ones too."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_no_file_is_too_long() -> None:
    """Split by entity before 400 lines."""
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in sources(*APPS, "tests")
    }

    assert {path: n for path, n in lengths.items() if n > MAX_FILE_LINES} == {}


def test_no_function_is_too_long() -> None:
    """A function fits on a screen (docstring not counted)."""
    long = {}
    for path in sources(*APPS):
        for function in functions(path):
            doc = ast.get_docstring(function, clean=False)
            length = (function.end_lineno or 0) - function.lineno + 1
            length -= len(doc.splitlines()) if doc else 0
            if length > MAX_FUNCTION_LINES:
                long[f"{path.relative_to(ROOT)}:{function.name}"] = length

    assert long == {}


def test_public_functions_and_classes_say_what_they_do() -> None:
    """Docstrings are the reference documentation."""
    silent = []
    for path in sources(*APPS):
        for node in tree(path).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                named_by_django = node.name in {"Command", "Meta"}
                private = node.name.startswith("_") or named_by_django
                if not private and ast.get_docstring(node) is None:
                    silent.append(f"{path.relative_to(ROOT)}:{node.name}")

    assert silent == []


def actor_decorators() -> list[tuple[str, set[str]]]:
    """Every actor as (place, names of the options it gives)."""
    found = []
    for path in sources(*APPS):
        for function in functions(path):
            for decorator in function.decorator_list:
                call = decorator if isinstance(decorator, ast.Call) else None
                target = call.func if call else decorator
                if ast.unparse(target) in {"dramatiq.actor", "actor"}:
                    options = {str(word.arg) for word in call.keywords} if call else set()
                    found.append((f"{path.relative_to(ROOT)}:{function.name}", options))
    return found


def test_every_actor_names_its_options() -> None:
    """No default queue, no broker retries (retries are rows), no endless task, no stale bell."""
    needed = {"queue_name", "max_retries", "time_limit", "max_age"}
    actors = actor_decorators()
    lacking = {place: needed - options for place, options in actors if needed - options}

    assert lacking == {}
    assert len(actors) >= 4


def test_env_example_is_the_table_of_settings() -> None:
    """What is documented is what is read."""
    from config import env

    assert (ROOT / ".env.example").read_text() == env.example()


CATALOGUES = ("attendance", "delivery", "nurture")


@pytest.mark.parametrize("app", CATALOGUES)
def test_every_reason_is_explained_and_used(app: str) -> None:
    """P27: no code without words, no words without a way to get there."""
    module = importlib.import_module(f"{app}.domain.reasons")
    code = "\n".join(
        path.read_text() for path in sources("attendance", "delivery", "nurture")
        if path.name != "reasons.py"
    )  # fmt: skip

    used = set(re.findall(r"\bReason\.(\w+)|[\"'](\w+)[\"']", code))

    unexplained = [reason for reason in module.Reason if not module.EXPLAIN.get(reason)]
    unreachable = [
        reason.name for reason in module.Reason
        if not {(reason.name, ""), ("", reason.value)} & used
    ]  # fmt: skip
    assert unexplained == []
    assert unreachable == []


def test_reason_codes_mean_one_thing() -> None:
    """One catalogue: a code that two apps have is explained alike."""
    meanings: dict[str, set[str]] = {}
    for app in CATALOGUES:
        module = importlib.import_module(f"{app}.domain.reasons")
        for reason in module.Reason:
            meanings.setdefault(reason.value, set()).add(module.EXPLAIN[reason])

    assert {code: said for code, said in meanings.items() if len(said) > 1} == {}
    assert len(meanings) > 20
