"""BambooHR's signed webhooks.

Payloads: "Webhook Events" of the vendor's public OpenAPI description. Signature: hex HMAC-SHA256 over the raw body followed by the
timestamp header, with the webhook's private key, as six independent implementations do it; not verified against the vendor.
"""

# ruff: noqa: N815 - the field names are the vendor's

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import AwareDatetime, ConfigDict

from connectors.bamboohr.settings import BambooHrSettings
from connectors.records.answers import Wire
from connectors.webhooks import HmacScheme, SignedWebhooks, content_of, header, hex_text
from workforce.errors import BadSignature, UnusableContent
from workforce.events import SourceEvent

TIMESTAMP = "x-bamboohr-timestamp"
SIGNATURE = "x-bamboohr-signature"
SCHEME = HmacScheme(
    "BambooHR",
    encode=hex_text,
    candidates=header(SIGNATURE),
    message=lambda headers, body: body + headers[TIMESTAMP].encode("utf-8", "surrogatepass"),
)
_MEND = "; subscribe to employee.created, employee.updated and employee.deleted in format json"
_MOMENT = re.compile(r"[0-9A-Za-z:+. -]{1,64}")


class _Subject(Wire):
    model_config = ConfigDict(coerce_numbers_to_str=True)

    companyId: str | None = None
    employeeId: str | None = None


class _Event(Wire):
    type: Literal[
        "employee.created",
        "employee.updated",
        "employee.deleted",
        "company.updated",
        "company.deleted",
        "company-integrations.updated",
    ]
    timestamp: AwareDatetime
    data: _Subject


class BambooHrWebhooks(SignedWebhooks):
    """Webhooks of the event-based kind, format json. The older employee_with_fields events are not understood."""

    def __init__(self, settings: BambooHrSettings) -> None:
        super().__init__(SCHEME, settings.webhook_private_keys, "webhook_private_keys")

    def verify(self, headers: Mapping[str, str], body: bytes) -> None:
        """Raise ``BadSignature`` unless one active key signed body and timestamp.

        The timestamp's age is not judged: a replay is the same body and is dropped as a duplicate, however late it comes.
        """
        if not _MOMENT.fullmatch(headers.get(TIMESTAMP, "")):
            raise BadSignature(f"no usable {TIMESTAMP} header", cause="missing_signature")
        if not body.rstrip().endswith((b"}", b"]")):  # nothing parts the body from the timestamp in what is signed, except this
            raise BadSignature("the body does not end as JSON does; is the webhook's format json?")
        super().verify(headers, body)

    def events(self, body: bytes) -> Sequence[SourceEvent]:
        """The one event in ``body``. Raises ``UnusableContent``.

        BambooHR gives deliveries no id. The identity is the body's SHA-256: a repeated attempt has the same body (not verified against
        the vendor), and two changes differ in time or in ``changedFields``; of two of one second that do not, the backfill tells.
        """
        event = content_of(_Event, body, "bamboohr", mend=_MEND)
        subject = event.data.employeeId if event.type.startswith("employee.") else event.data.companyId
        if not subject:
            raise UnusableContent(f"bamboohr: webhook {event.type} names no subject", field="data")
        return [SourceEvent(hashlib.sha256(body).hexdigest(), event.type, subject, event.timestamp)]
