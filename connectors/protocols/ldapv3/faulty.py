"""A directory behind a line that can be made to fail: a proxy that reads LDAP, spoils what it is told to, and counts what was really done.

The proxy ends the client's StartTLS with the server's own certificate and starts one of its own to the server, so it sees each operation
and applies a fault to exactly the one that was planned. In ``Fault`` and ``Wire`` the method is ``LDAP`` and the path is the operation
with its DN and, for a modification, its attributes in order, joined by ``+``: ``modify cn=vpn,ou=groups,dc=client,dc=example member``.

The effect ledger holds what the server answered with success, whatever became of that answer: ``add``, ``modrdn``, ``modify member``.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from connectors.protocols.ldapv3.servers import DirectoryServer
from connectors.suite.sandbox import EffectLedger, FaultKind, Faults
from connectors.wire.tls import TlsFiles

_OPERATIONS = {0x63: "search", 0x66: "modify", 0x68: "add", 0x4A: "delete", 0x6C: "modrdn"}
_ANSWERS = {0x63: 0x65, 0x66: 0x67, 0x68: 0x69, 0x4A: 0x6B, 0x6C: 0x6D}
_SEARCH_DONE, _EXTENDED, _EXTENDED_ANSWER = 0x65, 0x77, 0x78
_BEFORE = {FaultKind.UNAVAILABLE_BEFORE: 52, FaultKind.BUSY_BEFORE: 51, FaultKind.FORBIDDEN_BEFORE: 50}
_START_TLS = b"1.3.6.1.4.1.1466.20037"
_OTHER = 80
_GARBAGE = b"HTTP/1.1 400 Bad Request\r\n\r\n"
_CLAIMED_LENGTH = bytes.fromhex("3084000fffff")  # an LDAPMessage of a megabyte
_DRIP_SECONDS = 0.05

FAULT_KINDS = frozenset(
    {
        *_BEFORE,
        FaultKind.TIMEOUT_BEFORE,
        FaultKind.TIMEOUT_AFTER,
        FaultKind.ERROR_AFTER,
        FaultKind.RESET_AFTER,
        FaultKind.TRUNCATED_AFTER,
        FaultKind.MALFORMED_AFTER,
        FaultKind.DRIP_AFTER,
    }
)
"""What can go wrong here. LDAP knows no rate limit, no token that expires, and no HTML."""


def elements(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The BER elements that ``content`` is made of: tag and content (X.690 §8.1; LDAP's tags are single bytes)."""
    while content:
        size, start = content[1], 2
        if size & 0x80:
            start = 2 + (size & 0x7F)
            size = int.from_bytes(content[2:start], "big")
        yield content[0], content[start : start + size]
        content = content[start + size :]


def element(tag: int, content: bytes) -> bytes:
    """One BER element with a short length."""
    return bytes([tag, len(content)]) + content


@dataclass(frozen=True, slots=True)
class Message:
    """One LDAPMessage (RFC 4511 §4.1.1) as it came, its id as stored, the operation's tag and content."""

    raw: bytes
    message_id: bytes
    tag: int
    content: bytes

    @classmethod
    async def read(cls, reader: asyncio.StreamReader) -> Message:
        """The next message. Raises ``asyncio.IncompleteReadError`` at the end."""
        head = await reader.readexactly(2)
        more = await reader.readexactly(head[1] & 0x7F) if head[1] & 0x80 else b""
        size = int.from_bytes(more, "big") if more else head[1]
        body = await reader.readexactly(size)
        (_, message_id), (tag, content), *_ = elements(body)
        return cls(head + more + body, message_id, tag, content)

    @property
    def path(self) -> str:
        """The operation, its DN and, for a modification, its attributes."""
        parts = list(elements(self.content)) if self.tag != 0x4A else [(0, self.content)]
        words = [_OPERATIONS[self.tag], parts[0][1].decode("utf-8", "replace")]
        if self.tag == 0x66:
            words.append(_attributes(parts[1][1]))
        return " ".join(words)

    @property
    def is_success(self) -> bool:
        """Whether it is an answer whose result code is 0."""
        return next(elements(self.content))[1] == b"\0"

    def answer(self, tag: int, code: int) -> bytes:
        """An answer to it, without any text."""
        result = element(0x0A, bytes([code])) + element(0x04, b"") + element(0x04, b"")
        return element(0x30, element(0x02, self.message_id) + element(tag, result))


def _attributes(changes: bytes) -> str:
    names = set()
    for _, change in elements(changes):
        (_, _), (_, attribute) = elements(change)
        names.add(next(elements(attribute))[1].decode())
    return "+".join(sorted(names, key=str.lower))


@dataclass
class _Call:
    """A request that is under way at the server. ``answered`` collects what came back while its fault is waiting to happen."""

    path: str
    tag: int
    fault: FaultKind | None
    answered: bytes = b""

    @property
    def effect(self) -> tuple[str, str]:
        """Its name in the effect ledger, and the DN."""
        name, _, rest = self.path.partition(" ")
        dn, _, attributes = rest.rpartition(" ") if name == "modify" else (rest, "", "")
        return f"{name} {attributes}".rstrip(), dn


@dataclass
class FaultyDirectory:
    """A context manager around a server of one's own and the proxy in front of it."""

    server: DirectoryServer
    effects: EffectLedger = field(default_factory=EffectLedger)
    faults: Faults = field(default_factory=Faults)

    def __enter__(self) -> Self:
        self.server.__enter__()
        self._loop = asyncio.new_event_loop()
        self._calls: set[asyncio.Task[None]] = set()
        self._listener = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self._thread = threading.Thread(target=self._loop.run_forever, name="faulty-directory", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        self.server.stop()

    def settings(self) -> dict[str, Any]:
        """The values of the connector's settings form, secrets as plain text."""
        port = self._listener.sockets[0].getsockname()[1]
        return {**self.server.settings(), "url": f"ldap://127.0.0.1:{port}"}

    async def _stop(self) -> None:
        self._listener.close()
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, until it or the server goes away."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio runs this as a task
        self._calls.add(task)
        try:
            with suppress(asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
                await _answer_start_tls(reader, writer, self.server.tls)
                await _Line(self, reader, writer).carry(self.server)
        finally:
            self._calls.discard(task)
            writer.transport.abort()


class _Line:
    """One client's connection, carried to the server and back."""

    def __init__(self, directory: FaultyDirectory, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._directory = directory
        self._reader, self._writer = reader, writer
        self._under_way: dict[bytes, _Call] = {}

    async def carry(self, server: DirectoryServer) -> None:
        """Until either end closes."""
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            await _ask_start_tls(server_reader, server_writer, server.tls)
            await self._both_ways(server_reader, server_writer)
        finally:
            server_writer.transport.abort()

    async def _both_ways(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ways = [asyncio.ensure_future(self._requests(writer)), asyncio.ensure_future(self._answers(reader))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _requests(self, server: asyncio.StreamWriter) -> None:
        while True:
            message = await Message.read(self._reader)
            if message.tag in _OPERATIONS and not self._passes(message):
                continue
            server.write(message.raw)

    def _passes(self, message: Message) -> bool:
        """Whether a request goes on to the server; where not, it is answered here, or never."""
        fault = self._directory.faults.take("LDAP", message.path)
        if fault is FaultKind.TIMEOUT_BEFORE:
            return False
        if fault in _BEFORE:
            self._writer.write(message.answer(_ANSWERS[message.tag], _BEFORE[fault]))
            return False
        self._under_way[message.message_id] = _Call(message.path, message.tag, fault)
        return True

    async def _answers(self, server: asyncio.StreamReader) -> None:
        while True:
            message = await Message.read(server)
            call = self._under_way.get(message.message_id)
            if call is None:
                self._writer.write(message.raw)
                continue
            is_last = message.tag == _ANSWERS[call.tag]
            if is_last:
                self._note(call, message)
            call.answered += message.raw
            if call.fault is None:
                self._writer.write(message.raw)
            elif is_last:
                await self._spoil(call, message)

    def _note(self, call: _Call, answer: Message) -> None:
        del self._under_way[answer.message_id]
        if call.tag != 0x63 and answer.is_success:
            self._directory.effects.record(*call.effect)

    async def _spoil(self, call: _Call, last: Message) -> None:
        """Do to the answer what was planned. Silence needs nothing done."""
        match call.fault:
            case FaultKind.ERROR_AFTER:
                self._writer.write(last.answer(last.tag, _OTHER))
            case FaultKind.MALFORMED_AFTER:
                self._writer.write(_GARBAGE)
            case FaultKind.RESET_AFTER:
                self._writer.transport.abort()
            case FaultKind.TRUNCATED_AFTER:
                self._writer.write(call.answered[: len(call.answered) // 2])
                await self._writer.drain()
                self._writer.close()
            case FaultKind.DRIP_AFTER:
                await self._drip()

    async def _drip(self) -> None:
        """A byte every so often until the client gives up."""
        self._writer.write(_CLAIMED_LENGTH)
        while not self._writer.transport.is_closing():
            self._writer.write(b"\0")
            await asyncio.sleep(_DRIP_SECONDS)


async def _answer_start_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tls: TlsFiles) -> None:
    """Answer the client's StartTLS (RFC 4511 §4.14), which comes first or the connection ends."""
    message = await Message.read(reader)
    if message.tag != _EXTENDED:
        raise ConnectionAbortedError
    writer.write(message.answer(_EXTENDED_ANSWER, 0))
    await writer.drain()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certificate, tls.key)
    await writer.start_tls(context)


async def _ask_start_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tls: TlsFiles) -> None:
    """The same as a client."""
    request = element(_EXTENDED, element(0x80, _START_TLS))
    writer.write(element(0x30, element(0x02, b"\x01") + request))
    answer = await Message.read(reader)
    if not answer.is_success:
        raise ConnectionAbortedError
    await writer.start_tls(ssl.create_default_context(cafile=tls.ca), server_hostname="localhost")
