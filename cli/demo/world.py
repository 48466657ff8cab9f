"""A client company in a box: sandboxes of its vendors, a real directory server, and the tenant's configuration for them.

Used by ``stint demo``, by the end-to-end tests and by the benchmarks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import SecretStr
from starlette.types import ASGIApp

from connectors import catalogue
from connectors.bamboohr.sandbox import BambooHrSandbox
from connectors.docusign.sandbox import DocuSignSandbox
from connectors.fieldglass.sandbox import FieldglassSandbox
from connectors.gusto.sandbox import GustoSandbox
from connectors.ldap.sandbox import SlapdSandbox
from connectors.msgraph.sandbox import MsGraphSandbox
from connectors.suite.sandbox import serve
from connectors.wire.tls import TlsFiles, make_loopback_tls

TENANT = "acme"
ROLE = "Software Engineer"
EMAIL_DOMAIN = "acme.example"
GROUPS = ("contractors", "software-engineers")


@dataclass
class World:
    """The vendors and the directory of one client company, running, and the tenant's folder of documents."""

    folder: Path
    tls: TlsFiles
    docusign: DocuSignSandbox
    fieldglass: FieldglassSandbox
    bamboohr: BambooHrSandbox
    gusto: GustoSandbox
    graph: MsGraphSandbox
    slapd: SlapdSandbox
    addresses: dict[str, str] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)

    @property
    def documents(self) -> Path:
        """The tenant's folder, for ``stint config apply``."""
        return self.folder / "tenant"

    def order(self, **columns: str) -> str:
        """A work order for a contractor of this company, in US dollars by the hour; ``columns`` override. Its id."""
        usual = {"Role": ROLE, "Country": "US", "Currency": "USD", "Time Zone": "America/New_York"}
        return self.fieldglass.add_work_order(**{**usual, **columns})

    def http_sandboxes(self) -> Mapping[str, tuple[str, Any]]:
        """Instance name → (connector key, sandbox) of everything that speaks HTTP."""
        return {
            "docusign": ("docusign", self.docusign),
            "fieldglass": ("fieldglass", self.fieldglass),
            "bamboohr": ("bamboohr", self.bamboohr),
            "gusto": ("gusto", self.gusto),
            "entra": ("msgraph", self.graph),
        }


@contextmanager
def client_company(folder: Path, *, latency_seconds: float = 0.0, timeout_seconds: float = 10.0) -> Iterator[World]:
    """Start everything below ``folder``; it ends with the block. ``timeout_seconds`` is the connectors' deadline for a call."""
    tls = make_loopback_tls(folder / "tls")
    with ExitStack() as stack:
        world = World(
            folder,
            tls,
            DocuSignSandbox(latency_seconds=latency_seconds),
            FieldglassSandbox(latency_seconds=latency_seconds),
            BambooHrSandbox(latency_seconds=latency_seconds),
            GustoSandbox(latency_seconds=latency_seconds),
            MsGraphSandbox(latency_seconds=latency_seconds),
            stack.enter_context(SlapdSandbox(folder / "slapd")),
        )
        for name, (_, sandbox) in world.http_sandboxes().items():
            app: ASGIApp = sandbox.app
            world.addresses[name] = stack.enter_context(serve(app, tls))
        world.groups["entra"] = [world.graph.add_group(group) for group in GROUPS]
        world.groups["ldap"] = [world.slapd.add_group(group) for group in GROUPS]
        _write_documents(world, timeout_seconds)
        yield world


def _write_documents(world: World, timeout_seconds: float) -> None:
    """The tenant's documents, as an administrator would write them: secrets are references to files."""
    systems = {"esign": "docusign", "vms": "fieldglass", "hris": "bamboohr", "payroll": "gusto", "directories": ["entra", "ldap"]}
    tenant = {"tenant": TENANT, "name": "Acme Corporation", "email_domain": EMAIL_DOMAIN, "systems": systems}
    _write(world.documents / "tenant.yaml", tenant)
    for name, (key, sandbox) in world.http_sandboxes().items():
        values = {**sandbox.settings(world.addresses[name], world.tls.ca), "timeout_seconds": timeout_seconds}
        _write_instance(world, name, key, values)
    _write_instance(world, "ldap", "ldap", world.slapd.settings())
    package = {
        "package": "software-engineer",
        "version": 1,
        "because": "Engineers on contract work in the code and the chat, and nowhere else.",
        "role": ROLE,
        "directories": {name: {"groups": groups} for name, groups in world.groups.items()},
    }
    _write(world.documents / "access" / "software-engineer.yaml", package)


def _write_instance(world: World, name: str, key: str, values: Mapping[str, Any]) -> None:
    connector = catalogue.load(key)
    settings = connector.settings.model_validate(values)
    filled = {field: _referenced(world, f"{name}-{field}", getattr(settings, field), values[field]) for field in values}
    _write(world.documents / "connectors" / f"{name}.yaml", {"connector": key, "settings": filled})


def _referenced(world: World, name: str, typed: object, plain: Any) -> Any:
    """``plain``, or a reference to a file that holds it when its type says that it is a secret."""
    if isinstance(typed, SecretStr):
        path = world.folder / "secrets" / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_text(typed.get_secret_value())
        return {"secret": f"file:{path}"}
    if isinstance(typed, tuple | list) and any(isinstance(item, SecretStr) for item in typed):
        return [_referenced(world, f"{name}-{i}", item, None) for i, item in enumerate(typed)]
    if isinstance(plain, Path):
        return str(plain)
    return sorted(plain) if isinstance(plain, set | frozenset) else plain


def _write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
