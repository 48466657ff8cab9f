"""An SFTP server of asyncssh's, which shares no code with ours, over a folder: the peer of the connectors that exchange files."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from connectors.contract import Connector, Instance, Surroundings
from connectors.suite.sandbox import ON_LOOPBACK

asyncssh = pytest.importorskip("asyncssh", reason="asyncssh is not installed: its SFTP server is the peer of these tests")

PASSWORD = "correct horse"


@contextmanager
def in_a_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that runs in a thread for the length of the block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


class Server:
    """The folder of a sandbox, served, the keys of the server and of its user, and instances of the connector that comes here."""

    def __init__(self, system: Any, connector: Connector[Any, Any], host_key_type: str) -> None:
        self.system, self.connector = system, connector
        self.host_key = asyncssh.generate_private_key(host_key_type)
        self.user_key = asyncssh.generate_private_key("ssh-ed25519")
        self.port = 0
        self.passwords: list[str] = []
        self.connections: list[Any] = []

    async def listen(self) -> Any:
        shown, connections = self.passwords, self.connections
        users = asyncssh.import_authorized_keys(self.user_key.export_public_key().decode())

        class Door(asyncssh.SSHServer):
            def connection_made(self, conn: Any) -> None:
                connections.append(conn)

            def password_auth_supported(self) -> bool:
                return True

            def validate_password(self, username: str, password: str) -> bool:
                shown.append(password)
                return (username, password) == ("stint", PASSWORD)

        acceptor = await asyncssh.create_server(
            Door, "127.0.0.1", 0, server_host_keys=[self.host_key], authorized_client_keys=users,
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(self.system.folder)),
        )  # fmt: skip
        self.port = acceptor.get_port()
        return acceptor

    def form(self, **changed: Any) -> dict[str, Any]:
        """The settings form of an instance."""
        return {
            **self.system.settings("localhost", self.port),
            "host_key": self.host_key.export_public_key().decode().strip(),
            "username": "stint",
            "password": PASSWORD,
            "timeout_seconds": 5,
            **changed,
        }

    def instance(self, around: Surroundings = ON_LOOPBACK, **changed: Any) -> Instance:
        """An instance that comes here."""
        return Instance("files", self.connector, self.connector.settings.model_validate(self.form(**changed)), around)


@contextmanager
def serving(system: Any, connector: Connector[Any, Any], host_key_type: str = "ssh-ed25519") -> Iterator[Server]:
    """Serve the folder of ``system`` on loopback until the block ends."""
    server = Server(system, connector, host_key_type)
    with in_a_loop() as loop:
        acceptor = asyncio.run_coroutine_threadsafe(server.listen(), loop).result(10)

        async def stop() -> None:
            acceptor.close()
            for connection in server.connections:
                connection.abort()
                await connection.wait_closed()
            await acceptor.wait_closed()
            left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            await asyncio.gather(*left, return_exceptions=True)

        try:
            yield server
        finally:
            asyncio.run_coroutine_threadsafe(stop(), loop).result(10)
