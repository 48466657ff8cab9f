"""E-mail: notices to people through a submission server, over TLS only."""

from __future__ import annotations

from connectors.contract import Capabilities, Connector, Evidence, Kind
from connectors.smtp.client import SmtpClient
from connectors.smtp.notifier import SmtpNotifier
from connectors.smtp.settings import SmtpSettings

CONNECTOR = Connector(
    key="smtp",
    title="E-mail (SMTP)",
    kind=Kind.NOTIFIER,
    settings=SmtpSettings,
    client=SmtpClient,
    can=Capabilities(notifier=SmtpNotifier),
    evidence=Evidence(peer="aiosmtpd 1.4"),
    limits=(
        "STARTTLS or implicit TLS, never without; PLAIN and LOGIN, no OAuth; ASCII addresses; what was sent cannot be looked up, repeats "
        "carry the same Message-ID"
    ),
)
