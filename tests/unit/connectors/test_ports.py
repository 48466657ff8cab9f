"""Ports for servers that have to be told one."""

from __future__ import annotations

import socket

import pytest

from connectors.wire import ports


def test_a_port_in_use_is_never_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as mine:
        mine.bind(("127.0.0.1", 0))
        used, free = mine.getsockname()[1], ports.free_port()
        monkeypatch.setattr(ports, "_PORTS", (used, free))
        assert {ports.free_port() for _ in range(20)} == {free}


def test_where_none_is_free_that_is_said_rather_than_searched_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as mine:
        mine.bind(("127.0.0.1", 0))
        used = mine.getsockname()[1]
        monkeypatch.setattr(ports, "_PORTS", range(used, used + 1))
        with pytest.raises(OSError, match=f"no port of {used} to {used} is free"):
            ports.free_port()
