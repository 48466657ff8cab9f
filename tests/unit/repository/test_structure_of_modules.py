"""The house rules that a machine can read off the tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("workforce", "connectors", "mappings", "provisioning", "compliance", "ledger", "config", "flows", "console", "cli")
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}
READS_ENVIRONMENT = {"environ", "environb", "getenv", "getenvb"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in modules():
        yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


def length(function: Function) -> int:
    """Physical lines of a function without its decorators and docstring."""
    first = function.body[0]
    has_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if has_docstring else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - docstring


def functions() -> dict[str, int]:
    return {
        f"{name}:{node.lineno} {node.name}": length(node)
        for name, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, Function)
    }


def test_no_module_is_longer_than_500_lines() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    assert {str(path.relative_to(ROOT)): n for path, n in lines.items() if n > 500} == {}


def test_half_of_the_modules_have_at_most_120_lines() -> None:
    assert median(len(path.read_text(encoding="utf-8").splitlines()) for path in modules()) <= 120


def test_no_function_is_longer_than_60_lines() -> None:
    assert {name: n for name, n in functions().items() if n > 60} == {}


def test_half_of_the_functions_have_at_most_8_lines_and_nine_of_ten_at_most_30() -> None:
    lengths = list(functions().values())
    assert median(lengths) <= 8
    assert quantiles(lengths, n=10)[-1] <= 30


def test_every_module_is_named_for_its_job() -> None:
    named = [path for path in modules() if FORBIDDEN_NAMES & {path.stem, path.parent.name}]
    assert named == []


def _environment_reads(tree: ast.Module) -> Iterator[int]:
    """Lines that read the environment: ``os.environ``, ``os.getenv``, or importing them from ``os``."""
    for node in ast.walk(tree):
        is_attribute = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os"
        if is_attribute and node.attr in READS_ENVIRONMENT:  # type: ignore[union-attr]  # is_attribute says so
            yield node.lineno  # type: ignore[union-attr]  # the same
        if isinstance(node, ast.ImportFrom) and node.module == "os" and READS_ENVIRONMENT & {name.name for name in node.names}:
            yield node.lineno


def test_only_config_reads_the_environment() -> None:
    reads = [f"{name}:{line}" for name, tree in trees() if not name.startswith("config/") for line in _environment_reads(tree)]
    assert reads == []


def test_only_the_command_line_prints() -> None:
    prints = [
        f"{name}:{node.lineno}"
        for name, tree in trees()
        if not name.startswith("cli/")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert prints == []


def test_every_module_says_what_it_is_for() -> None:
    assert [name for name, tree in trees() if tree.body and ast.get_docstring(tree) is None] == []


def test_every_test_file_has_a_name_of_its_own() -> None:
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("import os\nx = os.environ['A']", [2]),
        ("from os import getenv", [1]),
        ("import os\nos.getcwd()", []),
        ("environ = {}\nenviron['A']", []),
    ],
)
def test_the_rule_about_the_environment_sees_what_it_should(source: str, lines: list[int]) -> None:
    assert list(_environment_reads(ast.parse(source))) == lines
