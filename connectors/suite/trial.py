"""How a connector is tried: what its folder tells the conformance suite (``connectors.testing``), which does the rest.

Each connector's ``trial.py`` holds a subclass of ``HttpTrial`` or ``Trial`` and one instance of it, ``TRIAL``. It names the requests that
each operation makes, gives sample content in the vendor's own terms, and can change the vendor's records by hand, as people there do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import parse_qsl, unquote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connectors.contract import Connector, Instance
from connectors.suite.sandbox import ON_LOOPBACK, EffectLedger, FaultKind, Faults, serve
from connectors.wire.tls import make_loopback_tls
from workforce.access import DesiredAccount
from workforce.screening import ScreeningOrder
from workforce.signing import SigningRequest


@dataclass(frozen=True, slots=True)
class Wire:
    """The request that is an operation's own: its method and a regular expression that its path contains.

    Reads that it makes besides, and the token's request, are others. ``effect`` is what one success adds to the sandbox's effect
    ledger; ``None`` for a read.
    """

    method: str
    path: str
    effect: str | None = None


@dataclass(frozen=True, slots=True)
class Description:
    """The vendor's own machine-readable description: a file below the folder of descriptions.

    ``prefix`` is cut off the paths of requests; ``undescribed`` are regular expressions of paths that it lacks (token endpoints).
    """

    file: str
    prefix: str = ""
    undescribed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook as the vendor sends it. Header names are lower case. ``subject_id`` is the record that it is about."""

    headers: Mapping[str, str]
    body: bytes
    subject_id: str


@dataclass
class Exchange:
    """One request and its answer, as they crossed the wire."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    request_body: bytes
    status: int = 0
    response_headers: dict[str, str] = field(default_factory=dict)
    response_body: bytes = b""


class RecordingApp:
    """An ASGI wrapper around a sandbox that keeps every exchange."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner
        self.exchanges: list[Exchange] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request and keep it with its answer."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        exchange = Exchange(
            scope["method"],
            unquote(scope["path"]),
            dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True)),
            {k.decode().lower(): v.decode() for k, v in scope["headers"]},
            b"",
        )
        self.exchanges.append(exchange)

        async def recording_receive() -> Message:
            message = await receive()
            exchange.request_body += message.get("body", b"")
            return message

        async def recording_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                exchange.response_headers = {k.decode().lower(): v.decode() for k, v in message.get("headers", [])}
            exchange.response_body += message.get("body", b"")
            await send(message)

        await self._inner(scope, recording_receive, recording_send)


class TriedSandbox(Protocol):
    """What the suite needs of every sandbox, whatever it speaks."""

    effects: EffectLedger
    faults: Faults


class HttpSandbox(TriedSandbox, Protocol):
    """A sandbox that is an ASGI app."""

    app: ASGIApp

    def settings(self, base_url: str, ca_file: Path) -> dict[str, Any]:
        """The values of the settings form of an instance that talks to this sandbox; secrets as plain text."""
        ...


X = TypeVar("X", bound=TriedSandbox)
H = TypeVar("H", bound=HttpSandbox)


@dataclass
class Opened(Generic[X]):
    """A sandbox that is being served. ``exchanges`` grows with each request; it stays empty where HTTP is not spoken."""

    sandbox: X
    settings: dict[str, Any]
    exchanges: list[Exchange] = field(default_factory=list)


@contextmanager
def an_instance(connector: Connector[Any, Any], form: Mapping[str, Any], **differences: object) -> Iterator[Instance]:
    """An instance on ``form`` with ``differences``, closed afterwards."""
    settings = connector.settings.model_validate({**form, **differences})
    instance = Instance(connector.key, connector, settings, ON_LOOPBACK)
    try:
        yield instance
    finally:
        instance.close()


class Trial(ABC, Generic[X]):
    """One connector's part of the suite. Methods for capabilities that the connector lacks are never called.

    ``wires`` has an entry for each operation that is tried, named ``<capability>.<method>`` (``sink.create``, ``directory.disable``).
    Every operation of a capability that the connector declares has to be there, or in ``untried`` with the reason.
    """

    wires: Mapping[str, Wire] = {}
    untried: Mapping[str, str] = {}
    description: Description | None = None
    fault_kinds: frozenset[FaultKind] = frozenset(FaultKind)
    samples: Mapping[str, object] = {}
    """Values for fields of the target, by their dotted names, where the system wants more than its schema can say. ``None``: not tried."""
    signature_covers_body: bool = True
    """False where a vendor's signature, or secret, proves the sender and not the content, which is then a hint at most."""
    max_lines: int = 450
    """Of the connector without its stand-ins: about four hundred. More needs a reason beside it."""
    stand_ins: frozenset[str] = frozenset({"sandbox", "trial"})
    """The modules that stand in for the vendor or belong to the trial."""

    def is_stand_in(self, module: str) -> bool:
        """Whether a module of the connector's folder is no part of the connector itself."""
        return module in self.stand_ins

    @abstractmethod
    def open(self, folder: Path) -> AbstractContextManager[Opened[X]]:
        """Start a fresh sandbox, with its files in ``folder``, for the length of the block."""

    # What follows gives content in the vendor's terms. ``n`` tells samples apart; the same ``n`` is the same person.

    def record(self, n: int) -> Mapping[str, object]:
        """Values for ``sink.create``."""
        raise NotImplementedError(f"{type(self).__name__}.record")

    def record_change(self) -> Mapping[str, object]:
        """Values for ``sink.update``, which ``sink.read`` shows afterwards under the same names."""
        raise NotImplementedError(f"{type(self).__name__}.record_change")

    def shown(self, sandbox: X, external_id: str) -> Mapping[str, object] | None:  # noqa: ARG002 - for those that can
        """What the system itself holds of a record or an account, by the names of ``target.schema.json``.

        ``None`` where the sink's ``read`` shows as much. A directory's accounts can be seen in no other way.
        """
        return None

    def change_source(self, sandbox: X, n: int) -> str:
        """Make source record ``n``, or change it by hand; its id. Each call is a change that ``source.changes`` has to tell."""
        raise NotImplementedError(f"{type(self).__name__}.change_source")

    def plant_record(self, sandbox: X, n: int) -> str:
        """A record by hand that can be ended, for connectors that end records and make none; its id."""
        raise NotImplementedError(f"{type(self).__name__}.plant_record")

    def account(self, marker: str) -> DesiredAccount:
        """An account for ``directory.create``."""
        raise NotImplementedError(f"{type(self).__name__}.account")

    def add_group(self, sandbox: X, name: str) -> str:
        """A group by hand; its id."""
        raise NotImplementedError(f"{type(self).__name__}.add_group")

    # For the optional ports of a directory; each is needed by those alone that have the port.

    def add_licence(self, sandbox: X, name: str) -> str:
        """A licence that the company has bought by hand, with seats left and none taken; its id."""
        raise NotImplementedError(f"{type(self).__name__}.add_licence")

    def add_app_role(self, sandbox: X, name: str) -> str:
        """A role of an application by hand; its id, as in ``Entitlement``."""
        raise NotImplementedError(f"{type(self).__name__}.add_app_role")

    def add_manager(self, sandbox: X, n: int) -> str:
        """Somebody who can be a manager, by hand; their address."""
        raise NotImplementedError(f"{type(self).__name__}.add_manager")

    def manager_of(self, sandbox: X, account_id: str) -> str | None:
        """The address of the account's manager, as the system itself holds it."""
        raise NotImplementedError(f"{type(self).__name__}.manager_of")

    def another_login(self, login: str) -> str:
        """A login, free and well formed, to rename ``login`` to."""
        name, at, domain = login.partition("@")
        return f"x{name[:-1]}{at}{domain}"

    def delete_account(self, sandbox: X, account_id: str) -> None:
        """Delete an account by hand, so that it can be restored."""
        raise NotImplementedError(f"{type(self).__name__}.delete_account")

    def agreement(self, marker: str) -> SigningRequest:
        """A request for ``signing.send``."""
        raise NotImplementedError(f"{type(self).__name__}.agreement")

    def sign(self, sandbox: X, envelope_id: str) -> None:
        """Let everybody sign."""
        raise NotImplementedError(f"{type(self).__name__}.sign")

    def screening(self, marker: str) -> ScreeningOrder:
        """An order for ``screening.order``."""
        raise NotImplementedError(f"{type(self).__name__}.screening")

    def recipients(self) -> Sequence[str]:
        """Addresses for ``notifier.send``."""
        raise NotImplementedError(f"{type(self).__name__}.recipients")

    def delivery(self, sandbox: X, n: int) -> Delivery:
        """A signed webhook about record ``n``, which is changed for it."""
        raise NotImplementedError(f"{type(self).__name__}.delivery")


class HttpTrial(Trial[H]):
    """For sandboxes that are ASGI apps: served over TLS on loopback, every exchange recorded."""

    @abstractmethod
    def sandbox(self) -> H:
        """A fresh sandbox."""

    @contextmanager
    def open(self, folder: Path) -> Iterator[Opened[H]]:
        """Serve a fresh sandbox."""
        sandbox, tls = self.sandbox(), make_loopback_tls(folder / "tls")
        recording = RecordingApp(sandbox.app)
        with ExitStack() as stack:
            base_url = stack.enter_context(serve(recording, tls))
            yield Opened(sandbox, sandbox.settings(base_url, tls.ca), recording.exchanges)
