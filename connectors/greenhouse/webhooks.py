r"""Greenhouse's signed web hooks.

``Signature: sha256 <hex>``, with one space, is the HMAC-SHA256 of the raw body with the web hook's secret key. Bodies hold escapes such as
``\u003c``, so they are never serialised again. Source: the vendor's web hook documentation and samples, 2026-01.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from connectors.greenhouse.records import nested
from connectors.greenhouse.settings import GreenhouseSettings
from connectors.webhooks import HmacScheme, SignedWebhooks, body_digest, hex_text, prefixed_header
from workforce.errors import UnusableContent
from workforce.events import SourceEvent

SIGNATURE = "signature"
SCHEME = HmacScheme("Greenhouse", encode=hex_text, candidates=prefixed_header(SIGNATURE, "sha256 "))
ABOUT_APPLICATIONS = frozenset(
    {
        *("application_updated", "candidate_stage_change", "delete_application", "delete_candidate"),
        *("hire_candidate", "unhire_candidate", "reject_candidate", "unreject_candidate"),
        *("new_candidate_application", "new_prospect_application"),
        *("offer_approved", "offer_created", "offer_updated", "offer_deleted"),
    }
)
"""The actions that name an application. All others (jobs, offices, interviews …) and the ping give no events."""


class GreenhouseWebhooks(SignedWebhooks):
    """Hints that an application was hired, un-hired or changed: it is read again.

    Greenhouse identifies a delivery by the header ``Greenhouse-Event-ID``, which is outside the body; a redelivery repeats the body, so the
    identity is made from that. A change that repeats an earlier one to the byte is therefore told by the next poll only.
    """

    def __init__(self, settings: GreenhouseSettings) -> None:
        super().__init__(SCHEME, settings.webhook_secrets, "webhook_secrets")

    def events(self, body: bytes) -> Sequence[SourceEvent]:
        """One event for each application that the body names. Raises ``UnusableContent`` naming the field."""
        message = _object(body)
        action = message.get("action")
        if not isinstance(action, str):
            raise UnusableContent("greenhouse: webhook: action is not a text", field="action")
        if action not in ABOUT_APPLICATIONS:
            return []
        payload = message.get("payload")
        ids = _application_ids(payload) if isinstance(payload, dict) else []
        if not ids and action != "delete_candidate":  # a candidate may have none
            raise UnusableContent(f"greenhouse: webhook: {action} names no application", field="payload")
        return [SourceEvent(f"{action}:{one}:{body_digest(body)}", action, str(one)) for one in ids]


def _object(body: bytes) -> dict[str, Any]:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        raise UnusableContent("greenhouse: webhook: the body is not JSON") from None
    if not isinstance(message, dict):
        raise UnusableContent("greenhouse: webhook: the body is not a JSON object")
    return message


def _application_ids(payload: Mapping[str, Any]) -> list[int]:
    """Where the samples have them: an application, an offer's ``application_id``, a candidate's ``deleted_application_ids``."""
    application, offer, person = (nested(payload, name) for name in ("application", "offer", "person"))
    deleted = person.get("deleted_application_ids")
    named = [application.get("id"), payload.get("application_id"), offer.get("application_id")]
    named += deleted if isinstance(deleted, list) else []
    return list(dict.fromkeys(one for one in named if type(one) is int and 0 < one < 2**63))
