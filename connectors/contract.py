"""What a connector declares: its key, kind, settings form and capabilities."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from workforce.errors import Misconfigured
from workforce.ports import (
    Checkable,
    CredentialStore,
    Directory,
    Notifier,
    RecordEnding,
    RecordSink,
    RecordSource,
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

    model_config = ConfigDict(frozen=True, extra="forbid")


S = TypeVar("S", bound=ConnectorSettings)
C = TypeVar("C", bound=Checkable)


@dataclass(frozen=True)
class Capabilities(Generic[S, C]):
    """What a connector can do. Each is a callable that builds the capability, usually the capability's class itself.

    ``webhooks`` takes the settings alone, because the receiver verifies without a client. All others take the client.
    """

    webhooks: Callable[[S], Webhooks] | None = None
    source: Callable[[C], RecordSource] | None = None
    sink: Callable[[C], RecordSink] | None = None
    ending: Callable[[C], RecordEnding] | None = None
    signing: Callable[[C], Signing] | None = None
    directory: Callable[[C], Directory] | None = None
    notifier: Callable[[C], Notifier] | None = None


@dataclass(frozen=True)
class Connector(Generic[S, C]):
    """A connector: the declaration in its package's ``__init__``. ``client`` builds the wire client; it connects lazily.

    ``client_with_credentials`` builds it where there is a store for a credential that the vendor replaces with each use; only
    connectors that have such a credential declare it.
    """

    key: str
    title: str
    kind: Kind
    settings: type[S]
    client: Callable[[S], C]
    can: Capabilities[S, C]
    client_with_credentials: Callable[[S, CredentialStore], C] | None = None


@dataclass
class Instance:
    """One configured connector of one tenant. Capabilities are built once, on first use, around one client.

    ``credentials`` is for connectors that declare ``client_with_credentials``; others do not look at it.
    Raises ``Misconfigured`` when asked for a capability that the connector does not have.
    """

    name: str
    connector: Connector[Any, Any]
    settings: ConnectorSettings
    credentials: CredentialStore | None = field(default=None, repr=False)
    _built: dict[str, Any] = field(default_factory=dict, repr=False)
    _first_use: threading.RLock = field(default_factory=threading.RLock, repr=False)  # re-entrant: a capability builds the client

    @property
    def client(self) -> Checkable:
        """The wire client."""
        with self._first_use:
            if "client" not in self._built:
                self._built["client"] = self._new_client()
            client: Checkable = self._built["client"]
            return client

    def close(self) -> None:
        """Close the wire client, if it was ever built."""
        if "client" in self._built:
            self.client.close()

    def webhooks(self) -> Webhooks:
        """Verify and read inbound events."""
        return self._capability("webhooks", lambda build: build(self.settings))  # type: ignore[no-any-return]

    def source(self) -> RecordSource:
        """Read records and their changes."""
        return self._of_client("source")  # type: ignore[no-any-return]

    def sink(self) -> RecordSink:
        """Keep records."""
        return self._of_client("sink")  # type: ignore[no-any-return]

    def ending(self) -> RecordEnding:
        """End records; a sink can always do so."""
        return self._of_client("ending" if self.connector.can.ending else "sink")  # type: ignore[no-any-return]

    def signing(self) -> Signing:
        """Read envelopes."""
        return self._of_client("signing")  # type: ignore[no-any-return]

    def directory(self) -> Directory:
        """Manage accounts."""
        return self._of_client("directory")  # type: ignore[no-any-return]

    def notifier(self) -> Notifier:
        """Reach people."""
        return self._of_client("notifier")  # type: ignore[no-any-return]

    def _new_client(self) -> Checkable:
        client: Checkable
        if self.credentials is None or self.connector.client_with_credentials is None:
            client = self.connector.client(self.settings)
        else:
            client = self.connector.client_with_credentials(self.settings, self.credentials)
        return client

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
