"""Sending, finding, reading and voiding envelopes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, uuid5

from connectors.docusign.client import DocuSignClient
from connectors.docusign.records import EnvelopeDefinition
from connectors.records.instants import instant_text
from workforce.engagement import canonical
from workforce.errors import Refused
from workforce.ports import SourceRecord
from workforce.signing import SigningRequest

WORK_ORDER_FIELD = "stint_work_order"
"""The name under which the hub writes and mappings find the work order, whatever the account calls it."""
MARKER_FIELD = "stint_marker"
BEGINNING = datetime(2003, 1, 1, tzinfo=UTC)  # DocuSign's first year; a search by custom field needs some date


def transaction_id(marker: str) -> str:
    """DocuSign's ``transactionId`` for ``marker``: it finds the envelope for 7 days, also where somebody edited its fields."""
    return str(uuid5(NAMESPACE_URL, f"stint:{marker}"))


class DocuSignSigning:
    """The ``Signing`` capability."""

    def __init__(self, client: DocuSignClient) -> None:
        self._client = client

    def find(self, marker: str) -> Sequence[str]:
        """The ids of every envelope that carries ``marker``: by its transaction id, and by its custom field at whatever age."""
        by_transaction = self._client.sent_as(transaction_id(marker))
        query = {
            "from_date": instant_text(BEGINNING, "microseconds"),
            "custom_field": f"{MARKER_FIELD}={marker}",
            "include": "custom_fields",
        }
        carriers = [
            each.envelope_id
            for each in self._client.all_envelopes(query)
            if each.custom_fields and marker in each.custom_fields.texts(MARKER_FIELD)
        ]
        return list(dict.fromkeys([*by_transaction, *carriers]))

    def send(self, request: SigningRequest) -> str:
        """Send an envelope made from a template; its id. Raises ``Refused`` naming the field, ``OutcomeUnknown``.

        Names and values of ``request.fields`` have at most 100 characters.
        """
        return self._client.create_envelope(self._definition(request))

    def status(self, envelope_id: str) -> SourceRecord:
        """The envelope as it is now, in DocuSign's own field names. Raises ``NotFound``, ``Refused`` naming a wrong field.

        The text custom field that the settings name as ``work_order_field`` is given as ``stint_work_order``.
        """
        envelope = self._client.envelope(envelope_id)
        values = envelope.model_dump(by_alias=True, exclude_none=True, mode="json")
        for one in values.get("customFields", {}).get("textCustomFields", []):
            if one["name"] == self._client.settings.work_order_field:
                one["name"] = WORK_ORDER_FIELD
        return SourceRecord(envelope.envelope_id, envelope.version, values)

    def void(self, envelope_id: str, reason: str) -> None:
        """Void the envelope. Idempotent. Raises ``Refused`` (cause ``completed``) once it is signed, ``OutcomeUnknown``.

        One that was declined cannot be signed any more and needs no void.
        """
        try:
            self._client.update_envelope(envelope_id, {"status": "voided", "voidedReason": reason})
        except Refused as error:
            if error.cause != "http_400":
                raise
            self._require_voided(envelope_id, error)

    def documents(self, envelope_id: str) -> bytes:
        """The signed documents combined in one PDF. Raises ``NotFound``, ``Refused`` (cause ``not_completed``).

        DocuSign would give the documents of an envelope that nobody has signed as well.
        """
        if self._client.envelope(envelope_id).status.lower() != "completed":
            raise Refused("DocuSign: the envelope is not completed; its documents are not signed by all", cause="not_completed")
        return self._client.combined_document(envelope_id)

    def _require_voided(self, envelope_id: str, refusal: Refused) -> None:
        """A refused void is no failure where it was done before."""
        status = self._client.envelope(envelope_id).status.lower()
        if status == "completed":
            raise Refused("DocuSign: the envelope is completed and cannot be voided any more", cause="completed") from None
        if status not in {"voided", "declined"}:
            raise refusal

    def _definition(self, request: SigningRequest) -> EnvelopeDefinition:
        names = {WORK_ORDER_FIELD: self._client.settings.work_order_field}
        fields = [(MARKER_FIELD, request.marker), *((names.get(name, name), value) for name, value in request.fields.items())]
        values = {
            "template_id": request.template_id,
            "email_subject": request.subject,
            "transaction_id": transaction_id(request.marker),
            "template_roles": [{"role_name": one.role, "name": one.name, "email": one.email} for one in request.parties],
            "custom_fields": {"text_custom_fields": [{"name": name, "value": value} for name, value in fields]},
        }
        return canonical(EnvelopeDefinition, values, source="DocuSign envelope to be sent")
