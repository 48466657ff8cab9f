"""An administrator's tool: subscribe the hub to a Gusto application's events.

Creating a subscription makes Gusto post a verification token to its url, unsigned; giving that token back verifies the subscription, and
the token is from then on the key of its signatures: keep it as one of ``webhook_verification_tokens``.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from pydantic import SecretStr

from connectors.gusto.client import GustoClient
from connectors.gusto.records import Subscription, Verification
from connectors.webhooks import content_of

PATH = "/v1/webhook_subscriptions"


class WebhookSubscriptions:
    """The application's subscriptions, of all its companies. Needs ``client_id`` and ``client_secret``."""

    def __init__(self, client: GustoClient) -> None:
        self._client = client

    def existing(self) -> Sequence[Subscription]:
        """All of them."""
        return self._client.system.read(list[Subscription], PATH)

    def subscribe(self, url: str, types: Sequence[str] = ("Contractor", "ContractorPayment")) -> Subscription:
        """The subscription for ``url`` (https, public): the one that is there, or a new one. Raises ``OutcomeUnknown``: call it again."""
        for held in self.existing():
            if held.url == url and held.status != "removed":
                return held
        return self._client.system.send(Subscription, "POST", PATH, {"url": url, "subscription_types": list(types)})

    def request_token(self, uuid: str) -> None:
        """Let Gusto post the verification token once more."""
        self._client.system.read(object, f"{_path(uuid)}/request_verification_token")

    def verify(self, uuid: str, token: SecretStr) -> Subscription:
        """Give the posted token back. Idempotent. Raises ``Refused`` for a wrong one."""
        given = {"verification_token": token.get_secret_value()}
        return self._client.system.send(Subscription, "PUT", f"{_path(uuid)}/verify", given)


def verification_in(body: bytes) -> Verification:
    """What Gusto posted to a new subscription's url. It is unsigned: compare its subscription with the one that was just made.

    Raises ``UnusableContent``.
    """
    return content_of(Verification, body, "gusto", part="verification")


def _path(uuid: str) -> str:
    return f"{PATH}/{quote(uuid, safe='')}"
