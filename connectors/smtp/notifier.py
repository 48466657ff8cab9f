"""Notices by e-mail."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from pydantic import TypeAdapter, ValidationError

from connectors.smtp.client import SmtpClient
from connectors.smtp.message import compose
from connectors.smtp.settings import MailAddress
from workforce.errors import Refused

MAX_RECIPIENTS = 100  # what every server takes (RFC 5321 §4.5.3.1.8)
_ADDRESS: TypeAdapter[str] = TypeAdapter(MailAddress)


class SmtpNotifier:
    """One message for all recipients, who see each other.

    What was sent cannot be looked up: after ``OutcomeUnknown`` a repeat may come twice, under the same Message-ID.
    """

    def __init__(self, client: SmtpClient) -> None:
        self._client = client

    def send(self, *, to: Iterable[str], subject: str, text: str, dedup_key: str) -> None:
        """Send ``text`` (plain) to the addresses in ``to``.

        Raises ``Refused`` when some of them are refused for good, after the others got it.
        """
        recipients = list(dict.fromkeys(to))
        if not 0 < len(recipients) <= MAX_RECIPIENTS:
            raise Refused(f"smtp: a message has 1 to {MAX_RECIPIENTS} recipients", cause="recipients", field="to")
        for number, recipient in enumerate(recipients, start=1):
            _require_address(recipient, number)
        self._client.deliver(recipients, compose(self._client.settings, recipients, subject, text, dedup_key, datetime.now(UTC)))


def _require_address(text: str, number: int) -> None:
    try:
        _ADDRESS.validate_python(text)
    except ValidationError:
        message = f"smtp: recipient {number} is no mail address in ASCII; write a domain with other letters in its xn-- form"
        raise Refused(message, cause="bad_address", field="to") from None
