"""How e-mail is tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from connectors.smtp.sandbox import SmtpSandbox
from connectors.suite.sandbox import FaultKind
from connectors.suite.trial import Opened, Trial, Wire
from connectors.wire.tls import make_loopback_tls


class SmtpTrial(Trial[SmtpSandbox]):
    """A submission server on loopback. Wires name the verb instead of an HTTP method."""

    wires: Mapping[str, Wire] = {"notifier.send": Wire("DATA", "", "deliver")}
    # "500, but it was done" is no fault of SMTP's: a negative reply is binding (RFC 5321 §4.2.5)
    fault_kinds = frozenset(FaultKind) - {FaultKind.ERROR_AFTER}

    @contextmanager
    def open(self, folder: Path) -> Iterator[Opened[SmtpSandbox]]:
        """Serve a fresh sandbox."""
        sandbox, tls = SmtpSandbox(), make_loopback_tls(folder / "tls")
        with sandbox.serve(tls) as port:
            yield Opened(sandbox, sandbox.settings(port, tls.ca))

    def recipients(self) -> Sequence[str]:
        """Two people."""
        return ["hr@acme.example", "it@acme.example"]


TRIAL = SmtpTrial()
