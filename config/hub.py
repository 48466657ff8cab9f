"""The hub: everything a process needs, built once from settings. The only place that knows concrete classes."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, partial
from typing import TYPE_CHECKING

import structlog

from config.secrets import SecretStore
from config.settings import Settings
from config.tenant import TenantConfig, usable_tenant
from connectors.contract import Instance, Surroundings
from connectors.wire.network import Network
from ledger import documents, tenants
from ledger.database import Database
from ledger.postgres.embedded import EmbeddedPostgres
from ledger.postgres.sibling import asyncpg_url, ensure_database, sibling_dsn
from ledger.trail.checkpoint import Signer
from ledger.vault.credentials import LedgerCredentials
from ledger.vault.keys import TaxIdVault, load_or_create_key, load_or_create_keys
from ledger.writing.effects import LedgerEffects
from workforce.errors import Misconfigured
from workforce.events import HUB, Actor
from workforce.ports import Clock

if TYPE_CHECKING:
    from ledger.documents import Documents

LEDGER_DATABASE = "stint"
PREFECT_DATABASE = "prefect"
FAULTY_SECONDS = 10.0
_FIRST_USE = threading.Lock()

log = structlog.get_logger(__name__)


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The current instant, UTC."""
        return datetime.now(UTC)


@dataclass
class Hub:
    """One process's view: the ledger, and each tenant's current configuration."""

    settings: Settings
    database: Database
    secrets: SecretStore
    clock: Clock = field(default_factory=SystemClock)
    _tenants: dict[str, tuple[int, float, TenantConfig]] = field(default_factory=dict, repr=False)
    _superseded: list[Instance] = field(default_factory=list, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def tenant(self, tenant: str) -> TenantConfig:
        """The tenant's configuration as of now; a newly applied version is taken without a restart.

        Raises ``Misconfigured`` when there is none or it has faults.
        """
        with self.database.transaction(tenant) as tx:
            version = documents.version(tx)
        known = self._known(tenant, version)
        if known is not None:
            return known
        with self._lock:
            known = self._known(tenant, version)
            if known is None:
                known = self._with_clients_kept(tenant, self._read(tenant))
                self._tenants[tenant] = (version, time.monotonic(), known)
            return known

    def _with_clients_kept(self, tenant: str, config: TenantConfig) -> TenantConfig:
        """``config`` with the instances that did not change as they are, connections and all.

        Of the others, clients may be at work still: they are closed with the hub.
        """
        before = self._tenants[tenant][2].instances if tenant in self._tenants else {}
        kept = {name: before[name] for name, instance in config.instances.items() if _same(before.get(name), instance)}
        self._superseded += [instance for name, instance in before.items() if name not in kept]
        return replace(config, instances={**config.instances, **kept})

    def _known(self, tenant: str, version: int) -> TenantConfig | None:
        """The configuration in memory, if it is still good. One with faults is read again soon: a secret may have been put in place."""
        number, read_at, config = self._tenants.get(tenant, (0, 0.0, None))
        if config is None or number != version:
            return None
        stale = config.faults and time.monotonic() - read_at > FAULTY_SECONDS
        return None if stale else config

    def _read(self, tenant: str) -> TenantConfig:
        with self.database.transaction(tenant) as tx:
            current: Documents = documents.current(tx)
        config = usable_tenant(current.files, self.secrets, partial(self.surroundings, tenant))
        if not isinstance(config, TenantConfig):
            listed = "; ".join(str(fault) for fault in config[:5])
            raise Misconfigured(f"tenant {tenant}: {listed}. Mend it and run: stint config apply DIR", cause="tenant_faulty")
        for fault in config.faults:
            log.warning("tenant.fault", tenant=tenant, file=fault.file, key=fault.key)
        return config

    def warm(self) -> None:
        """Read every tenant's configuration, which imports the connectors that it uses, so that no first request pays for it."""
        for name in self.tenant_names():
            self.tenant(name)

    def tenant_names(self) -> list[str]:
        """The tenants there are, by name."""
        with self.database.system() as tx:
            return [tenant.tenant for tenant in tenants.list_all(tx)]

    def effect_log(self, tenant: str, *, runner: str, correlation_id: str | None, actor: Actor = HUB) -> LedgerEffects:
        """The ledger's record of outside writes, for one runner (a job of one worker)."""
        return LedgerEffects(
            self.database, tenant, actor, runner=runner, correlation_id=correlation_id, lease_seconds=self.settings.lease_seconds
        )

    def signer(self) -> Signer:
        """The key that signs audit checkpoints."""
        return Signer.load_or_create(self.settings.keys_dir / "audit.pem")

    def tax_ids(self) -> TaxIdVault:
        """The vault of tax ids, with the installation's own keys."""
        keys = load_or_create_keys(self.settings.keys_dir / "tax-ids.keys")
        return TaxIdVault(keys.master, keys.lookup)

    def credentials(self, tenant: str, instance: str) -> LedgerCredentials:
        """Where a connector instance keeps a credential that changes with each use, sealed with the installation's own key."""
        return LedgerCredentials(self.database, tenant, instance, load_or_create_key(self.settings.keys_dir / "credentials.key"))

    def surroundings(self, tenant: str, instance: str) -> Surroundings:
        """What the client of a connector instance is given besides its settings."""
        ours = permitted(self.settings)
        own = tuple(folder / tenant for folder in ours.folders)  # one tenant reads nothing of another's
        return replace(ours, folders=own, credentials=self.credentials(tenant, instance))

    def close(self) -> None:
        """Close the connections to the systems and to the ledger."""
        current = (instance for _, _, config in self._tenants.values() for instance in config.instances.values())
        for instance in (*current, *self._superseded):
            instance.close()
        self.database.close()


def _same(known: Instance | None, instance: Instance) -> bool:
    """Whether an instance is configured as before."""
    return known is not None and (known.connector.key, known.settings) == (instance.connector.key, instance.settings)


def permitted(settings: Settings) -> Surroundings:
    """How far connectors may reach in this installation, whatever a tenant configures."""
    return Surroundings(network=Network(internal=tuple(settings.internal_hosts.split())), folders=settings.exchange_folders)


def ledger_dsn(settings: Settings) -> str:
    """The conninfo of the ledger's database. The embedded server must be running."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return EmbeddedPostgres(settings.postgres_dir).dsn(LEDGER_DATABASE)


def prefect_database_url(settings: Settings) -> str:
    """The SQLAlchemy URL of Prefect's database: the one that is set, or one beside the ledger's, made on first use."""
    if settings.prefect_database_url is not None:
        return settings.prefect_database_url.get_secret_value()
    ledger = ledger_dsn(settings)
    url = asyncpg_url(sibling_dsn(ledger, PREFECT_DATABASE))
    ensure_database(ledger, PREFECT_DATABASE)
    return url


def build_hub(settings: Settings, *, max_connections: int = 10) -> Hub:
    """A hub on ``settings``. Opens the connection pool; raises ``RetryLater`` while the database is away."""
    database = Database(ledger_dsn(settings), max_connections=max_connections)
    database.open()
    return Hub(settings, database, SecretStore(settings.secrets))


def process_hub() -> Hub:
    """The hub of this process, built on first use: what a Prefect task uses, which is given ids and nothing else."""
    with _FIRST_USE:  # many requests may come first at once, and each hub has a pool of connections
        return _process_hub()


@cache
def _process_hub() -> Hub:
    settings = Settings()
    return build_hub(settings, max_connections=settings.revoke_slots + settings.sync_slots * 4 + 2)
