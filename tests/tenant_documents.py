"""The documents of one client company whose systems are sandboxes that nobody serves: valid settings, unused loopback addresses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

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


def tenant_content(docusign: DocuSignSandbox) -> Content:
    """Path → document of a company without a fault, to be changed by a test."""
    sandboxes = {
        "docusign": ("docusign", docusign),
        "fieldglass": ("fieldglass", FieldglassSandbox()),
        "bamboohr": ("bamboohr", BambooHrSandbox()),
        "gusto": ("gusto", GustoSandbox()),
        "entra": ("msgraph", MsGraphSandbox()),
    }
    instances = {name: instance(key, sandbox.settings(NOWHERE, CA_FILE)) for name, (key, sandbox) in sandboxes.items()}
    return {
        "tenant.yaml": {"tenant": "acme", "name": "Acme", "email_domain": "acme.example", "systems": dict(SYSTEMS)},
        **{f"connectors/{name}.yaml": document for name, document in instances.items()},
        "connectors/ldap.yaml": instance("ldap", LDAP),
        "access/software-engineer.yaml": dict(PACKAGE),
    }


def instance(connector: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """A connector instance's document; paths are written as text."""
    plain = {name: str(value) if isinstance(value, Path) else value for name, value in settings.items()}
    return {"connector": connector, "settings": plain}


def as_files(content: Mapping[str, Any]) -> dict[str, str]:
    """The documents as YAML text."""
    return {path: yaml.safe_dump(document, allow_unicode=True) for path, document in content.items()}
