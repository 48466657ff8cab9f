"""A stand-in of a submission server, on sockets: STARTTLS or TLS from the start, PLAIN and LOGIN, a mailbox in memory.

As servers are where it hurts: it refuses a recipient while it takes others (``unknown``, ``busy``), takes no mail before TLS and
sign-in, and does not drop repeats. Faults are planned by verb: ``Fault(kind, "DATA", "")``; the path is the verb's argument.
"""

from __future__ import annotations

import base64
import re
import socket
import socketserver
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.suite.sandbox import EffectLedger, FaultKind, Faults
from connectors.wire.tls import TlsFiles

USERNAME = "stint@acme.example"
PASSWORD = "sandbox-smtp-password"

_INSTEAD = {
    FaultKind.UNAVAILABLE_BEFORE: b"421 4.3.2 Service shutting down",
    FaultKind.BUSY_BEFORE: b"451 4.3.0 Try again later",
    FaultKind.THROTTLED_BEFORE: b"450 4.7.1 Rate limit exceeded",
    FaultKind.THROTTLED_BARE_BEFORE: b"452 4.3.1 Insufficient system storage",
    FaultKind.EXPIRED_BEFORE: b"530 5.7.0 Authentication required",
    FaultKind.FORBIDDEN_BEFORE: b"550 5.7.1 Not allowed",
    FaultKind.REFUSED_BEFORE: b"554 5.6.0 Not this message",
}
_SPOILT = {
    FaultKind.HTML_AFTER: b"<html><body>Welcome</body></html>\r\n",
    FaultKind.MALFORMED_AFTER: b"\xff\xfe OK\r\n",
    FaultKind.TRUNCATED_AFTER: b"25",
    FaultKind.RESET_AFTER: b"2",
}


@dataclass(frozen=True, slots=True)
class Received:
    """A message that was taken."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes


class SmtpSandbox:
    """A submission server. ``mailbox`` is what it took; ``injected`` is what somebody in between adds to its last plain words."""

    effects: EffectLedger
    faults: Faults

    def __init__(self, *, latency_seconds: float = 0.0) -> None:
        self.effects, self.faults = EffectLedger(), Faults()
        self.latency_seconds = latency_seconds
        self.mailbox: list[Received] = []
        self.unknown: set[str] = set()
        self.busy: set[str] = set()
        self.has_starttls = True
        self.injected = b""
        self.mechanisms = "PLAIN LOGIN"

    def settings(self, port: int, ca_file: Path, *, security: str = "starttls") -> dict[str, Any]:
        """The values of the settings form of an instance that talks to this sandbox."""
        credentials = {"username": USERNAME, "password": PASSWORD, "from_address": "stint@acme.example"}
        return {"host": "localhost", "port": port, "security": security, "ca_file": ca_file, **credentials}

    @contextmanager
    def serve(self, tls: TlsFiles, *, implicit: bool = False) -> Iterator[int]:
        """Serve on loopback in threads; yields the port and ends with the block. ``implicit`` speaks TLS from the first byte."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.certificate, tls.key)
        with _Server(self, context, implicit=implicit) as server:
            thread = threading.Thread(
                target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="smtp sandbox", daemon=True
            )
            thread.start()
            try:
                yield server.server_address[1]
            finally:
                server.shutdown()
                thread.join(5)

    def deliver(self, message: Received) -> None:
        """Take responsibility for a message."""
        self.mailbox.append(message)
        told = re.search(rb"(?im)^Message-ID: *(\S+)", message.content)
        self.effects.record("deliver", told[1].decode() if told else "")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, sandbox: SmtpSandbox, context: ssl.SSLContext, *, implicit: bool) -> None:
        self.sandbox, self.context, self.implicit = sandbox, context, implicit
        super().__init__(("127.0.0.1", 0), _Conversation)


class _Conversation(socketserver.BaseRequestHandler):
    """One client. A verb's method gives its reply, or ``None`` when it has said what there is to say."""

    server: _Server

    def handle(self) -> None:
        self._secure, self._signed_in = False, False
        self._sender, self._recipients = "", list[str]()
        self._connection: socket.socket = self.request
        self._connection.settimeout(30)
        with suppress(OSError):
            if self.server.implicit:
                self._encrypt()
            self._lines = self._connection.makefile("rb")
            self._say(b"220 sandbox ESMTP")
            while line := self._lines.readline(4096):
                self._answer(line.decode("utf-8", "replace").rstrip("\r\n"))
        self._connection.close()

    def _encrypt(self) -> None:
        self._connection = self.server.context.wrap_socket(self._connection, server_side=True)
        self._secure = True

    def _say(self, reply: bytes) -> None:
        self._connection.sendall(reply + b"\r\n")

    def _answer(self, line: str) -> None:
        time.sleep(self.server.sandbox.latency_seconds)
        verb, _, argument = line.partition(" ")
        kind = self.server.sandbox.faults.take(verb.upper(), argument)
        if kind in _INSTEAD:
            self._say(_INSTEAD[kind])
            if kind is FaultKind.UNAVAILABLE_BEFORE:
                raise OSError("shut down")
            return
        act = getattr(self, f"_{verb.lower()}", None)
        if verb.upper() == "DATA":
            self._data(kind)
        elif act is None or not verb.isalpha():
            self._say(b"502 5.5.2 Command not recognized")
        else:
            self._conclude(act(argument), kind)

    def _conclude(self, reply: bytes | None, kind: FaultKind | None) -> None:
        """Say ``reply``, or spoil it."""
        if kind in _SPOILT:
            self._connection.sendall(_SPOILT[kind])
            if kind is FaultKind.RESET_AFTER:
                self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if kind in {FaultKind.RESET_AFTER, FaultKind.TRUNCATED_AFTER}:
                raise OSError("broken off")
        elif kind is FaultKind.DRIP_AFTER:
            while True:  # ends with the client
                self._connection.sendall(b" ")
                time.sleep(0.05)
        elif kind is not None:
            self._lines.read()  # says nothing until the client leaves
        elif reply is not None:
            self._say(reply)

    def _ehlo(self, _name: str) -> bytes:
        offered = ["250-sandbox", "250-8BITMIME", "250-ENHANCEDSTATUSCODES"]
        offered += ["250-STARTTLS"] if self.server.sandbox.has_starttls and not self._secure else []
        offered += [f"250-AUTH {self.server.sandbox.mechanisms}"] if self._secure and self.server.sandbox.mechanisms else []
        return "\r\n".join([*offered, "250 SIZE 10240000"]).encode()

    def _starttls(self, _argument: str) -> None:
        if not self.server.sandbox.has_starttls or self._secure:
            self._say(b"502 5.5.1 Not offered")
            return
        self._say(b"220 2.0.0 Go ahead" + self.server.sandbox.injected)
        self._lines.close()
        self._encrypt()
        self._lines = self._connection.makefile("rb")

    def _auth(self, argument: str) -> bytes:
        mechanism, _, initial = argument.partition(" ")
        if not self._secure or mechanism not in self.server.sandbox.mechanisms.split():
            return b"504 5.5.4 Not offered"
        if mechanism == "PLAIN":
            _, username, password = _decoded(initial).split("\0")
        else:
            username, password = self._asked("VXNlcm5hbWU6"), self._asked("UGFzc3dvcmQ6")
        self._signed_in = (username, password) == (USERNAME, PASSWORD)
        return b"235 2.7.0 Accepted" if self._signed_in else b"535 5.7.8 Authentication credentials invalid"

    def _asked(self, prompt: str) -> str:
        self._say(f"334 {prompt}".encode())
        return _decoded(self._lines.readline(4096).decode("ascii").strip())

    def _mail(self, argument: str) -> bytes:
        if not self._signed_in:
            return b"530 5.7.0 Authentication required"
        self._sender, self._recipients = _path(argument), []
        return b"250 2.1.0 OK"

    def _rcpt(self, argument: str) -> bytes:
        recipient = _path(argument)
        if not self._sender:
            return b"503 5.5.1 MAIL first"
        if recipient in self.server.sandbox.unknown:
            return b"550 5.1.1 <%s>: no such user" % recipient.encode()
        if recipient in self.server.sandbox.busy:
            return b"450 4.2.1 <%s>: mailbox busy" % recipient.encode()
        self._recipients.append(recipient)
        return b"250 2.1.5 OK"

    def _data(self, kind: FaultKind | None) -> None:
        if not self._recipients:
            self._say(b"503 5.5.1 RCPT first")
            return
        self._say(b"354 End with a dot")
        lines = []
        while (line := self._lines.readline()) not in {b".\r\n", b""}:
            lines.append(line.removeprefix(b"."))
        if kind is not FaultKind.TIMEOUT_BEFORE and line:
            self.server.sandbox.deliver(Received(self._sender, tuple(self._recipients), b"".join(lines)))
        self._sender, self._recipients = "", []
        self._conclude(b"250 2.0.0 Taken", kind)

    def _rset(self, _argument: str) -> bytes:
        self._sender, self._recipients = "", []
        return b"250 2.0.0 OK"

    def _noop(self, _argument: str) -> bytes:
        return b"250 2.0.0 OK"

    def _quit(self, _argument: str) -> None:
        self._say(b"221 2.0.0 Bye")
        raise OSError("over")


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()


def _path(argument: str) -> str:
    found = re.search(r"<([^>]*)>", argument)
    return found[1] if found else ""
