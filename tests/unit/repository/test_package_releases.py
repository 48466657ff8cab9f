"""A released version of an access package never changes; what counts is what it means."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import yaml

from config.package_releases import changed_releases, missing_pins

PACKAGE: dict[str, Any] = {
    "package": "engineer",
    "version": 1,
    "because": "Engineers work in the code.",
    "role": "Software Engineer",
    "client_units": ["Analytics", "Platform"],
    "directories": {"entra": {"groups": ["one", "two"]}, "ldap": {"groups": ["cn=engineers"]}},
    "approvers": ["grace@acme.example", "ines@acme.example"],
}
APPLIED = {"access/engineer.yaml": yaml.safe_dump(PACKAGE)}


def changed(**difference: Any) -> dict[str, str]:
    return {"access/engineer.yaml": yaml.safe_dump({**deepcopy(PACKAGE), **difference})}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("role", "Data Engineer"),
        ("client_units", ["Analytics"]),
        ("locations", ["Berlin"]),
        ("directories", {"entra": {"groups": ["one", "two", "three"]}}),
        ("approvers", []),
        ("sensitive", True),
        ("effective_from", "2026-01-01"),
        ("because", "Another reason."),
    ],
)
def test_a_version_that_says_something_else_is_a_fault_that_names_the_field_and_the_next_version(field: str, value: Any) -> None:
    (fault,) = changed_releases(APPLIED, changed(**{field: value}))
    assert (fault.file, fault.key) == ("access/engineer.yaml", "version")
    assert f"({field})" in fault.message
    assert "add version 2" in fault.message


def test_the_next_version_is_behind_those_that_are_there() -> None:
    files = {**changed(role="Other"), "access/engineer/v0007.yaml": yaml.safe_dump({**PACKAGE, "version": 7})}
    (fault,) = changed_releases(APPLIED, files)
    assert "add version 8" in fault.message


def test_order_layout_comments_and_the_place_of_the_file_mean_nothing() -> None:
    same = {
        **PACKAGE,
        "client_units": ["Platform", "Analytics"],
        "approvers": PACKAGE["approvers"][::-1],
        "directories": {"ldap": {"groups": ["cn=engineers"]}, "entra": {"groups": ["two", "one"], "licences": []}},
        "sensitive": False,
    }
    text = "# moved\n" + yaml.safe_dump(same, default_flow_style=True)
    assert changed_releases(APPLIED, {"access/engineer/v0001.yaml": text}) == []


def test_a_new_version_and_a_new_package_may_say_what_they_like() -> None:
    files = {
        **APPLIED,
        "access/engineer/v0002.yaml": yaml.safe_dump({**PACKAGE, "version": 2, "role": "Other"}),
        "access/other.yaml": yaml.safe_dump({**PACKAGE, "package": "other"}),
    }
    assert changed_releases(APPLIED, files) == []


@pytest.mark.parametrize("text", ["{", "[]", "package: engineer", "effective_from: 2026-02-31", ""])
def test_what_cannot_be_read_is_told_elsewhere(text: str) -> None:
    assert changed_releases(APPLIED, {"access/engineer.yaml": text}) == []
    assert changed_releases({"access/engineer.yaml": text}, APPLIED) == []


def test_other_documents_are_no_packages() -> None:
    assert changed_releases({"connectors/engineer.yaml": APPLIED["access/engineer.yaml"]}, changed(role="Other")) == []


def test_a_version_that_running_engagements_are_pinned_to_may_not_go() -> None:
    assert missing_pins({("engineer", 1): 3}, APPLIED) == []
    (fault,) = missing_pins({("engineer", 1): 3, ("engineer", 2): 1}, APPLIED)
    assert "engineer v2 is gone, and 1 running engagement(s)" in fault.message
