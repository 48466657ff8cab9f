"""``stint check``: every configuration fault at once, with file, key and the places that were searched."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path

from cli import catalogue
from cli.installation import open_hub
from cli.schemas import live_faults
from config.hub import Hub, permitted
from config.mapping_ends import mapping_ends
from config.secrets import SecretStore
from config.settings import Settings
from config.tenant import Fault, TenantConfig, read_tenant
from flows.mapping.versions import Versions
from ledger import documents
from ledger.intake import sources
from ledger.mapping import promotions
from ledger.mapping.promotions import Promotion
from mappings.check import Uncovered, uncovered
from mappings.faults import Fault as MappingFault
from mappings.registry import MappingRegistry
from workforce.errors import Misconfigured


def read_folder(folder: Path) -> dict[str, str]:
    """The YAML documents below ``folder``, by path relative to it, with forward slashes. Raises ``Misconfigured``."""
    return {
        path.relative_to(folder).as_posix(): _text(path)
        for path in sorted(folder.rglob("*.yaml"))
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path}: cannot be read as UTF-8 text: {error}", cause="unreadable_file", field=str(path)) from None


def check_folder(folder: Path, settings: Settings, *, connect: bool) -> list[Fault]:
    """Every fault of a tenant's folder and of the shipped mappings; with ``connect``, also of the systems themselves."""
    faults = _mapping_faults()
    if not folder.is_dir():
        return [*faults, Fault(str(folder), "", f"is no folder; searched: {folder.absolute()}")]
    config, found = read_tenant(read_folder(folder), SecretStore(settings.secrets), lambda _name: permitted(settings))
    faults += [Fault(str(folder / fault.file), fault.key, fault.message) for fault in found]
    return faults + _connection_faults(str(folder), config if connect else None)


def check_installation(settings: Settings, *, connect: bool) -> list[Fault]:
    """Every fault of the shipped mappings and of every tenant in the ledger."""
    faults = _mapping_faults()
    with open_hub(settings) as hub:
        for name in hub.tenant_names():
            faults += _tenant_faults(hub, name, connect=connect)
    return faults


def _tenant_faults(hub: Hub, tenant: str, *, connect: bool) -> list[Fault]:
    with hub.database.transaction(tenant) as tx:
        files = documents.current(tx).files
    config, found = read_tenant(files, hub.secrets, partial(hub.surroundings, tenant))
    faults = [Fault(f"{tenant}/{fault.file}", fault.key, fault.message) for fault in found]
    if config is not None:
        faults += [Fault(f"{tenant}/{fault.file}", fault.key, fault.message) for fault in _recorded_faults(hub, tenant, config)]
    return faults + _connection_faults(tenant, config if connect else None) + _live_faults(hub, tenant, connect=connect)


def _recorded_faults(hub: Hub, tenant: str, config: TenantConfig) -> list[Fault]:
    """Words in recorded records that no table of the mapping in force covers, and promoted versions that changed."""
    vms = config.document.systems.vms
    mapping_id = f"{config.instance(vms).connector.key}__engagement"
    with hub.database.transaction(tenant) as tx:
        fixed = promotions.released(tx)
        records = [record.values for record in sources.list_latest(tx, vms)]
        mapping = Versions(hub, tenant, looks_only=True).current(tx, mapping_id)
    changed = [fault for fault in config.mappings.check_own(config.ends, fixed) if fault.key == "content"]
    changed += _in_force_faults(hub, tenant, config)
    faults = [Fault(f"{fault.file}:{fault.line}", fault.key, fault.message) for fault in dict.fromkeys(changed)]
    where = f"mappings/{mapping_id}/{mapping.version}"
    return faults + [Fault(where, each.target, _uncovered_sentence(each)) for each in uncovered(mapping, records)]


def _in_force_faults(hub: Hub, tenant: str, config: TenantConfig) -> list[MappingFault]:
    """What is wrong with the versions that count now; those before them count for engagements that are pinned to them."""
    versions = Versions(hub, tenant, looks_only=True)
    with hub.database.transaction(tenant) as tx:
        in_force = [now for mapping_id in config.mappings.ids() if (now := versions.in_force(tx, mapping_id))]
    return [fault for now in in_force for fault in _version_faults(config, now)]


def _version_faults(config: TenantConfig, now: Promotion) -> list[MappingFault]:
    try:
        return config.mappings.version_faults(now.mapping_id, now.version, config.ends)
    except Misconfigured:
        return []  # that it is gone was told already


def _uncovered_sentence(found: Uncovered) -> str:
    words = ", ".join(f"{word!r} ({count})" for word, count in found.words.items())
    listed = f": {words}" if words else ""
    return f"{found.records} recorded record(s) say at {found.source} what no lookup covers{listed}; see: stint mappings drift"


def _live_faults(hub: Hub, tenant: str, *, connect: bool) -> list[Fault]:
    """How the mappings in force differ from the fields that the systems have now."""
    if not connect:
        return []
    try:
        config = hub.tenant(tenant)
        with hub.database.transaction(tenant) as tx:
            return live_faults(tx, Versions(hub, tenant, looks_only=True), config)
    except Misconfigured:
        return []  # told already: the documents have faults


def _mapping_faults() -> list[Fault]:
    return [
        Fault(f"{fault.file}:{fault.line}", fault.key, fault.message)
        for fault in MappingRegistry.shipped().check_all(mapping_ends)
    ]


def _connection_faults(where: str, config: TenantConfig | None) -> list[Fault]:
    """Ask every system whether it lets us in, all at the same time."""
    if config is None:
        return []
    answers = catalogue.check(config, None)
    return [Fault(f"{where}/connectors/{i.name}.yaml", "connection", a.detail) for i, a in answers if not a.ok]


def as_rows(faults: list[Fault]) -> list[dict[str, str]]:
    """The faults for JSON."""
    return [asdict(fault) for fault in faults]
