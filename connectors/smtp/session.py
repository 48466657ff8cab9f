"""One conversation with a submission server: over TLS, with a deadline as a whole, signed in."""

from __future__ import annotations

import base64
import contextlib
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator

from connectors.smtp.replies import before_content, judged, not_sent
from connectors.smtp.settings import SmtpSettings
from connectors.wire.network import Reach
from workforce.errors import Misconfigured

WHOLE_TIMES = 4  # how many single timeouts a whole conversation may take


class Deadline:
    """Ends a connection after a time. A socket's own timeout starts anew with every byte that a slow server drips."""

    def __init__(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._twin: socket.socket | None = None

    def watch(self, connection: socket.socket) -> None:
        """Start counting for ``connection``, which may be wrapped in TLS afterwards."""
        self._twin = connection.dup()
        self._timer.start()

    def cancel(self) -> None:
        """The conversation is over."""
        self._timer.cancel()
        if self._twin is not None:
            self._twin.close()

    def _end(self) -> None:
        if self._twin is not None:
            with contextlib.suppress(OSError):
                self._twin.shutdown(socket.SHUT_RDWR)


class _Connection(smtplib.SMTP):
    """smtplib's own, on connections that our network permits."""

    def __init__(self, settings: SmtpSettings, reach: Reach, context: ssl.SSLContext, deadline: Deadline) -> None:
        self._reach, self._deadline = reach, deadline
        self._implicit = context if settings.security == "tls" else None
        name = settings.from_address.rpartition("@")[2]  # not this machine's: that costs a look-up and tells of the inside
        super().__init__(settings.host, settings.port, local_hostname=name, timeout=reach.timeout_seconds)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connection = self._reach.network.connect(host, port, timeout_seconds=timeout)
        self._deadline.watch(connection)
        return self._implicit.wrap_socket(connection, server_hostname=host) if self._implicit else connection


@contextlib.contextmanager
def conversation(settings: SmtpSettings, reach: Reach, context: ssl.SSLContext) -> Iterator[smtplib.SMTP]:
    """A connection that is encrypted and signed in, closed afterwards. Raises ``RetryLater``, ``Misconfigured``, ``Refused``."""
    deadline = Deadline(WHOLE_TIMES * reach.timeout_seconds)
    try:
        with before_content("connecting"):
            connection = _Connection(settings, reach, context, deadline)
        with contextlib.closing(connection):
            with before_content("starting"):
                _start(connection, settings, context)
            yield connection
            with contextlib.suppress(OSError):
                connection.quit()
    finally:
        deadline.cancel()


def _start(connection: smtplib.SMTP, settings: SmtpSettings, context: ssl.SSLContext) -> None:
    _greet(connection)
    if settings.security == "starttls":
        connection.starttls(context=context)  # raises where it is not offered: there is no way on without
        _greet(connection)
    if settings.username is not None and settings.password is not None:
        _sign_in(connection, settings.username, settings.password.get_secret_value())


def _greet(connection: smtplib.SMTP) -> None:
    """EHLO and nothing older: a server without extensions has no TLS."""
    code, text = connection.ehlo()
    if not 200 <= code < 300:
        raise judged(code, text, "greeting") or not_sent("greeting")


def _sign_in(connection: smtplib.SMTP, username: str, password: str) -> None:
    """RFC 4954 with PLAIN, else LOGIN, in UTF-8, which smtplib's own cannot."""
    offered = connection.esmtp_features.get("auth", "").upper().split()
    if "PLAIN" in offered:
        code, text = connection.docmd("AUTH", f"PLAIN {_encoded(f'{chr(0)}{username}{chr(0)}{password}')}")
    elif "LOGIN" in offered:
        code, text = connection.docmd("AUTH", "LOGIN")
        for answer in (username, password):
            if code == 334:
                code, text = connection.docmd(_encoded(answer))
    else:
        message = "smtp: the server offers neither PLAIN nor LOGIN; leave out username and password, or use another server"
        raise Misconfigured(message, cause="no_mechanism", field="username")
    if 500 <= code < 600:
        message = f"smtp: the server does not accept username and password ({code}); correct them"
        raise Misconfigured(message, cause="unauthenticated", field="password")
    if code != 235:
        raise judged(code, text, "signing in") or not_sent("signing in")


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")
