"""Dropbox Sign's callbacks: multipart/form-data whose field ``json`` holds the event and its own signature.

``event_hash`` is the hex HMAC-SHA256 of ``event_time + event_type`` with the API key. It proves that such an event happened at such a
second and covers nothing else, neither the request's id nor its content: so a callback is a hint, and the request is read again.
Sources: the vendor's OpenAPI description v3 and its page on events.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, TypeVar

from pydantic import BaseModel, StringConstraints, ValidationError

from connectors import webhooks
from connectors.dropboxsign.records import RequestId
from connectors.dropboxsign.settings import DropboxSignSettings
from workforce.errors import BadSignature, UnusableContent
from workforce.events import SourceEvent

SCHEME = webhooks.HmacScheme("Dropbox Sign", encode=webhooks.hex_text, candidates=webhooks.header("event_hash"))
FIELD = re.compile(rb'content-disposition:[ \t]*form-data;[ \t]*name=(?:json|"json")[ \t]*', re.IGNORECASE)
LONGEST_DELIMITER = 72  # RFC 2046 §5.1.1: a boundary has at most 70 characters


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


M = TypeVar("M", bound=BaseModel)


class DropboxSignCallbacks:
    """Verifies and reads callbacks. ``reply`` is the exact text that an accepted callback has to be answered with."""

    reply: bytes = b"Hello API Event Received"

    def __init__(self, settings: DropboxSignSettings) -> None:
        self._keys = [key.get_secret_value().encode() for key in (settings.api_key, *settings.earlier_api_keys)]

    def verify(self, headers: Mapping[str, str], body: bytes) -> None:
        """Check the event's hash with every active key. Raises ``BadSignature``. Nothing in ``headers`` is signed."""
        del headers
        try:
            signed = _parsed(_Envelope, body).event
        except ValueError:
            raise BadSignature("the body is not a callback of Dropbox Sign", cause="malformed_signature") from None
        message = f"{signed.event_time}{signed.event_type}".encode()
        webhooks.verify(SCHEME, self._keys, {"event_hash": signed.event_hash}, message)

    def events(self, body: bytes) -> Sequence[SourceEvent]:
        """The event, where it is about a signature request; tests and news of the account are none. Raises ``UnusableContent``."""
        try:
            callback = _parsed(_Callback, body)
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors(include_input=False)[0]["loc"]) or "json"
            raise UnusableContent(f"Dropbox Sign callback: {where} is not as described", field=where) from None
        except ValueError:
            raise UnusableContent("Dropbox Sign callback: not multipart/form-data with a field json", field="json") from None
        event, subject = callback.event, callback.signature_request
        if subject is None:
            return []
        occurred_at = datetime.fromtimestamp(int(event.event_time), UTC)
        return [SourceEvent(callback.delivery_id, event.event_type, subject.signature_request_id, occurred_at)]


def _parsed(model: type[M], body: bytes) -> M:
    """The field ``json`` as ``model``. Raises ``ValueError``, of which pydantic's is one."""
    return model.model_validate_json(json_field(body))


def json_field(body: bytes) -> bytes:
    """The content of the field ``json`` in multipart/form-data (RFC 7578): flat, complete, and the field once. Raises ``ValueError``.

    The boundary is the body's first line, which is what the header says as well. The standard library's e-mail parser is not for what
    anybody may send: it descends into parts within parts, and 1 MB of those keep it busy for a quarter of a minute. This reads once.
    """
    delimiter, _, rest = body.partition(b"\r\n")
    if not delimiter.startswith(b"--") or not 3 <= len(delimiter) <= LONGEST_DELIMITER:
        raise ValueError("no boundary")
    *parts, end = (b"\r\n" + rest).split(b"\r\n" + delimiter)
    fields = [content for head, gap, content in (part.partition(b"\r\n\r\n") for part in parts) if gap and _is_json(head)]
    if not end.startswith(b"--") or len(fields) != 1:
        raise ValueError("cut off, or not one field json")
    return fields[0]


def _is_json(head: bytes) -> bool:
    return any(FIELD.fullmatch(line) for line in head.split(b"\r\n"))
