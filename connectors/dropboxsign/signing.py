"""Sending, finding, reading and canceling signature requests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from connectors.dropboxsign.client import DELETED, SYSTEM, DropboxSignClient
from connectors.dropboxsign.records import NewRequest, SignatureRequest
from workforce.engagement import canonical
from workforce.errors import Refused
from workforce.ports import SourceRecord
from workforce.signing import SigningRequest

WORK_ORDER_KEY = "stint_work_order"
"""The name under which the hub writes and mappings find the work order, whatever the account calls it."""
MARKER_KEY = "stint_marker"
VERSION_OF_DELETED = "9"
"""Later than every version that could be read before."""


class DropboxSignSigning:
    """The ``Signing`` capability."""

    def __init__(self, client: DropboxSignClient) -> None:
        self._client = client

    def find(self, marker: str) -> Sequence[str]:
        """The ids of every request whose metadata carries ``marker``; a new one is found after a short delay, a deleted one never."""
        found = self._client.requests(f"metadata:{marker}")
        return list(dict.fromkeys(one.signature_request_id for one in found if one.metadata.get(MARKER_KEY) == marker))

    def send(self, request: SigningRequest) -> str:
        """Send a request made from a template; its id. Raises ``Refused`` naming the field, ``OutcomeUnknown``.

        Marker and ``request.fields`` become metadata: 10 keys of at most 40 characters with values of at most 1,000.
        """
        settings = self._client.settings
        names = {WORK_ORDER_KEY: settings.work_order_field}
        values = {
            "template_ids": [request.template_id],
            "subject": request.subject,
            "signers": [{"role": one.role, "name": one.name, "email_address": one.email} for one in request.parties],
            "metadata": {MARKER_KEY: request.marker, **{names.get(key, key): value for key, value in request.fields.items()}},
            "test_mode": settings.test_mode,
            "client_id": settings.client_id,
        }
        return self._client.send(canonical(NewRequest, values, source=f"{SYSTEM} request to be sent"))

    def status(self, envelope_id: str) -> SourceRecord:
        """The request as it is now, in Dropbox Sign's own field names. Raises ``NotFound``, ``Refused`` naming a wrong field.

        Three fields are ours: ``stint_status`` is ``sent``, ``declined``, ``error``, ``completed`` or ``deleted``;
        ``stint_completed_at`` is the instant of the last signature (ISO 8601); the metadata key that the settings name as
        ``work_order_field`` is given as ``stint_work_order``. Of a canceled or deleted request nothing else can be read.
        """
        try:
            request = self._client.request(envelope_id)
        except Refused as error:
            if error.cause != DELETED:
                raise
            gone = {"signature_request_id": envelope_id, "stint_status": "deleted"}
            return SourceRecord(envelope_id, VERSION_OF_DELETED, gone)
        return SourceRecord(request.signature_request_id, request.version, self._values(request))

    def void(self, envelope_id: str, reason: str) -> None:
        """Have the request canceled. Idempotent. Raises ``Refused`` (cause ``completed``) once it is signed, ``OutcomeUnknown``.

        Dropbox Sign cancels a moment later and takes no ``reason``. A declined request needs no cancel, should it be refused.
        """
        del reason
        try:
            self._client.cancel(envelope_id)
        except Refused as error:
            if error.cause not in {DELETED, "http_400"}:
                raise
            self._require_canceled(envelope_id, error)

    def documents(self, envelope_id: str) -> bytes:
        """The signed documents as one PDF. Raises ``NotFound``, ``Refused`` (cause ``not_completed``), ``RetryLater`` while they are made.

        Dropbox Sign would give the documents of a request that nobody has signed as well.
        """
        state = self.status(envelope_id).values["stint_status"]
        if state not in {"completed", "deleted"}:  # what is deleted tells itself
            raise Refused(f"{SYSTEM}: the request is not completed; its documents are not signed by all", cause="not_completed")
        return self._client.files(envelope_id)

    def _require_canceled(self, envelope_id: str, refusal: Refused) -> None:
        """One 400 tells both that it is completed and that somebody else sent it."""
        state = "deleted" if refusal.cause == DELETED else self.status(envelope_id).values["stint_status"]
        if state == "completed":
            raise Refused(f"{SYSTEM}: the request is completed and cannot be canceled any more", cause="completed") from None
        if state not in {"deleted", "declined"}:
            raise refusal

    def _values(self, request: SignatureRequest) -> dict[str, object]:
        values = request.model_dump(mode="json", exclude_none=True)
        configured, metadata = self._client.settings.work_order_field, dict(request.metadata)
        if configured in metadata:
            metadata[WORK_ORDER_KEY] = metadata.pop(configured)
        completed_at = request.signed_at if request.is_complete else None
        told = {"stint_completed_at": datetime.fromtimestamp(completed_at, UTC).isoformat()} if completed_at else {}
        return {**values, "metadata": metadata, "stint_status": request.state, **told}
