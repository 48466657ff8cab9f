"""Gusto's signed webhooks.

X-Gusto-Signature is the lower-case hex HMAC-SHA256 of the raw body with the subscription's verification token, without a timestamp:
so it is in others' code; not verified against the vendor. Payload: ``Event`` of the App Integrations description, 2025-06-15.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from connectors.gusto.records import Event, Name
from connectors.gusto.settings import GustoSettings
from connectors.webhooks import HmacScheme, SignedWebhooks, content_of, header, hex_text
from workforce.events import SourceEvent

log = structlog.get_logger(__name__)

SIGNATURE = "x-gusto-signature"
SCHEME = HmacScheme("Gusto", encode=hex_text, candidates=header(SIGNATURE))


class _Delivery(Event):
    uuid: Name
    event_type: Name
    entity_uuid: Name


class GustoWebhooks(SignedWebhooks):
    """Thin events: one a delivery, about one entity of the company.

    The verification of a new subscription is an administrator's step: see ``connectors.gusto.subscriptions``.
    """

    def __init__(self, settings: GustoSettings) -> None:
        super().__init__(SCHEME, settings.webhook_verification_tokens, "webhook_verification_tokens")
        self._company_uuid = settings.company_uuid.casefold()

    def events(self, body: bytes) -> Sequence[SourceEvent]:
        """The one event in ``body``, identified by its ``uuid``; none where it is about another company of the application.

        Raises ``UnusableContent``.
        """
        event = content_of(_Delivery, body, "gusto")
        if event.resource_uuid is not None and event.resource_uuid.casefold() != self._company_uuid:
            log.info("gusto.event_of_another_company", event_uuid=event.uuid)
            return []
        return [SourceEvent(event.uuid, event.event_type, event.entity_uuid, event.occurred_at)]
