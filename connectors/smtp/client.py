"""The wire to a submission server. Source: RFC 5321 (SMTP), 3207 (STARTTLS), 4954 (AUTH), 6409 (submission), 8314 (TLS)."""

from __future__ import annotations

import re
import smtplib
from collections.abc import Sequence

import structlog

from connectors.contract import ALONE, Surroundings, faults_as_result
from connectors.http import tls_context
from connectors.smtp.replies import before_content, judged, not_sent, status
from connectors.smtp.session import conversation
from connectors.smtp.settings import SmtpSettings
from workforce.errors import OutcomeUnknown, Refused
from workforce.ports import CheckResult

log = structlog.get_logger(__name__)

REFUSED_RECIPIENT = frozenset({521, 550, 551, 552, 553, 554, 556})
"""What is about the recipient alone (RFC 5321 §4.3.2, 7504); other negative replies are about the sender, or about us."""


class SmtpClient:
    """One submission server. Thread-safe: every message has a connection of its own."""

    def __init__(self, settings: SmtpSettings, around: Surroundings = ALONE) -> None:
        self.settings, self._reach = settings, around.reach(settings)
        self._context = tls_context(settings.ca_file)

    @faults_as_result
    def check(self) -> CheckResult:
        """Connect, encrypt, sign in, and leave. Whether the server takes from_address is seen with the first message."""
        with conversation(self.settings, self._reach, self._context):
            pass
        return CheckResult(ok=True, detail=f"smtp: {self.settings.host} answers over TLS")

    def close(self) -> None:
        """Nothing is kept open."""

    def deliver(self, recipients: Sequence[str], content: bytes) -> None:
        """Hand over one message for all ``recipients``; ``content`` has CRLF.

        Nothing is sent while one of them is refused for now (``RetryLater``). Those refused for good keep no other from getting it;
        they are reported afterwards as ``Refused`` (cause ``recipients_refused``). Raises ``OutcomeUnknown`` when the reply to the
        content is lost.
        """
        with conversation(self.settings, self._reach, self._context) as connection:
            with before_content("naming the recipients"):
                refused = _address(connection, self.settings.from_address, recipients)
            if len(refused) < len(recipients):
                with before_content("announcing the message"):
                    _expect(connection.docmd("DATA"), 354, "announcing the message")
                _send_content(connection, content)
        if refused:
            log.warning("smtp.recipients_refused", refused=len(refused), recipients=len(recipients))
            raise Refused(
                f"smtp: {len(refused)} of {len(recipients)} recipients are refused ({', '.join(sorted(set(refused)))}), "
                "and only the others get the message; correct the addresses",
                cause="recipients_refused",
                field="to",
            )


def _address(connection: smtplib.SMTP, sender: str, recipients: Sequence[str]) -> list[str]:
    """Name sender and recipients; the status of each refusal for good."""
    _expect(connection.mail(sender), 250, "naming the sender")
    refused = []
    for recipient in recipients:
        code, text = connection.rcpt(recipient)
        if code in REFUSED_RECIPIENT:
            refused.append(status(code, text))
        elif not 200 <= code < 300:
            raise judged(code, text, "naming a recipient") or not_sent("naming a recipient")
    return refused


def _expect(reply: tuple[int, bytes], wanted: int, doing: str) -> None:
    if reply[0] != wanted:
        raise judged(*reply, doing) or not_sent(doing)


def _send_content(connection: smtplib.SMTP, content: bytes) -> None:
    """RFC 5321 §4.5.2 (dots) and §4.1.1.4: a negative reply means that the server took no responsibility for the message."""
    dotted = re.sub(rb"(?m)^\.", b"..", content)
    try:
        connection.send(dotted + (b".\r\n" if dotted.endswith(b"\r\n") else b"\r\n.\r\n"))
        code, text = connection.getreply()
    except OSError:  # smtplib's own errors are among them
        raise OutcomeUnknown("smtp: the message was sent, and its reply was lost", cause="no_answer") from None
    if 200 <= code < 300:
        return
    raise judged(code, text, "the message") or OutcomeUnknown(
        "smtp: the message was sent, and its reply is not readable", cause="unreadable_answer"
    )
