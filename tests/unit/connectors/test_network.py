"""How far a connector may reach: nothing that a tenant writes leads into the network that the hub runs in."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

import httpcore
import httpx
import pytest

from connectors.http import Dialect, HttpEdge
from connectors.wire.network import Network, Reach, ends_within, resolve
from workforce.errors import Refused

PUBLIC = "93.184.216.34"

NUMERIC_TRICKS = [
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "017700000001", "0177.0.0.1", "127.255.255.254", "0.0.0.0", "0",  # noqa: S104 - a trick, bound nowhere
    "10.0.0.1", "10.255.255.255", "167772161", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.255.255", "3232235521",
    "169.254.169.254", "2852039166", "0xa9fea9fe", "169.254.0.1", "100.64.0.1", "100.100.100.200", "192.0.0.192", "198.18.0.1", "224.0.0.1",
    "255.255.255.255", "240.0.0.1", "::1", "0:0:0:0:0:0:0:1", "::", "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1",
    "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2002:a00:1::1", "2002:a9fe:a9fe::",
    "fe80::1", "fc00::1", "fd00:ec2::254", "fdff::1", "ff02::1", "2001:db8::1", "::127.0.0.1", "2001:0:7f00:1:0:0:80ff:fffe", "::ffff:0:127.0.0.1",
    "168.63.129.16", "::ffff:168.63.129.16", "2001:0:a00:1::f7f7:f7f7",
]  # fmt: skip
NAMED_TRICKS = {
    "localhost": ["127.0.0.1"],
    "localhost.": ["127.0.0.1"],
    "LOCALHOST": ["::1"],
    "vendor.example": ["10.0.0.7"],
    "both.example": [PUBLIC, "127.0.0.1"],
    "both-ways.example": ["::1", PUBLIC],
    "scoped.example": ["fe80::1%eth0"],
    "metadata.google.internal": ["169.254.169.254"],
    "127.0.0.1.nip.example": ["127.0.0.1"],
    "mapped.example": ["::ffff:192.168.1.1"],
    "listed.example.evil.example": ["10.1.2.3"],
}


def answering(*addresses: str, internal: tuple[str, ...] = ()) -> Network:
    return Network(internal=internal, resolve=lambda _host, _port: list(addresses))


@pytest.mark.parametrize("trick", NUMERIC_TRICKS)
def test_an_internal_address_is_refused_however_it_is_written(trick: str) -> None:
    try:
        found = resolve(trick, 443)
    except socket.gaierror:
        found = [str(ipaddress.ip_address(trick))]  # this system cannot even look it up
    with pytest.raises(Refused) as raised:
        answering(*found).addresses(trick, 443)
    assert raised.value.cause == "internal_address"


@pytest.mark.parametrize(("name", "addresses"), NAMED_TRICKS.items())
def test_a_name_that_leads_inside_is_refused_even_if_it_leads_elsewhere_too(name: str, addresses: list[str]) -> None:
    with pytest.raises(Refused):
        answering(*addresses, internal=("listed.example",)).addresses(name, 443)


def test_public_addresses_are_reached() -> None:
    for address in (PUBLIC, "2606:2800:220:1:248:1893:25c8:1946", f"::ffff:{PUBLIC}"):
        assert answering(address).addresses("vendor.example", 443) == [address]


@pytest.mark.parametrize("listed", ["intern.example", "INTERN.example", "10.0.0.7", "10.0.0.0/24", "10.0.0.9/24"])
def test_what_the_installation_lists_is_reached(listed: str) -> None:
    assert answering("10.0.0.7", internal=(listed,)).addresses("intern.example", 443) == ["10.0.0.7"]


def test_a_listed_network_opens_nothing_beside_it() -> None:
    with pytest.raises(Refused):
        answering("10.0.1.7", internal=("10.0.0.0/24", "fd00::/8")).addresses("intern.example", 443)


class Sockets(httpcore.MockBackend):
    """Connects to nothing and remembers what was asked for. ``dead`` are addresses where nobody answers."""

    def __init__(self, dead: Sequence[str] = ()) -> None:
        super().__init__([])
        self.dead, self.connected = dead, list[str]()

    def connect_tcp(self, host: str, *args: object, **kwargs: object) -> httpcore.NetworkStream:
        del args, kwargs
        if host in self.dead:
            raise httpcore.ConnectTimeout("nobody answers")
        self.connected.append(host)
        return super().connect_tcp(host, 443)


class Rebinding:
    """A name server that answers with a public address first and an internal one afterwards."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, host: str, port: int) -> Sequence[str]:
        del host, port
        self.asked += 1
        return [PUBLIC] if self.asked == 1 else ["127.0.0.1"]


def test_a_name_is_resolved_once_and_the_judged_address_is_the_one_connected_to() -> None:
    rebinding, sockets = Rebinding(), Sockets()
    backend = Network(resolve=rebinding).backend(sockets)
    backend.connect_tcp("vendor.example", 443)
    assert (rebinding.asked, sockets.connected) == (1, [PUBLIC])
    with pytest.raises(Refused):
        backend.connect_tcp("vendor.example", 443)
    assert sockets.connected == [PUBLIC]


def test_the_next_address_is_tried_where_one_does_not_answer() -> None:
    sockets = Sockets(dead=(PUBLIC,))
    answering(PUBLIC, "93.184.216.35").backend(sockets).connect_tcp("vendor.example", 443)
    assert sockets.connected == ["93.184.216.35"]
    with pytest.raises(httpcore.ConnectTimeout):
        answering(PUBLIC).backend(sockets).connect_tcp("vendor.example", 443)


class Dripping(Sockets):
    """A vendor that gives one byte at a time and never comes to an end, in the headers already or in the body."""

    def __init__(self, begin: bytes) -> None:
        super().__init__()
        self.begin = begin

    def connect_tcp(self, host: str, *args: object, **kwargs: object) -> httpcore.NetworkStream:
        super().connect_tcp(host)
        return _Drip(self.begin)


class _Drip(httpcore.MockStream):
    def __init__(self, begin: bytes) -> None:
        super().__init__([])
        self._begin = begin

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """One more byte."""
        given, self._begin = self._begin or b"x", b""
        return given


@pytest.mark.parametrize("begin", [b"HTTP/1.1 200 OK\r\nX-A: ", b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"])
def test_an_answer_that_drips_for_ever_is_cut_off_wherever_it_drips(begin: bytes) -> None:
    pool = httpcore.ConnectionPool(network_backend=answering(PUBLIC).backend(Dripping(begin)))
    with ends_within(0.05), pytest.raises((httpcore.ReadTimeout, httpcore.RemoteProtocolError)):
        pool.request("GET", "http://vendor.example/")


def test_every_edge_is_guarded() -> None:
    edge = HttpEdge("https://intern.example", Dialect("Vendor"), reach=Reach(network=answering("10.0.0.7")))
    for call in (edge.read, edge.write):
        with pytest.raises(Refused) as raised:
            call("GET", "/")
        assert raised.value.cause == "internal_address"
    edge.close()


def test_a_name_that_cannot_be_resolved_is_no_connection() -> None:
    def unknown(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(f"{host}:{port}")

    with pytest.raises(httpcore.ConnectError):
        Network(resolve=unknown).backend().connect_tcp("vendor.example", 443)


@pytest.mark.parametrize("name", ["a" * 64 + ".example", "a..example"])
def test_what_can_be_no_host_name_is_no_connection(name: str) -> None:
    with pytest.raises(OSError, match="not a host name"):
        Network().addresses(name, 443)
    with pytest.raises(httpcore.ConnectError):
        Network().backend().connect_tcp(name, 443)


def test_no_unix_socket_is_ever_used() -> None:
    with pytest.raises(httpcore.ConnectError):
        Network().backend().connect_unix_socket("/run/docker.sock")


def test_httpx_still_has_the_pool_that_the_guard_is_put_into() -> None:
    assert isinstance(httpx.HTTPTransport()._pool, httpcore.ConnectionPool)
