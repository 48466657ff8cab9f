"""What the vendors' sandboxes share: an effect ledger as oracle, faults on demand, latency, and serving over TLS on loopback.

A sandbox is a stateful stand-in of a vendor, an ASGI app, shipped with Stint and used by ``stint demo``, by the tests, and by anyone
who configures a connector without an account at the vendor.
"""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connectors.contract import Surroundings
from connectors.wire.network import Network
from connectors.wire.tls import TlsFiles


class FaultKind(StrEnum):
    """What goes wrong. ``BEFORE`` kinds do nothing at the vendor; ``AFTER`` kinds do the work and then lose or spoil the answer."""

    UNAVAILABLE_BEFORE = "503 before the effect"
    BUSY_BEFORE = "503 with Retry-After: 1"
    THROTTLED_BEFORE = "429 with Retry-After: 0"
    THROTTLED_BARE_BEFORE = "429 without Retry-After"
    EXPIRED_BEFORE = "401, the token has expired"
    FORBIDDEN_BEFORE = "403"
    REFUSED_BEFORE = "a plain refusal, 400"
    TIMEOUT_BEFORE = "no answer, nothing done"
    TIMEOUT_AFTER = "no answer, but it was done"
    ERROR_AFTER = "500, but it was done"
    HTML_AFTER = "200 with HTML, but it was done"
    RESET_AFTER = "connection reset in mid-body, but it was done"
    TRUNCATED_AFTER = "JSON cut off, but it was done"
    MALFORMED_AFTER = "200 with what is no JSON, but it was done"
    DRIP_AFTER = "a body that drips for ever, but it was done"

    @property
    def is_after(self) -> bool:
        """Whether the work was done."""
        return self.name.endswith("_AFTER")

    @property
    def is_endless(self) -> bool:
        """Whether only the caller's deadline ends it."""
        return self in (FaultKind.TIMEOUT_BEFORE, FaultKind.TIMEOUT_AFTER, FaultKind.DRIP_AFTER)


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault for the next ``times`` requests whose method equals ``method`` and whose path matches ``path`` (a regex, searched)."""

    kind: FaultKind
    method: str
    path: str
    times: int = 1


@dataclass(slots=True)
class Faults:
    """Faults waiting to happen, and those that did."""

    waiting: deque[Fault] = field(default_factory=deque)
    happened: list[tuple[datetime, str, FaultKind]] = field(default_factory=list)

    def plan(self, fault: Fault) -> None:
        """Let ``fault`` happen at the next requests that match."""
        self.waiting.extend([Fault(fault.kind, fault.method, fault.path)] * fault.times)

    def take(self, method: str, path: str) -> FaultKind | None:
        """The fault for this request, if one is waiting; it is used up."""
        for index, fault in enumerate(self.waiting):
            if fault.method == method and re.search(fault.path, path):
                del self.waiting[index]
                self.happened.append((datetime.now(UTC), f"{method} {path}", fault.kind))
                return fault.kind
        return None


@dataclass(frozen=True, slots=True)
class SandboxEffect:
    """One thing that a sandbox really did, whatever it answered."""

    at: datetime
    operation: str
    subject: str


@dataclass(slots=True)
class EffectLedger:
    """Everything a sandbox really did: the oracle for "how many accounts were really created"."""

    entries: list[SandboxEffect] = field(default_factory=list)

    def record(self, operation: str, subject: str) -> None:
        """Note that ``operation`` took effect on ``subject``."""
        self.entries.append(SandboxEffect(datetime.now(UTC), operation, subject))

    def count(self, operation: str, subject: str | None = None) -> int:
        """How often ``operation`` took effect, on ``subject`` or on anything."""
        return sum(1 for e in self.entries if e.operation == operation and subject in (None, e.subject))


@dataclass(slots=True)
class RollingMinute:
    """The calls of the last minute, as vendors count them."""

    calls: deque[float] = field(default_factory=deque)

    def wait_seconds(self, allowed: int | None) -> int:
        """Whole seconds until another call may come, of which ``allowed`` may in a minute; 0 means now, and then it counts."""
        now = time.monotonic()
        while self.calls and self.calls[0] <= now - 60:
            self.calls.popleft()
        if allowed is None or len(self.calls) < allowed:
            self.calls.append(now)
            return 0
        return max(1, round(60 - (now - self.calls[0]))) if self.calls else 60


ON_LOOPBACK = Surroundings(network=Network(internal=("localhost", "127.0.0.1")))
"""For clients of sandboxes: what is served here lies on this machine."""


class Sandbox(Protocol):
    """A vendor's stand-in."""

    app: ASGIApp
    effects: EffectLedger
    faults: Faults


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as a vendor words it: its own way of saying "too many" or "not allowed"."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()


_PLAIN_ANSWERS: Mapping[FaultKind, Answer] = {
    FaultKind.UNAVAILABLE_BEFORE: Answer(503, b"Service Unavailable"),
    FaultKind.BUSY_BEFORE: Answer(503, b"Service Unavailable", ((b"retry-after", b"1"),)),
    FaultKind.THROTTLED_BEFORE: Answer(429, b"Too Many Requests", ((b"retry-after", b"0"),)),
    FaultKind.THROTTLED_BARE_BEFORE: Answer(429, b"Too Many Requests"),
    FaultKind.EXPIRED_BEFORE: Answer(401, b"Unauthorized"),
    FaultKind.FORBIDDEN_BEFORE: Answer(403, b"Forbidden"),
    FaultKind.REFUSED_BEFORE: Answer(400, b"Bad Request"),
    FaultKind.ERROR_AFTER: Answer(500, b"Internal Server Error"),
    FaultKind.HTML_AFTER: Answer(200, b"<html><body>Welcome</body></html>", ((b"content-type", b"text/html"),)),
    FaultKind.MALFORMED_AFTER: Answer(200, b'{"id": nothing', ((b"content-type", b"application/json"),)),
}


class FaultyApp:
    """Wraps a sandbox's routes with its faults and its latency. ``answers`` are the vendor's own words for some faults."""

    def __init__(
        self,
        inner: ASGIApp,
        faults: Faults,
        *,
        latency_seconds: float = 0.0,
        hold_seconds: float = 30.0,
        answers: Mapping[FaultKind, Answer] | None = None,
    ) -> None:
        self._inner, self._faults = inner, faults
        self.latency_seconds = latency_seconds
        self._hold_seconds = hold_seconds
        self._answers = {**_PLAIN_ANSWERS, **(answers or {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, with the fault that waits for it."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        if self.latency_seconds:
            await asyncio.sleep(self.latency_seconds)
        kind = self._faults.take(scope["method"], scope["path"])
        if kind is None:
            await self._inner(scope, receive, send)
            return
        answer = Collected()
        if kind.is_after:
            await self._inner(scope, receive, answer)
        await self._answer(kind, answer, receive, send)

    async def _answer(self, kind: FaultKind, done: Collected, receive: Receive, send: Send) -> None:
        match kind:
            case FaultKind.TIMEOUT_BEFORE | FaultKind.TIMEOUT_AFTER:
                await self._say_nothing(receive)
            case FaultKind.RESET_AFTER:
                await _begin(send, done.status, [(b"content-length", b"1000000")])
                await send({"type": "http.response.body", "body": done.body[:1], "more_body": True})
            case FaultKind.TRUNCATED_AFTER:
                half = done.body[: len(done.body) // 2]
                await _plain(send, Answer(done.status, half, tuple(done.content_type)))
            case FaultKind.DRIP_AFTER:
                await self._drip(done, receive, send)
            case _:
                await _plain(send, self._answers[kind])

    async def _drip(self, done: Collected, receive: Receive, send: Send) -> None:
        """A space every so often, which JSON allows, until the client gives up."""
        await _begin(send, done.status, [(b"content-length", b"1000000"), *done.content_type])
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            async with asyncio.timeout(self._hold_seconds):
                while not gone.done():
                    await send({"type": "http.response.body", "body": b" ", "more_body": True})
                    await asyncio.wait([gone], timeout=0.05)
        except TimeoutError:
            return
        finally:
            gone.cancel()

    async def _say_nothing(self, receive: Receive) -> None:
        """Hold the connection until the client gives up (or for ``hold_seconds``), then leave without an answer."""
        try:
            async with asyncio.timeout(self._hold_seconds):
                await _disconnected(receive)
        except TimeoutError:
            return


@dataclass(slots=True)
class Collected:
    """An answer that was made and not sent."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""

    @property
    def content_type(self) -> list[tuple[bytes, bytes]]:
        """Its content-type header, if it has one."""
        return [(name, value) for name, value in self.headers if name.lower() == b"content-type"]

    async def __call__(self, message: Message) -> None:
        """Take one message of an ASGI answer."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message.get("headers", []))
        self.body += message.get("body", b"")


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _begin(send: Send, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})


async def _plain(send: Send, answer: Answer) -> None:
    await _begin(send, answer.status, [(b"content-length", b"%d" % len(answer.body)), *answer.headers])
    await send({"type": "http.response.body", "body": answer.body})


class _Server(uvicorn.Server):
    """A uvicorn server in a thread: leaves the process's signal handlers alone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close kept-alive connections for good, too: their clients live on in other processes."""
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()
        await asyncio.sleep(0)


@contextmanager
def serve(app: ASGIApp, tls: TlsFiles | None = None, *, port: int = 0) -> Iterator[str]:
    """Serve ``app`` on loopback in a thread; yields its base URL and ends with the block. Port 0 picks a free one."""
    # asyncio switches Nagle's algorithm off only where the protocol is named; with it, each answer over TLS took 40 ms (measured).
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    config = uvicorn.Config(
        app,
        log_level="critical",
        lifespan="off",
        access_log=False,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)
    ready = threading.Event()
    thread = threading.Thread(target=_run, args=(server, listener, ready), name="sandbox", daemon=True)
    thread.start()
    ready.wait(10)
    try:
        yield f"{'https' if tls else 'http'}://localhost:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(5)
        listener.close()


def _run(server: uvicorn.Server, listener: socket.socket, ready: threading.Event) -> None:
    listener.listen(128)  # connections queue from here on, so nobody has to poll for the start
    ready.set()
    server.run(sockets=[listener])
