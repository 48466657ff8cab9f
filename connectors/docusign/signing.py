"""Reading and voiding envelopes."""

from __future__ import annotations

from connectors.docusign.client import DocuSignClient
from connectors.docusign.records import Envelope
from workforce.ports import SourceRecord

WORK_ORDER_FIELD = "stint_work_order"
"""The name under which mappings find the work order, whatever the account calls it."""


class DocuSignSigning:
    """The ``Signing`` capability, with what DocuSign offers beyond it."""

    def __init__(self, client: DocuSignClient) -> None:
        self._client = client

    def status(self, envelope_id: str) -> SourceRecord:
        """The envelope as it is now, in DocuSign's own field names. Raises ``NotFound``, ``Refused`` naming a wrong field.

        The text custom field that the settings name as ``work_order_field`` is given as ``stint_work_order``.
        """
        envelope = self._with_work_order(self._client.envelope(envelope_id))
        values = envelope.model_dump(by_alias=True, exclude_none=True, mode="json")
        return SourceRecord(envelope.envelope_id, envelope.version, values)

    def void(self, envelope_id: str, reason: str) -> None:
        """Void an envelope that is not completed. Raises ``Refused`` once it is, ``OutcomeUnknown``."""
        self._client.update_envelope(envelope_id, {"status": "voided", "voidedReason": reason})

    def documents(self, envelope_id: str) -> bytes:
        """The envelope's documents combined in one PDF. Raises ``NotFound``."""
        return self._client.combined_document(envelope_id)

    def _with_work_order(self, envelope: Envelope) -> Envelope:
        configured = self._client.settings.work_order_field
        if configured == WORK_ORDER_FIELD or envelope.custom_fields is None:
            return envelope
        renamed = tuple(
            field.model_copy(update={"name": WORK_ORDER_FIELD}) if field.name == configured else field
            for field in envelope.custom_fields.text_custom_fields or ()
        )
        return envelope.model_copy(
            update={"custom_fields": envelope.custom_fields.model_copy(update={"text_custom_fields": renamed})}
        )
