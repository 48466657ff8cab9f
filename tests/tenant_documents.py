"""The documents of one client company whose systems are sandboxes that nobody serves: valid settings, unused loopback addresses.

Secrets are references to files in a folder of the test's.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from pydantic import SecretStr

from connectors import catalogue
from connectors.bamboohr.sandbox import BambooHrSandbox
from connectors.docusign.sandbox import DocuSignSandbox
from connectors.fieldglass.sandbox import FieldglassSandbox
from connectors.gusto.sandbox import GustoSandbox
from connectors.msgraph.sandbox import MsGraphSandbox

NOWHERE = "https://localhost:9"
CA_FILE = Path("ca.pem")
LDAP = {
    "url": "ldaps://127.0.0.1:636",
    "bind_dn": "cn=stint,ou=services,dc=acme,dc=example",
    "bind_password": "the-service-password",
    "people_base": "ou=people,dc=acme,dc=example",
    "groups_base": "ou=groups,dc=acme,dc=example",
}
SYSTEMS = {"esign": "docusign", "vms": "fieldglass", "hris": "bamboohr", "payroll": "gusto", "directories": ["entra", "ldap"]}
PACKAGE = {
    "package": "software-engineer",
    "version": 1,
    "because": "Engineers work in the code.",
    "role": "Software Engineer",
    "directories": {"entra": {"groups": ["11111111-2222-3333-4444-555555555555"]}, "ldap": {"groups": ["cn=engineers"]}},
}

Content = dict[str, dict[str, Any]]


def tenant_content(docusign: DocuSignSandbox, secrets: Path, *, ca_file: Path = CA_FILE) -> Content:
    """Path → document of a company without a fault, to be changed by a test."""
    sandboxes: dict[str, tuple[str, Any]] = {
        "docusign": ("docusign", docusign),
        "fieldglass": ("fieldglass", FieldglassSandbox()),
        "bamboohr": ("bamboohr", BambooHrSandbox()),
        "gusto": ("gusto", GustoSandbox()),
        "entra": ("msgraph", MsGraphSandbox()),
    }
    settings = {name: (key, sandbox.settings(NOWHERE, ca_file)) for name, (key, sandbox) in sandboxes.items()}
    settings["ldap"] = ("ldap", LDAP)
    return {
        "tenant.yaml": {"tenant": "acme", "name": "Acme", "email_domain": "acme.example", "systems": deepcopy(SYSTEMS)},
        **{f"connectors/{name}.yaml": instance(name, key, values, secrets) for name, (key, values) in settings.items()},
        "access/software-engineer.yaml": deepcopy(PACKAGE),
    }


def instance(name: str, connector: str, settings: Mapping[str, Any], secrets: Path) -> dict[str, Any]:
    """A connector instance's document: paths are written as text, and secrets as references to files in ``secrets``."""
    typed = catalogue.load(connector).settings.model_validate(settings)
    written = {key: _written(f"{name}-{key}", getattr(typed, key), value, secrets) for key, value in settings.items()}
    return {"connector": connector, "settings": written}


def a_secret(secrets: Path, name: str, value: str) -> dict[str, str]:
    """A reference to a new file in ``secrets`` that holds ``value``."""
    secrets.mkdir(parents=True, exist_ok=True)
    (secrets / name).write_text(value)
    return {"secret": f"file:{secrets / name}"}


def as_files(content: Mapping[str, Any]) -> dict[str, str]:
    """The documents as YAML text."""
    return {path: yaml.safe_dump(document, allow_unicode=True) for path, document in content.items()}


def write_files(content: Mapping[str, Any], folder: Path) -> Path:
    """The documents as files below ``folder``."""
    for path, text in as_files(content).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def _written(name: str, typed: object, value: Any, secrets: Path) -> Any:
    if isinstance(typed, SecretStr):
        return a_secret(secrets, name, typed.get_secret_value())
    if isinstance(typed, tuple) and any(isinstance(item, SecretStr) for item in typed):
        return [_written(f"{name}-{index}", item, None, secrets) for index, item in enumerate(typed)]
    return str(value) if isinstance(value, Path) else value
