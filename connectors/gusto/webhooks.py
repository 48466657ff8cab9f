"""Gusto's signed webhooks.

X-Gusto-Signature is the lower-case hex HMAC-SHA256 of the raw body with the subscription's verification token, without a timestamp:
so it is in others' code; not verified against the vendor. Payload: ``Event`` of the App Integrations description, 2025-06-15.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog
from pydantic import ValidationError

from connectors.gusto.records import Event, Name
from connectors.gusto.settings import GustoSettings
from connectors.webhooks import HmacScheme, header, hex_text, verify
from workforce.errors import BadSignature, UnusableContent
from workforce.events import SourceEvent

log = structlog.get_logger(__name__)

SIGNATURE = "x-gusto-signature"
SCHEME = HmacScheme("Gusto", encode=hex_text, candidates=header(SIGNATURE))


class _Delivery(Event):
    uuid: Name
    event_type: Name
    entity_uuid: Name


class GustoWebhooks:
    """Thin events: one a delivery, about one entity of the company.

    The verification of a new subscription is an administrator's step: see ``connectors.gusto.subscriptions``.
    """

    def __init__(self, settings: GustoSettings) -> None:
        self._company_uuid = settings.company_uuid.casefold()
        self._tokens = [token.get_secret_value().encode() for token in settings.webhook_verification_tokens]

    def verify(self, headers: Mapping[str, str], body: bytes) -> None:
        """Raise ``BadSignature`` unless one active subscription's token signed the body."""
        if not self._tokens:
            raise BadSignature("no webhook_verification_tokens are configured for Gusto", cause="no_key")
        verify(SCHEME, self._tokens, headers, body)

    def events(self, body: bytes) -> Sequence[SourceEvent]:
        """The one event in ``body``, identified by its ``uuid``; none where it is about another company of the application.

        Raises ``UnusableContent``.
        """
        try:
            event = _Delivery.model_validate_json(body)
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors(include_input=False)[0]["loc"])[:100] or "body"
            raise UnusableContent(f"gusto: webhook: {where} is not as described", field=where) from None
        if event.resource_uuid is not None and event.resource_uuid.casefold() != self._company_uuid:
            log.info("gusto.event_of_another_company", event_uuid=event.uuid)
            return []
        return [SourceEvent(event.uuid, event.event_type, event.entity_uuid, event.occurred_at)]
