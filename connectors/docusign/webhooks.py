"""DocuSign Connect: HMAC-SHA256 over the raw body, base 64, one header per active key."""

from __future__ import annotations

from collections.abc import Sequence

from connectors import webhooks
from connectors.docusign.records import ConnectMessage
from connectors.docusign.settings import DocuSignSettings
from connectors.records.instants import instant
from workforce.errors import UnusableContent
from workforce.events import SourceEvent

SCHEME = webhooks.HmacScheme(
    name="DocuSign Connect",
    encode=webhooks.base64_text,
    candidates=webhooks.numbered_headers("x-docusign-signature-"),
)


class DocuSignConnect(webhooks.SignedWebhooks):
    """Verifies and reads Connect messages of one account. A message is a hint: the envelope is read again."""

    def __init__(self, settings: DocuSignSettings) -> None:
        super().__init__(SCHEME, settings.connect_hmac_keys)
        self._account_id = str(settings.account_id)

    def events(self, body: bytes) -> Sequence[SourceEvent]:
        """The one event in a message. Raises ``UnusableContent`` naming the field."""
        message = webhooks.content_of(ConnectMessage, body, "DocuSign Connect", mend="; choose the JSON format in Connect")
        if message.data.account_id.lower() != self._account_id:
            raise UnusableContent(
                f"data.accountId: the message is about another account than {self._account_id}; mend the Connect configuration",
                cause="wrong_account",
                field="data.accountId",
            )
        occurred_at = instant(message.generated_date_time)
        return [SourceEvent(message.delivery_id, message.event, message.data.envelope_id, occurred_at)]
