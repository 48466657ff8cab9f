"""How far a connector may reach. Addresses come from a tenant's settings, so none may lead into the network that the hub runs in.

A name is resolved once, every address it has is judged, and the connection goes to one of those that were judged: a name that changes
its address between the look and the call (DNS rebinding) gains nothing. Only hosts that the installation's own settings list may lie
inside.
"""

from __future__ import annotations

import ipaddress
import math
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import httpcore

from workforce.errors import Refused

IpAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC = (ipaddress.IPv4Network("192.0.0.0/24"), ipaddress.IPv4Network("168.63.129.16/32"))
"""Global by Python's count, and where some clouds have their metadata service (192.0.0.192) and their machines' host (Azure)."""


_ENDS_AT: ContextVar[float] = ContextVar("ends_at", default=math.inf)


@contextmanager
def ends_within(seconds: float) -> Iterator[None]:
    """Within the block this thread's guarded HTTP connections wait for ``seconds`` in all; a socket's own time-out starts anew each time."""
    before = _ENDS_AT.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ENDS_AT.reset(before)


def _rest(timeout: float | None, late: type[httpcore.TimeoutException]) -> float | None:
    rest = min(_ENDS_AT.get() - time.monotonic(), math.inf if timeout is None else timeout)
    if rest <= 0:
        raise late("the call did not end in time")
    return None if math.isinf(rest) else rest


def resolve(host: str, port: int) -> list[str]:
    """Every address of ``host``, in the system's order of preference. Raises ``OSError``, also for what can be no host name."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except ValueError as error:  # an empty or overlong label
        raise OSError(f"not a host name: {error}") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True)
class Network:
    """What may be reached: everything public, and of the inside only ``internal``, which are host names, addresses and networks.

    A host name stands for itself alone, whatever it resolves to; ``localhost`` means the loopback of this machine.
    """

    internal: tuple[str, ...] = ()
    resolve: Callable[[str, int], Sequence[str]] = resolve

    def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of ``host`` that may be connected to.

        Raises ``Refused`` (cause ``internal_address``) when one of them lies inside and is not listed, ``OSError`` when there is none.
        """
        found = list(self.resolve(host, port))
        if host.casefold().rstrip(".") in self._names:
            return found
        for text in found:
            if not self._permits(_unwrapped(ipaddress.ip_address(text.partition("%")[0]))):
                raise Refused(
                    f"{host} leads to an internal address; where that is meant, list the host in internal_hosts of the installation",
                    cause="internal_address",
                )
        return found

    def connect(self, host: str, port: int, *, timeout_seconds: float) -> socket.socket:
        """A TCP connection to ``host``. Raises ``Refused`` for an internal address, ``OSError``."""
        failure: OSError | None = None
        for address in self.addresses(host, port):
            try:
                return socket.create_connection((address, port), timeout_seconds)
            except OSError as error:
                failure = error
        raise failure or OSError(f"{host} has no address")

    def backend(self, sockets: httpcore.NetworkBackend | None = None) -> httpcore.NetworkBackend:
        """The same for httpcore, by way of ``sockets`` (httpcore's own)."""
        return _GuardedBackend(self, sockets or httpcore.SyncBackend())

    def _permits(self, address: IpAddress) -> bool:
        return _is_public(address) or any(address in net for net in self._networks if net.version == address.version)

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(entry.casefold() for entry in self.internal if not _is_network(entry))

    @cached_property
    def _networks(self) -> tuple[IpNetwork, ...]:
        return tuple(ipaddress.ip_network(entry, strict=False) for entry in self.internal if _is_network(entry))


@dataclass(frozen=True)
class Reach:
    """How far one client reaches and how long it waits. ``ca_file`` (PEM) replaces the system's trust store."""

    timeout_seconds: float = 10.0
    ca_file: Path | None = None
    network: Network = field(default_factory=Network)


def _is_network(entry: str) -> bool:
    try:
        ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
    return True


def _is_public(address: IpAddress) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return address.is_global and not address.is_multicast and not any(address in net for net in _NOT_PUBLIC)


def _unwrapped(address: IpAddress) -> IpAddress:
    """The IPv4 address that an IPv6 one stands for (mapped, 6to4, NAT64), or itself. Teredo's are not public at all."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and address in _NAT64:
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return inner or address


class _GuardedBackend(httpcore.NetworkBackend):
    """Connects to judged addresses only."""

    def __init__(self, network: Network, sockets: httpcore.NetworkBackend) -> None:
        self._network, self._sockets = network, sockets

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Resolve, judge, connect. Raises ``httpcore.ConnectError`` and ``Refused``."""
        try:
            addresses = self._network.addresses(host, port)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        failure: httpcore.NetworkError | httpcore.TimeoutException = httpcore.ConnectError(f"{host} has no address")
        for address in addresses:
            try:
                rest = _rest(timeout, httpcore.ConnectTimeout)
                return _TimedStream(self._sockets.connect_tcp(address, port, rest, local_address, socket_options))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        """Never: no vendor is a file on this machine."""
        del path, timeout, socket_options
        raise httpcore.ConnectError("unix sockets are not used")

    def sleep(self, seconds: float) -> None:
        """As httpcore's own."""
        self._sockets.sleep(seconds)


class _TimedStream(httpcore.NetworkStream):
    """A stream whose every wait ends with the call's time."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """As the stream. Raises ``httpcore.ReadTimeout``."""
        return self._stream.read(max_bytes, _rest(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """As the stream. Raises ``httpcore.WriteTimeout``."""
        self._stream.write(buffer, _rest(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        """As the stream."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """As the stream. Raises ``httpcore.ConnectTimeout``."""
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, _rest(timeout, httpcore.ConnectTimeout)))

    def get_extra_info(self, info: str) -> Any:
        """As the stream."""
        return self._stream.get_extra_info(info)
