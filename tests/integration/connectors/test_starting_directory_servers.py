"""The real servers of the sandboxes: what answers is the one that was started, and what could not be set up is ended."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from connectors.ldap import sandbox
from connectors.ldap.sandbox import SlapdSandbox
from connectors.wire.ports import free_port

pytestmark = pytest.mark.integration


def test_a_port_that_went_to_a_plain_server_meanwhile_is_given_up_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = int(other.getsockname()[1])
        ports = iter([taken, free_port(), free_port(), free_port()])
        monkeypatch.setattr(sandbox, "free_port", lambda: next(ports))
        with SlapdSandbox(tmp_path / "slapd") as started:
            assert started.port != taken
            assert started.bind_as(started.service_dn, started.service_password)


def test_a_port_that_went_to_another_server_of_the_same_kind_is_given_up_for_another(
    slapd: SlapdSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = iter([slapd.port, free_port(), free_port(), free_port()])
    monkeypatch.setattr(sandbox, "free_port", lambda: next(ports))
    with SlapdSandbox(tmp_path / "slapd") as started:
        assert started.port != slapd.port
        assert started.bind_as(started.service_dn, started.service_password)


class Full(SlapdSandbox):
    """Starts, and has no room for the first entry."""

    def fill(self) -> None:
        raise OSError("no space left on device")


def test_one_that_answers_but_cannot_be_filled_is_ended(tmp_path: Path) -> None:
    half_made = Full(tmp_path / "slapd")
    with pytest.raises(OSError, match="no space"):
        half_made.__enter__()
    assert half_made.process is None
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", half_made.port))
