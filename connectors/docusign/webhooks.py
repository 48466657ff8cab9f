"""DocuSign Connect: HMAC-SHA256 over the raw body, base 64, one header per active key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic_core import from_json

from connectors import webhooks
from connectors.docusign.records import ConnectMessage, instant
from connectors.docusign.settings import DocuSignSettings
from workforce.engagement import canonical
from workforce.errors import Refused, UnusableContent
from workforce.events import SourceEvent

SCHEME = webhooks.HmacScheme(
    name="DocuSign Connect",
    encode=webhooks.base64_text,
    candidates=webhooks.numbered_headers("x-docusign-signature-"),
)


class DocuSignConnect:
    """Verifies and reads Connect messages of one account. A message is a hint: the envelope is read again."""

    def __init__(self, settings: DocuSignSettings) -> None:
        self._keys = [key.get_secret_value().encode() for key in settings.connect_hmac_keys]
        self._account_id = str(settings.account_id)

    def verify(self, headers: Mapping[str, str], body: bytes) -> None:
        """Check the signatures with every active key. Raises ``BadSignature``."""
        webhooks.verify(SCHEME, self._keys, headers, body)

    def events(self, body: bytes) -> Sequence[SourceEvent]:
        """The one event in a message. Raises ``UnusableContent`` naming the field."""
        message = _message(body)
        if message.data.account_id.lower() != self._account_id:
            raise UnusableContent(
                f"data.accountId: the message is about another account than {self._account_id}; mend the Connect configuration",
                cause="wrong_account",
                field="data.accountId",
            )
        occurred_at = instant(message.generated_date_time)
        return [SourceEvent(message.delivery_id, message.event, message.data.envelope_id, occurred_at)]


def _message(body: bytes) -> ConnectMessage:
    try:
        return canonical(ConnectMessage, from_json(body), source="DocuSign Connect")
    except ValueError:
        raise UnusableContent("DocuSign Connect: the body is not JSON; choose the JSON format in Connect") from None
    except Refused as error:
        raise UnusableContent(str(error), field=error.field) from None
