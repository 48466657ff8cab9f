"""Deel's signed webhooks: x-deel-signature is the lower-case hex HMAC-SHA256 of "POST" and the raw body with the webhook's signing key.

The body is {data: {meta: {event_type, organization_id}, resource: [...]}, timestamp}. Nothing in it identifies a delivery, so the digest of
the body does: a repeated delivery is the same body. Third parties' readings of the vendor's pages; not verified against the vendor.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from connectors.deel.records import CONTRACT_ID
from connectors.deel.settings import DeelSettings
from connectors.webhooks import HmacScheme, SignedWebhooks, body_digest, content_of, header, hex_text
from workforce.errors import UnusableContent
from workforce.events import SourceEvent

SIGNATURE = "x-deel-signature"
SCHEME = HmacScheme("Deel", encode=hex_text, candidates=header(SIGNATURE), message=lambda _headers, body: b"POST" + body)


class _Meta(BaseModel):
    event_type: Annotated[str, Field(min_length=1, max_length=200)]


class _Resource(BaseModel):
    """What a resource may tell of a contract. Ids are texts or numbers."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    id: str | None = None
    contract_id: str | None = None
    contract: object = None

    def subject(self, *, is_contract: bool) -> str | None:
        """The id of the contract that it is about."""
        nested = self.contract.get("id") if isinstance(self.contract, dict) else None
        return self.contract_id or (str(nested) if nested else None) or (self.id if is_contract else None)


class _Data(BaseModel):
    meta: _Meta
    resource: tuple[_Resource, ...] | _Resource = ()


class _Delivery(BaseModel):
    data: _Data
    timestamp: AwareDatetime
    """Part of the body's digest: without it two changes to the same status would be one event."""


class DeelWebhooks(SignedWebhooks):
    """Events about contracts are hints; what is about something else is accepted and gives none."""

    def __init__(self, settings: DeelSettings) -> None:
        super().__init__(SCHEME, settings.webhook_signing_keys, "webhook_signing_keys")

    def events(self, body: bytes) -> Sequence[SourceEvent]:
        """A hint for each contract in ``body``. Raises ``UnusableContent``, also for a contract's event that names none."""
        told = content_of(_Delivery, body, "deel")
        kind, identity = told.data.meta.event_type, body_digest(body)
        contracts = dict.fromkeys(_contracts(told.data))
        return [SourceEvent(f"{identity}-{one}", kind, one, told.timestamp) for one in contracts]


def _contracts(data: _Data) -> Iterator[str]:
    resources = (data.resource,) if isinstance(data.resource, _Resource) else data.resource
    is_contract = data.meta.event_type.startswith("contract")
    for one in resources:
        subject = one.subject(is_contract=is_contract)
        if re.fullmatch(CONTRACT_ID, subject or "") is None and (subject or is_contract):
            raise UnusableContent("deel: webhook: it names no contract by an id of Deel's form", field="data.resource")
        if subject:
            yield subject
