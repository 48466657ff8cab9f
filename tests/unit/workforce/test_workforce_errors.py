from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from workforce import errors
from workforce.errors import (
    AlreadyTaken,
    BadSignature,
    Fenced,
    HubError,
    Misconfigured,
    NotFound,
    OutcomeUnknown,
    Refused,
    RetryLater,
)

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("workforce", "connectors", "mappings", "provisioning", "compliance", "ledger", "config", "flows", "console", "cli")
THE_FOUR = {"RetryLater", "OutcomeUnknown", "Refused", "Misconfigured"}


def classes() -> Iterator[tuple[Path, ast.ClassDef]]:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    yield path, node


def base_names(node: ast.ClassDef) -> set[str]:
    return {
        base.id if isinstance(base, ast.Name) else base.attr for base in node.bases if isinstance(base, (ast.Name, ast.Attribute))
    }


def test_the_taxonomy_has_exactly_four_children() -> None:
    assert {child.__name__ for child in HubError.__subclasses__() if child.__module__ == "workforce.errors"} == THE_FOUR


def test_every_error_in_the_tree_is_a_child_of_the_four() -> None:
    strays = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path, node in classes()
        if "HubError" in base_names(node) and not (path.samefile(errors.__file__) and node.name in THE_FOUR)
    ]
    assert strays == []


def test_nothing_in_the_tree_raises_the_base_of_the_taxonomy() -> None:
    raised = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and isinstance(node.exc.func, ast.Name)
        and node.exc.func.id == "HubError"
    ]
    assert raised == []


@pytest.mark.parametrize(
    ("error", "parent", "cause"),
    [
        (RetryLater("m"), RetryLater, "unavailable"),
        (OutcomeUnknown("m"), OutcomeUnknown, "outcome_unknown"),
        (Refused("m"), Refused, "refused"),
        (NotFound("m"), Refused, "not_found"),
        (AlreadyTaken("m"), Refused, "already_taken"),
        (BadSignature(), Refused, "bad_signature"),
        (errors.UnusableContent("m"), Refused, "unusable_content"),
        (Fenced("m"), Refused, "fenced"),
        (Misconfigured("m"), Misconfigured, "misconfigured"),
    ],
)
def test_each_error_has_a_stable_cause_and_one_of_four_parents(error: HubError, parent: type[HubError], cause: str) -> None:
    assert isinstance(error, parent)
    assert error.cause == cause
    assert error.field is None


def test_only_retry_later_carries_a_wait() -> None:
    assert RetryLater("m", after_seconds=3.5).after_seconds == 3.5
    assert not hasattr(OutcomeUnknown("m"), "after_seconds")
