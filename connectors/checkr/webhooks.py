"""Checkr's signed webhooks.

``X-Checkr-Signature`` is the hex HMAC-SHA256, with the account's API secret key, of the compact JSON. The raw body is tried first. The
vendor's own samples serialise the body again, so a body that is laid out in one of the two usual other ways is tried in its compact form;
anything else that is not signed as it came is refused, or a stray byte would pass. Source: the vendor's webhook pages, 2026.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from connectors.checkr.settings import CheckrSettings
from connectors.records.answers import Instant, Wire
from connectors.webhooks import HmacScheme, SignedWebhooks, content_of, header, hex_text
from workforce.errors import BadSignature
from workforce.events import SourceEvent

SIGNATURE = "x-checkr-signature"
SCHEME = HmacScheme("Checkr", encode=hex_text, candidates=header(SIGNATURE))

Name = Annotated[str, Field(min_length=1, max_length=255)]


class _Object(Wire):
    id: Name
    object: Name
    candidate_id: Name | None = None


class _Data(Wire):
    object: _Object


class _Event(Wire):
    id: Name
    type: Name
    created_at: Instant | None = None
    data: _Data


class CheckrWebhooks(SignedWebhooks):
    """Events about candidates, invitations and reports; about anything else there are none.

    The subject is the candidate, which is the order. Where the account's include_object is off, a payload names only the object itself: then
    it is ``reports/<id>`` or ``invitations/<id>``, which ``CheckrScreening.status`` takes as well.
    """

    def __init__(self, settings: CheckrSettings) -> None:
        super().__init__(SCHEME, (settings.api_key, *settings.webhook_keys))

    def verify(self, headers: Mapping[str, str], body: bytes) -> None:
        """Raise ``BadSignature`` unless one of the keys signed the body, as it came or in its compact form."""
        try:
            super().verify(headers, body)
        except BadSignature:
            compact = _compact(body)
            if compact is None:
                raise
            super().verify(headers, compact)

    def events(self, body: bytes) -> Sequence[SourceEvent]:
        """The one event in ``body``, identified by its ``id``. Raises ``UnusableContent`` naming the field."""
        event = content_of(_Event, body, "checkr")
        subject_id = _subject(event.data.object)
        return [SourceEvent(event.id, event.type, subject_id, event.created_at)] if subject_id is not None else []


def _subject(about: _Object) -> str | None:
    if about.object == "candidate":
        return about.id
    if about.object not in {"report", "invitation"}:
        return None
    return about.candidate_id or f"{about.object}s/{about.id}"


def _compact(body: bytes) -> bytes | None:
    """The compact form of a body with a blank after each comma and colon, or indented by two; ``None`` for any other."""
    try:
        text = body.decode("utf-8")
        content = json.loads(text)
        if text not in {json.dumps(content, ensure_ascii=False), json.dumps(content, ensure_ascii=False, indent=2)}:
            return None
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        return None
