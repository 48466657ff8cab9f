"""WorkMarket's webhooks: hints without a signature.

The company writes the webhook itself: address, headers and body. Ours has the header ``X-Stint-Secret`` with one of ``webhook_secrets``, and
the JSON body ``{"event": "<its name>", "assignment_id": "${assignment_id}"}``, with a variable that changes from one event to the
next in ``at`` where there is one. The secret proves the sender and nothing of the body, so the assignment is always read again; what a webhook
does not tell, the poll does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from connectors.webhooks import SharedSecretWebhooks, body_digest, content_of
from connectors.workmarket.settings import WorkMarketSettings
from workforce.events import SourceEvent

HEADER = "x-stint-secret"
Name = Annotated[str, Field(min_length=1, max_length=100)]


class _Hint(BaseModel):
    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)

    event: Name
    assignment_id: Annotated[str, Field(pattern=r"^[\w-]{1,64}$")]


class WorkMarketWebhooks(SharedSecretWebhooks):
    """The ``Webhooks`` capability: one hint a delivery."""

    def __init__(self, settings: WorkMarketSettings) -> None:
        super().__init__("WorkMarket", HEADER, settings.webhook_secrets, "webhook_secrets")

    def events(self, body: bytes) -> Sequence[SourceEvent]:
        """The hint in ``body``, known by the body's digest: WorkMarket gives a delivery no id. Raises ``UnusableContent``."""
        hint = content_of(_Hint, body, "WorkMarket", mend="; mend the webhook's body")
        return [SourceEvent(body_digest(body), hint.event, hint.assignment_id)]
