"""The wire to DocuSign: sign-in, the account's regional server, and the calls on envelopes."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

import structlog

from connectors.contract import ALONE, Surroundings, faults_as_result
from connectors.docusign.limits import DIALECT
from connectors.docusign.records import (
    ENVELOPE_ID,
    Envelope,
    EnvelopeDefinition,
    EnvelopesInformation,
    EnvelopeSummary,
    ListedEnvelope,
    Transactions,
    UserInfo,
)
from connectors.docusign.settings import DocuSignSettings
from connectors.docusign.tokens import assertion, sign_in
from connectors.http import HttpEdge, json_object
from connectors.records.answers import Reading, whole_pdf
from connectors.records.instants import utc_now
from connectors.wire.tokens import TokenCache
from workforce.engagement import canonical
from workforce.errors import Misconfigured, NotFound, RetryLater
from workforce.ports import CheckResult

log = structlog.get_logger(__name__)

PAGE_SIZE = 100
parse = Reading(DIALECT.name)


class DocuSignClient:
    """One account's client. Thread-safe; connects on first use. Methods raise the four errors of ``workforce.errors``."""

    def __init__(
        self, settings: DocuSignSettings, around: Surroundings = ALONE, *, now: Callable[[], datetime] = utc_now
    ) -> None:
        self.settings, self._reach = settings, around.reach(settings)
        self._sign_in, asserted = sign_in(settings, around), assertion(settings)
        self._tokens = TokenCache(
            lambda: self._sign_in.grant("/oauth/token", data=asserted.as_grant(now())), clock=lambda: now().timestamp()
        )
        self._auth = self._tokens.edge(str(settings.auth_server), DIALECT, self._reach)
        self._api: HttpEdge | None = None
        self._lock = threading.Lock()

    def envelope(self, envelope_id: str) -> Envelope:
        """The envelope with its custom fields and recipients. Raises ``NotFound``."""
        query = {"include": "custom_fields,recipients"}
        answer = self._account_api().read_object("GET", self._envelope_path(envelope_id), params=query)
        return canonical(Envelope, answer, source="DocuSign envelope")

    def envelopes(self, query: Mapping[str, str], position: int) -> EnvelopesInformation:
        """The page of envelopes that begins at ``position``. Raises ``RetryLater`` when it is missing though more are announced."""
        params = {**query, "start_position": str(position), "count": str(PAGE_SIZE)}
        answer = self._account_api().read_object("GET", f"{self._account_path()}/envelopes", params=params)
        page = canonical(EnvelopesInformation, answer, source="DocuSign envelopes")
        if not page.envelopes and position < page.total_set_size:
            raise RetryLater("DocuSign: a page of envelopes is empty, but more are announced", cause="unreadable_answer")
        return page

    def all_envelopes(self, query: Mapping[str, str]) -> Iterator[ListedEnvelope]:
        """Every envelope that ``query`` finds, page by page."""
        position, total = 0, 1
        while position < total:
            page = self.envelopes(query, position)
            yield from page.envelopes
            position, total = position + len(page.envelopes), page.total_set_size

    def sent_as(self, transaction_id: str) -> list[str]:
        """The ids of the envelopes that were sent with ``transaction_id``."""
        query = {"transaction_ids": transaction_id}
        answer = self._account_api().read_object("GET", f"{self._account_path()}/envelopes", params=query)
        return canonical(Transactions, answer, source="DocuSign envelopes").ids(transaction_id)

    def create_envelope(self, definition: EnvelopeDefinition) -> str:
        """Create and send; the new envelope's id. Raises ``OutcomeUnknown`` when it may have been sent."""
        content = definition.model_dump(by_alias=True, mode="json")
        response = self._account_api().write("POST", f"{self._account_path()}/envelopes", json=content)
        return parse.written(EnvelopeSummary, json_object(response, DIALECT.name)).envelope_id

    def update_envelope(self, envelope_id: str, change: Mapping[str, str]) -> None:
        """Change the envelope. Raises ``OutcomeUnknown`` when the change may have been made."""
        response = self._account_api().write("PUT", self._envelope_path(envelope_id), json=dict(change))
        json_object(response, DIALECT.name)

    def combined_document(self, envelope_id: str) -> bytes:
        """The envelope's documents as one PDF. Raises ``NotFound``."""
        path = f"{self._envelope_path(envelope_id)}/documents/combined"
        return whole_pdf(self._account_api().read("GET", path, headers={"Accept": "application/pdf"}), DIALECT.name)

    @faults_as_result
    def check(self) -> CheckResult:
        """Sign in, find the account's server and read the account."""
        self._account_api().read_object("GET", self._account_path())
        return CheckResult(ok=True, detail=f"signed in; account {self.settings.account_id} can be read")

    def close(self) -> None:
        """Close the pooled connections."""
        for edge in (self._sign_in, self._auth, self._api):
            if edge is not None:
                edge.close()

    def _account_path(self) -> str:
        return f"/accounts/{self.settings.account_id}"

    def _envelope_path(self, envelope_id: str) -> str:
        if re.fullmatch(ENVELOPE_ID, envelope_id) is None:  # it is put into an address
            raise NotFound("DocuSign: not the form of an envelope id")
        return f"{self._account_path()}/envelopes/{envelope_id}"

    def _account_api(self) -> HttpEdge:
        with self._lock:
            if self._api is None:
                self._api = self._tokens.edge(f"{self._base_uri()}/restapi/v2.1", DIALECT, self._reach)
            return self._api

    def _base_uri(self) -> str:
        """The account's regional server, which only the vendor knows."""
        info = parse(UserInfo, self._auth.read_object("GET", "/oauth/userinfo"))
        wanted = str(self.settings.account_id)
        found = next((account.base_uri for account in info.accounts if account.account_id.lower() == wanted), None)
        if found is None:
            raise Misconfigured(
                f"account_id: the API user has no account {wanted}; take the API account id from Settings > Apps and Keys",
                cause="unknown_account",
                field="account_id",
            )
        log.info("docusign.account_located", account_id=wanted)
        return str(found).rstrip("/")
