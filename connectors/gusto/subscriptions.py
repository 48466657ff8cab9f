"""An administrator's tool: subscribe the hub to a Gusto application's events.

Creating a subscription makes Gusto post a verification token to its url, unsigned; giving that token back verifies the subscription, and
the token is from then on the key of its signatures: keep it as one of ``webhook_verification_tokens``.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from pydantic import SecretStr, ValidationError

from connectors.gusto.client import GustoClient
from connectors.gusto.records import Subscription, Verification, parse
from workforce.errors import OutcomeUnknown, RetryLater, UnusableContent

PATH = "/v1/webhook_subscriptions"


class WebhookSubscriptions:
    """The application's subscriptions, of all its companies. Needs ``client_id`` and ``client_secret``."""

    def __init__(self, client: GustoClient) -> None:
        self._client = client

    def existing(self) -> Sequence[Subscription]:
        """All of them."""
        return parse(list[Subscription], self._client.system.get(PATH))

    def subscribe(self, url: str, types: Sequence[str] = ("Contractor", "ContractorPayment")) -> Subscription:
        """The subscription for ``url`` (https, public): the one that is there, or a new one. Raises ``OutcomeUnknown``: call it again."""
        for held in self.existing():
            if held.url == url and held.status != "removed":
                return held
        made = self._client.system.send("POST", PATH, {"url": url, "subscription_types": list(types)})
        return _written(made)

    def request_token(self, uuid: str) -> None:
        """Let Gusto post the verification token once more."""
        self._client.system.get(f"{_path(uuid)}/request_verification_token")

    def verify(self, uuid: str, token: SecretStr) -> Subscription:
        """Give the posted token back. Idempotent. Raises ``Refused`` for a wrong one."""
        return _written(
            self._client.system.send("PUT", f"{_path(uuid)}/verify", {"verification_token": token.get_secret_value()})
        )


def verification_in(body: bytes) -> Verification:
    """What Gusto posted to a new subscription's url. It is unsigned: compare its subscription with the one that was just made.

    Raises ``UnusableContent``.
    """
    try:
        return Verification.model_validate_json(body)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors(include_input=False)[0]["loc"])[:100] or "body"
        raise UnusableContent(f"gusto: this is no verification: {where} is not as expected", field=where) from None


def _written(answer: object) -> Subscription:
    try:
        return parse(Subscription, answer)
    except RetryLater as error:
        raise OutcomeUnknown(str(error), cause=error.cause) from None


def _path(uuid: str) -> str:
    return f"{PATH}/{quote(uuid, safe='')}"
