"""``stint check``: every configuration fault at once, with file, key and the places that were searched."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from cli.installation import open_hub
from config.hub import Hub
from config.secrets import SecretStore
from config.settings import Settings
from config.tenant import Fault, TenantConfig, read_tenant
from connectors.contract import Instance
from ledger import documents, tenants
from mappings.registry import MappingRegistry


def read_folder(folder: Path) -> dict[str, str]:
    """The YAML documents below ``folder``, by path relative to it, with forward slashes."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*.yaml"))
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def check_folder(folder: Path, settings: Settings, *, connect: bool) -> list[Fault]:
    """Every fault of a tenant's folder and of the shipped mappings; with ``connect``, also of the systems themselves."""
    faults = _mapping_faults()
    if not folder.is_dir():
        return [*faults, Fault(str(folder), "", f"is no folder; searched: {folder.absolute()}")]
    config, found = read_tenant(read_folder(folder), SecretStore(settings.secrets))
    faults += [Fault(str(folder / fault.file), fault.key, fault.message) for fault in found]
    return faults + _connection_faults(str(folder), config if connect else None)


def check_installation(settings: Settings, *, connect: bool) -> list[Fault]:
    """Every fault of the shipped mappings and of every tenant in the ledger."""
    faults = _mapping_faults()
    with open_hub(settings) as hub:
        with hub.database.system() as tx:
            names = [tenant.tenant for tenant in tenants.list_all(tx)]
        for name in names:
            faults += _tenant_faults(hub, name, connect=connect)
    return faults


def _tenant_faults(hub: Hub, tenant: str, *, connect: bool) -> list[Fault]:
    with hub.database.transaction(tenant) as tx:
        files = documents.current(tx).files
    config, found = read_tenant(files, hub.secrets)
    faults = [Fault(f"{tenant}/{fault.file}", fault.key, fault.message) for fault in found]
    return faults + _connection_faults(tenant, config if connect else None)


def _mapping_faults() -> list[Fault]:
    return [Fault(f"{fault.file}:{fault.line}", fault.key, fault.message) for fault in MappingRegistry.shipped().check_all()]


def _connection_faults(where: str, config: TenantConfig | None) -> list[Fault]:
    """Ask every system whether it lets us in, all at the same time."""
    if config is None:
        return []

    def ask(instance: Instance) -> list[Fault]:
        result = instance.client.check()
        return [] if result.ok else [Fault(f"{where}/connectors/{instance.name}.yaml", "connection", result.detail)]

    with ThreadPoolExecutor(8) as pool:
        return [fault for faults in pool.map(ask, config.instances.values()) for fault in faults]


def as_rows(faults: list[Fault]) -> list[dict[str, str]]:
    """The faults for JSON."""
    return [asdict(fault) for fault in faults]
