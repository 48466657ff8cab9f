"""What a connector declares: its key, kind, settings form and capabilities."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from connectors.wire.network import Network, Reach
from workforce.errors import HubError, Misconfigured
from workforce.ports import (
    Checkable,
    CheckResult,
    CredentialStore,
    Directory,
    MissedEvents,
    Notifier,
    RecordEnding,
    RecordSchemas,
    RecordSink,
    RecordSource,
    Screening,
    Signing,
    Webhooks,
)


class Kind(StrEnum):
    """What sort of system a connector speaks to."""

    VMS = "vms"
    ATS = "ats"
    HRIS = "hris"
    PAYROLL = "payroll"
    ESIGN = "esign"
    SCREENING = "screening"
    DIRECTORY = "directory"
    NOTIFIER = "notifier"


class ConnectorSettings(BaseModel):
    """Base of every connector's settings form: frozen, nothing unknown, secrets as ``SecretStr``, units in names."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


S = TypeVar("S", bound=ConnectorSettings)
C = TypeVar("C", bound=Checkable)
Client = TypeVar("Client")


def faults_as_result(check: Callable[[Client], CheckResult]) -> Callable[[Client], CheckResult]:
    """Make a client's ``check`` one that raises nothing: an error of ``workforce.errors`` becomes ``ok=False``, in the error's own words."""

    @wraps(check)
    def told(client: Client) -> CheckResult:
        try:
            return check(client)
        except HubError as error:
            return CheckResult(ok=False, detail=str(error))

    return told


class ReachSettings(Protocol):
    """What every settings form of a system on the network has."""

    @property
    def timeout_seconds(self) -> float:
        """How long one answer may take."""
        ...

    @property
    def ca_file(self) -> Path | None:
        """PEM file that replaces the system's trust store."""
        ...


@dataclass(frozen=True)
class Surroundings:
    """What a client is given besides its settings: how far it may reach, and where a credential is kept that changes with each use.

    ``folders`` are the only places on this machine, with all below them, in which files may be read and written. Only connectors that declare ``keeps_credential`` look at ``credentials``.
    """

    network: Network = field(default_factory=Network)
    credentials: CredentialStore | None = field(default=None, repr=False)
    folders: tuple[Path, ...] = ()

    def reach(self, settings: ReachSettings) -> Reach:
        """The reach of a client with ``settings``."""
        return Reach(settings.timeout_seconds, settings.ca_file, self.network)


ALONE = Surroundings()
"""A client on its own: only public addresses, and nothing kept."""


@dataclass(frozen=True)
class Evidence:
    """What a connector's behaviour was held against, since nobody here can call the vendor.

    ``description`` names the vendor's machine-readable description and its version; ``peer`` a real server that the tests run against.
    With neither, the connector rests on facts alone; its ``quality.yaml`` names those from memory.
    """

    description: str | None = None
    peer: str | None = None

    def __str__(self) -> str:
        return "; ".join(filter(None, (self.description, self.peer))) or "facts only"


@dataclass(frozen=True)
class Capabilities(Generic[S, C]):
    """What a connector can do. Each is a callable that builds the capability, usually the capability's class itself.

    ``webhooks`` takes the settings alone, because the receiver verifies without a client. All others take the client.
    """

    webhooks: Callable[[S], Webhooks] | None = None
    backfill: Callable[[C], MissedEvents] | None = None
    source: Callable[[C], RecordSource] | None = None
    sink: Callable[[C], RecordSink] | None = None
    schemas: Callable[[C], RecordSchemas] | None = None
    ending: Callable[[C], RecordEnding] | None = None
    signing: Callable[[C], Signing] | None = None
    screening: Callable[[C], Screening] | None = None
    directory: Callable[[C], Directory] | None = None
    notifier: Callable[[C], Notifier] | None = None

    def names(self) -> list[str]:
        """Those that the connector has."""
        return [each.name for each in fields(self) if getattr(self, each.name) is not None]


class RecordsOf(StrEnum):
    """What a system keeps a record of: the person, or each engagement (a contract, an assignment)."""

    PEOPLE = "people"
    ENGAGEMENTS = "engagements"


@dataclass(frozen=True)
class Connector(Generic[S, C]):
    """A connector: the declaration in its package's ``__init__``. ``client`` builds the wire client; it connects lazily.

    ``limits`` tells in a sentence what the vendor allows and what is not done here. ``also`` are further kinds that it serves.
    ``login_attribute`` is a directory's attribute that holds the sign-in name where a mapping may say it; ``None``: it is never mapped.
    ``records_of`` is what its sink keeps: with people, a second engagement of somebody shares the first one's record.
    """

    key: str
    title: str
    kind: Kind
    settings: type[S]
    client: Callable[[S, Surroundings], C]
    can: Capabilities[S, C]
    evidence: Evidence
    limits: str
    also: tuple[Kind, ...] = ()
    login_attribute: str | None = None
    keeps_credential: bool = False
    records_of: RecordsOf = RecordsOf.PEOPLE


@dataclass
class Instance:
    """One configured connector of one tenant. Capabilities are built once, on first use, around one client.

    Raises ``Misconfigured`` when asked for a capability that the connector does not have.
    """

    name: str
    connector: Connector[Any, Any]
    settings: ConnectorSettings
    around: Surroundings = ALONE
    _built: dict[str, Any] = field(default_factory=dict, repr=False)
    _first_use: threading.RLock = field(default_factory=threading.RLock, repr=False)  # re-entrant: a capability builds the client

    @property
    def client(self) -> Checkable:
        """The wire client."""
        with self._first_use:
            if "client" not in self._built:
                self._built["client"] = self.connector.client(self.settings, self.around)
            client: Checkable = self._built["client"]
            return client

    def close(self) -> None:
        """Close the wire client, if it was ever built."""
        if "client" in self._built:
            self.client.close()

    def webhooks(self) -> Webhooks:
        """Verify and read inbound events."""
        return self._capability("webhooks", lambda build: build(self.settings))  # type: ignore[no-any-return]

    def backfill(self) -> MissedEvents:
        """Ask for events that no webhook brought."""
        return self._of_client("backfill")  # type: ignore[no-any-return]

    def source(self) -> RecordSource:
        """Read records and their changes."""
        return self._of_client("source")  # type: ignore[no-any-return]

    def schemas(self) -> RecordSchemas:
        """Ask which fields there are."""
        return self._of_client("schemas")  # type: ignore[no-any-return]

    def sink(self) -> RecordSink:
        """Keep records."""
        return self._of_client("sink")  # type: ignore[no-any-return]

    def ending(self) -> RecordEnding:
        """End records; a sink can always do so."""
        return self._of_client("ending" if self.connector.can.ending else "sink")  # type: ignore[no-any-return]

    def signing(self) -> Signing:
        """Send, read and withdraw agreements."""
        return self._of_client("signing")  # type: ignore[no-any-return]

    def screening(self) -> Screening:
        """Order background checks."""
        return self._of_client("screening")  # type: ignore[no-any-return]

    def directory(self) -> Directory:
        """Manage accounts."""
        return self._of_client("directory")  # type: ignore[no-any-return]

    def notifier(self) -> Notifier:
        """Reach people."""
        return self._of_client("notifier")  # type: ignore[no-any-return]

    def _of_client(self, name: str) -> Any:
        return self._capability(name, lambda build: build(self.client))

    def _capability(self, name: str, make: Callable[[Callable[..., Any]], Any]) -> Any:
        build = getattr(self.connector.can, name)
        if build is None:
            raise Misconfigured(
                f"connector instance {self.name!r} ({self.connector.key}) has no {name} capability",
                cause="missing_capability",
                field=self.name,
            )
        with self._first_use:
            if name not in self._built:
                self._built[name] = make(build)
            return self._built[name]
