"""WorkMarket's webhooks: hints without a signature.

The company writes the webhook itself: address, headers and body. Ours has the header ``X-Stint-Secret`` with one of ``webhook_secrets``, and
the JSON body ``{"event": "<its name>", "assignment_id": "${assignment_id}"}``, with a variable that changes from one event to the
next in ``at`` where there is one. The secret proves the sender and nothing of the body, so the assignment is always read again; what a webhook
does not tell, the poll does.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from connectors.workmarket.settings import WorkMarketSettings
from workforce.errors import BadSignature, UnusableContent
from workforce.events import SourceEvent

HEADER = "x-stint-secret"
Name = Annotated[str, Field(min_length=1, max_length=100)]


class _Hint(BaseModel):
    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)

    event: Name
    assignment_id: Annotated[str, Field(pattern=r"^[\w-]{1,64}$")]


class WorkMarketWebhooks:
    """The ``Webhooks`` capability: one hint a delivery."""

    def __init__(self, settings: WorkMarketSettings) -> None:
        self._secrets = [secret.get_secret_value().encode() for secret in settings.webhook_secrets]

    def verify(self, headers: Mapping[str, str], body: bytes) -> None:
        """Raise ``BadSignature`` unless the header holds an active secret. Each is compared, in constant time."""
        del body
        if not self._secrets:
            raise BadSignature("no webhook_secrets are configured for WorkMarket", cause="no_key")
        given = headers.get(HEADER, "").encode("utf-8", "surrogatepass")
        if not given:
            raise BadSignature(f"no {HEADER} header; add it to the webhook in WorkMarket", cause="missing_signature")
        matches = [hmac.compare_digest(hashlib.sha256(given).digest(), hashlib.sha256(one).digest()) for one in self._secrets]
        if not any(matches):
            raise BadSignature(f"the {HEADER} header holds no active secret")

    def events(self, body: bytes) -> Sequence[SourceEvent]:
        """The hint in ``body``, known by the body's digest: WorkMarket gives a delivery no id. Raises ``UnusableContent``."""
        try:
            hint = _Hint.model_validate_json(body)
        except ValidationError as error:
            where = ".".join(map(str, error.errors(include_input=False)[0]["loc"])) or "body"
            raise UnusableContent(
                f"WorkMarket: webhook: {where} is not as agreed; mend the webhook's body", field=where
            ) from None
        return [SourceEvent(hashlib.sha256(body).hexdigest(), hint.event, hint.assignment_id)]
