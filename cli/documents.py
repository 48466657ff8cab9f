"""``stint config apply|export``: a tenant's documents between a folder (a git checkout) and the ledger."""

from __future__ import annotations

from pathlib import Path

from cli.actor import person
from cli.check import read_folder
from config.hub import Hub
from config.package_releases import changed_releases, missing_pins
from config.tenant import read_tenant
from ledger import documents, tenants
from ledger.access import package_pins as access_pins
from ledger.mapping import promotions
from ledger.trail import checkpoint
from workforce.errors import Misconfigured


def apply(hub: Hub, folder: Path) -> tuple[str, int]:
    """Check the folder and make it the tenant's current version; the tenant and the version.

    An unchanged folder keeps its version. A checkpoint is signed at once, so that a tenant's audit trail is covered from its first
    event on, before any worker runs. Raises ``Misconfigured`` with every fault; nothing is applied then.
    """
    if not folder.is_dir():
        raise Misconfigured(f"{folder} is no folder; searched: {folder.absolute()}", cause="no_folder")
    files = read_folder(folder)
    config, faults = read_tenant(files, hub.secrets)
    if config is None:
        listed = "\n  ".join(str(fault) for fault in faults)
        raise Misconfigured(f"{len(faults)} fault(s) in {folder}; nothing was applied\n  {listed}", cause="tenant_faulty")
    tenant = config.document.tenant
    with hub.database.system() as tx:
        if not tenants.exists(tx, tenant):
            tenants.create(tx, tenant, config.document.name)
    with hub.database.transaction(tenant) as tx:
        documents.lock(tx)  # before what is promoted is looked at: nothing is promoted meanwhile
        changed = [fault for fault in config.mappings.check_own(config.ends, promotions.released(tx)) if fault.key == "content"]
        if changed:
            listed = "\n  ".join(str(fault) for fault in changed)
            raise Misconfigured(f"{folder}: nothing was applied\n  {listed}", cause="mapping_changed")
        known = documents.current(tx).files
        kept = [*changed_releases(known, files), *missing_pins(access_pins.counts(tx), files)]
        if kept:
            listed = "\n  ".join(str(fault) for fault in kept)
            raise Misconfigured(f"{folder}: nothing was applied\n  {listed}", cause="package_changed")
        version = documents.apply(tx, files, person())
    checkpoint.write(hub.database, tenant, hub.signer(), hub.settings.checkpoints)
    return tenant, version


def export(hub: Hub, tenant: str, folder: Path) -> tuple[int, int]:
    """Write the tenant's current documents into ``folder`` (empty or new); the version and how many files."""
    if folder.exists() and not folder.is_dir():
        raise Misconfigured(f"{folder} is no folder; name a new one", cause="no_folder")
    if folder.exists() and any(folder.iterdir()):
        raise Misconfigured(f"{folder} is not empty; name a new folder", cause="not_empty")
    with hub.database.system() as tx:
        if not tenants.exists(tx, tenant):
            raise Misconfigured(f"there is no tenant {tenant!r}; see: stint config apply DIR", cause="unknown_tenant")
    with hub.database.transaction(tenant) as tx:
        current = documents.current(tx)
    for name, text in current.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return current.version, len(current.files)
