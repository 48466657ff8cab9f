"""Salesforce's access tokens: client credentials, or a JWT bearer assertion (RFC 7523), at the organisation's My Domain.

simple-salesforce could sign in by itself; then its own copy of the token would be renewed at its own moments, its ``requests`` errors
would leave it, and an assertion's audience could not be set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from connectors.contract import Surroundings
from connectors.salesforce.settings import SalesforceSettings
from connectors.wire.assertions import Assertion
from connectors.wire.tokens import Expiry, GrantedToken, TokenEndpoint
from workforce.errors import Misconfigured

TOKEN_PATH = "/services/oauth2/token"  # noqa: S105 - an address
ASSERTION_LIFETIME = timedelta(minutes=3)  # as simple-salesforce's own sign-in
KEPT_SECONDS = 3600.0
"""Salesforce does not tell how long a token lives (the organisation's session settings do); one that died earlier is renewed at its 401."""


class SignIn(TokenEndpoint):
    """The token endpoint of one organisation."""

    def __init__(self, settings: SalesforceSettings, around: Surroundings, now: Callable[[], datetime]) -> None:
        reach, expiry = around.reach(settings), Expiry(KEPT_SECONDS)
        super().__init__(settings.my_domain_url, "salesforce", reach, field="consumer_key", expiry=expiry)
        self._settings, self._now = settings, now

    def token(self) -> GrantedToken:
        """A new one. Raises ``Misconfigured``, ``RetryLater``."""
        answer = self.ask(TOKEN_PATH, data=self._form())
        token = self.granted(answer)
        # calls go to the configured place only, not wherever an answer says: they carry the token
        if not self._edge.is_at(str(answer.get("instance_url", self._settings.my_domain_url))):
            message = "salesforce sign-in: the organisation's API is at another address; enter its My Domain as my_domain_url"
            raise Misconfigured(message, cause="foreign_address", field="my_domain_url")
        return token

    def _form(self) -> Mapping[str, str]:
        key, secret = self._settings.consumer_key, self._settings.consumer_secret
        if secret is not None:
            return {"grant_type": "client_credentials", "client_id": key, "client_secret": secret.get_secret_value()}
        username, private_key = self._settings.bearer
        return Assertion(key, username, self._settings.audience, private_key, ASSERTION_LIFETIME).as_grant(self._now())
