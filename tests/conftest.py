"""What holds for every test: no connection leaves this machine, and unit tests make none at all."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Generator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

from connectors.protocols.ldapv3.servers import CANNOT_RUN_HERE
from workforce.errors import Misconfigured

pytest.register_assert_rewrite("connectors.testing", "connectors.suite.description")

hypothesis.settings.register_profile("stint", deadline=None)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=2_000)
hypothesis.settings.load_profile("stint")

UNIT = Path(__file__).parent / "unit"


class ByWhatTheyStart(LoadScopeScheduling):
    """Tests that share what is slow to start run in one worker: an installation, the sandboxes of a file, those of a connector.

    Not by ``xdist_group``: xdist 3.8 writes groups into ids, which pytest 9.2 no longer takes (pytest-dev/pytest-xdist#1386).
    """

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        match file.split("/")[1:2]:
            case ["end_to_end"]:
                return "end_to_end"
            case ["conformance"]:
                return re.split(r"[-\]]", test.partition("[")[2])[0] or nodeid
            case _:
                return file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByWhatTheyStart:
    """Which worker runs a test."""
    return ByWhatTheyStart(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, object, object]:
    """Fixtures start peers, too."""
    return (yield from _skipped_without_its_peer())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """The tests of the conformance suite start them themselves."""
    return (yield from _skipped_without_its_peer())


def _skipped_without_its_peer() -> Generator[None, object, object]:
    """A test whose peer a machine need not have is skipped there, and says what to install."""
    try:
        return (yield)
    except Misconfigured as error:
        if error.cause == CANNOT_RUN_HERE:
            pytest.skip(str(error))
        raise


@pytest.fixture(autouse=True)
def _no_way_out(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guard Python's sockets. Libraries in C (libpq, libldap) are outside its reach; their tests use loopback by construction."""
    is_unit = request.path.is_relative_to(UNIT)
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name), banned=is_unit))


def _guarded(original: Any, *, banned: bool) -> Any:
    def connect(self: socket.socket, address: Any) -> Any:
        if banned:
            raise AssertionError(f"unit tests make no connections, and this one connects to {address!r}")
        if self.family != socket.AF_UNIX and not _is_loopback(str(address[0])):
            raise AssertionError(f"tests stay on this machine, and this one connects to {address!r}")
        return original(self, address)

    return connect


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
