"""Every connector answers for every rule of the quality scale."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from connectors import catalogue
from connectors.testing import QUALITY_RULES

CONNECTORS = Path(__file__).resolve().parents[3] / "connectors"


def faults(document: object) -> list[str]:
    rules = document.get("rules") if isinstance(document, dict) else None
    if not isinstance(rules, dict):
        return ["rules: is missing"]
    found = [f"{rule}: is missing" for rule in sorted(QUALITY_RULES - set(rules))]
    found += [f"{rule}: is not a rule" for rule in sorted(set(rules) - QUALITY_RULES)]
    return found + [f"{rule}: {fault}" for rule, answer in rules.items() if (fault := _fault_of(answer))]


def _fault_of(answer: object) -> str | None:
    if not isinstance(answer, dict) or answer.get("status") not in {"done", "exempt"}:
        return "status is done or exempt"
    if set(answer) - {"status", "reason"}:
        return "has more than status and reason"
    is_explained = isinstance(answer.get("reason"), str) and answer["reason"].strip()
    return "exempt needs a reason" if answer["status"] == "exempt" and not is_explained else None


@pytest.mark.parametrize("key", catalogue.known_keys())
def test_a_connector_answers_for_every_rule(key: str) -> None:
    assert faults(yaml.safe_load((CONNECTORS / key / "quality.yaml").read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("key", catalogue.known_keys())
def test_a_connector_has_the_files_that_every_connector_has(key: str) -> None:
    files = {path.name for path in (CONNECTORS / key).iterdir()}
    assert {"__init__.py", "settings.py", "client.py", "sandbox.py", "quality.yaml"} <= files


def test_the_check_sees_what_it_should() -> None:
    good = {rule: {"status": "done"} for rule in sorted(QUALITY_RULES)}
    assert faults({"rules": good}) == []
    assert faults({}) == ["rules: is missing"]
    bad = {**good, "check_is_cheap": {"status": "exempt"}, "pages_to_the_end": {"status": "todo"}, "extra": {"status": "done"}}
    assert faults({"rules": bad}) == [
        "extra: is not a rule",
        "check_is_cheap: exempt needs a reason",
        "pages_to_the_end: status is done or exempt",
    ]


def test_a_package_without_a_settings_form_is_no_connector() -> None:
    assert (CONNECTORS / "protocols" / "__init__.py").exists()
    assert "protocols" not in catalogue.known_keys()
    assert {"activedirectory", "ldap", "files"} <= set(catalogue.known_keys())
