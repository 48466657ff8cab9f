"""The wire to DocuSign: sign-in, the account's regional server, and the calls on envelopes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

import structlog
from pydantic import ValidationError

from connectors.contract import ALONE, Surroundings
from connectors.docusign.limits import DIALECT
from connectors.docusign.records import Envelope, UserInfo
from connectors.docusign.settings import DocuSignSettings
from connectors.docusign.tokens import JwtGrant
from connectors.http import HttpEdge, json_object
from workforce.engagement import canonical
from workforce.errors import HubError, Misconfigured, RetryLater
from workforce.ports import CheckResult

log = structlog.get_logger(__name__)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class DocuSignClient:
    """One account's client. Thread-safe; connects on first use. Methods raise the four errors of ``workforce.errors``."""

    def __init__(
        self, settings: DocuSignSettings, around: Surroundings = ALONE, *, now: Callable[[], datetime] = _utc_now
    ) -> None:
        self.settings, self._around = settings, around
        self._grant = JwtGrant(settings, around, now)
        self._auth = self._edge(str(settings.auth_server))
        self._api: HttpEdge | None = None
        self._lock = threading.Lock()

    def envelope(self, envelope_id: str) -> Envelope:
        """The envelope with its custom fields and recipients. Raises ``NotFound``."""
        query = {"include": "custom_fields,recipients"}
        answer = self._account_api().read_object("GET", self._envelope_path(envelope_id), params=query)
        return canonical(Envelope, answer, source="DocuSign envelope")

    def update_envelope(self, envelope_id: str, change: Mapping[str, str]) -> None:
        """Change the envelope. Raises ``OutcomeUnknown`` when the change may have been made."""
        response = self._account_api().write("PUT", self._envelope_path(envelope_id), json=dict(change))
        json_object(response, DIALECT.name)

    def combined_document(self, envelope_id: str) -> bytes:
        """The envelope's documents as one PDF. Raises ``NotFound``."""
        path = f"{self._envelope_path(envelope_id)}/documents/combined"
        content = self._account_api().read("GET", path, headers={"Accept": "application/pdf"}).content
        if not content.startswith(b"%PDF-"):
            raise RetryLater("DocuSign: the combined document is not a PDF", cause="unreadable_answer")
        return content

    def check(self) -> CheckResult:
        """Sign in, find the account's server and read the account."""
        try:
            self._account_api().read_object("GET", self._account_path())
        except HubError as error:
            return CheckResult(ok=False, detail=str(error))
        return CheckResult(ok=True, detail=f"signed in; account {self.settings.account_id} can be read")

    def close(self) -> None:
        """Close the pooled connections."""
        for edge in (self._grant, self._auth, self._api):
            if edge is not None:
                edge.close()

    def _account_path(self) -> str:
        return f"/accounts/{self.settings.account_id}"

    def _envelope_path(self, envelope_id: str) -> str:
        return f"{self._account_path()}/envelopes/{quote(envelope_id, safe='')}"

    def _account_api(self) -> HttpEdge:
        with self._lock:
            if self._api is None:
                self._api = self._edge(f"{self._base_uri()}/restapi/v2.1")
            return self._api

    def _base_uri(self) -> str:
        """The account's regional server, which only the vendor knows."""
        try:
            info = UserInfo.model_validate(self._auth.read_object("GET", "/oauth/userinfo"))
        except ValidationError:
            raise RetryLater("DocuSign: /oauth/userinfo answered without usable accounts", cause="unreadable_answer") from None
        wanted = str(self.settings.account_id)
        found = next((account.base_uri for account in info.accounts if account.account_id.lower() == wanted), None)
        if found is None:
            raise Misconfigured(
                f"account_id: the API user has no account {wanted}; take the API account id from Settings > Apps and Keys",
                cause="unknown_account",
                field="account_id",
            )
        if urlsplit(found).scheme != "https":
            raise RetryLater("DocuSign: the account's base_uri is not https", cause="unreadable_answer")
        log.info("docusign.account_located", account_id=wanted)
        return found.rstrip("/")

    def _edge(self, base_url: str) -> HttpEdge:
        return HttpEdge(
            base_url,
            DIALECT,
            authorize=self._grant.authorize,
            renew=self._grant.renew,
            reach=self._around.reach(self.settings),
        )
