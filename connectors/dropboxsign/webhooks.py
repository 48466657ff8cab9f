"""Dropbox Sign's callbacks: multipart/form-data whose field ``json`` holds the event and its own signature.

``event_hash`` is the hex HMAC-SHA256 of ``event_time + event_type`` with the API key. It proves that such an event happened at such a
second and covers nothing else, neither the request's id nor its content: so a callback is a hint, and the request is read again.
Sources: the vendor's OpenAPI description v3 and its page on events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, StringConstraints

from connectors import webhooks
from connectors.dropboxsign.records import RequestId
from connectors.dropboxsign.settings import DropboxSignSettings
from workforce.errors import BadSignature, UnusableContent
from workforce.events import SourceEvent

SCHEME = webhooks.HmacScheme("Dropbox Sign", encode=webhooks.hex_text, candidates=webhooks.header("event_hash"))


class _Signed(BaseModel):
    """What the signature covers. Digits and then letters: the same text cannot be divided in another way."""

    event_time: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,10}$")]
    event_type: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,64}$")]
    event_hash: Annotated[str, StringConstraints(max_length=200)]


class _Metadata(BaseModel):
    related_signature_id: str | None = None


class _Event(_Signed):
    event_metadata: _Metadata | None = None


class _Subject(BaseModel):
    signature_request_id: RequestId


class _Envelope(BaseModel):
    """The part of a callback that is needed to verify it."""

    event: _Signed


class _Callback(BaseModel):
    event: _Event
    signature_request: _Subject | None = None

    @property
    def delivery_id(self) -> str:
        """What stays the same when Dropbox Sign calls again, and tells apart what happens within one second."""
        request_id = self.signature_request.signature_request_id if self.signature_request else ""
        related = self.event.event_metadata.related_signature_id if self.event.event_metadata else None
        return ":".join(filter(None, [request_id, self.event.event_type, self.event.event_time, related]))


class DropboxSignCallbacks(webhooks.SignedWebhooks):
    """Verifies and reads callbacks. ``reply`` is the exact text that an accepted callback has to be answered with."""

    reply: bytes = b"Hello API Event Received"

    def __init__(self, settings: DropboxSignSettings) -> None:
        super().__init__(SCHEME, (settings.api_key, *settings.earlier_api_keys))

    def verify(self, headers: Mapping[str, str], body: bytes) -> None:
        """Check the event's hash with every active key. Raises ``BadSignature``. Nothing in ``headers`` is signed."""
        del headers
        try:
            signed = _Envelope.model_validate_json(webhooks.form_field(body, "json")).event
        except ValueError:
            raise BadSignature("the body is not a callback of Dropbox Sign", cause="malformed_signature") from None
        message = f"{signed.event_time}{signed.event_type}".encode()
        super().verify({"event_hash": signed.event_hash}, message)

    def events(self, body: bytes) -> Sequence[SourceEvent]:
        """The event, where it is about a signature request; tests and news of the account are none. Raises ``UnusableContent``."""
        try:
            content = webhooks.form_field(body, "json")
        except ValueError:
            raise UnusableContent("Dropbox Sign callback: not multipart/form-data with a field json", field="json") from None
        callback = webhooks.content_of(_Callback, content, "Dropbox Sign", part="json")
        event, subject = callback.event, callback.signature_request
        if subject is None:
            return []
        occurred_at = datetime.fromtimestamp(int(event.event_time), UTC)
        return [SourceEvent(callback.delivery_id, event.event_type, subject.signature_request_id, occurred_at)]
