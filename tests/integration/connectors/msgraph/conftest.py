"""A tenant of Entra that is served over TLS, and directories on it that are closed when a test ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest

from connectors.msgraph import CONNECTOR
from connectors.msgraph.directory import MsGraphDirectory
from connectors.msgraph.sandbox import MsGraphSandbox
from connectors.suite.sandbox import ON_LOOPBACK, serve
from connectors.wire.tls import TlsFiles
from tests.integration.connectors.msgraph.tenant import Connect


@pytest.fixture
def sandbox() -> MsGraphSandbox:
    """An empty tenant."""
    return MsGraphSandbox()


@pytest.fixture
def base_url(sandbox: MsGraphSandbox, tls: TlsFiles) -> Iterator[str]:
    """Where it is served."""
    with serve(sandbox.app, tls) as url:
        yield url


@pytest.fixture
def connect(sandbox: MsGraphSandbox, tls: TlsFiles, base_url: str) -> Iterator[Connect]:
    """Connects to it."""
    with ExitStack() as stack:

        def build(form: Mapping[str, Any] | None = None, **other: object) -> MsGraphDirectory:
            values = {**(form or sandbox.settings(base_url, tls.ca)), "timeout_seconds": 2.0, **other}
            client = CONNECTOR.client(CONNECTOR.settings(**values), ON_LOOPBACK)
            stack.callback(client.close)
            return MsGraphDirectory(client)

        yield build


@pytest.fixture
def directory(connect: Connect) -> MsGraphDirectory:
    """A directory with the sandbox's own settings."""
    return connect()
