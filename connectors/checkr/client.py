"""The wire to Checkr: key, pages, idempotent posts. Source: the interface of the vendor's API v1 description, 2025-07."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

from connectors.checkr.records import Account, Candidate, Invitation, Listed, Made, Report, parse
from connectors.checkr.refusals import refusal, verdict, wait_seconds
from connectors.checkr.settings import CheckrSettings
from connectors.contract import ALONE, Surroundings, faults_as_result
from connectors.http import Dialect, HttpEdge, json_object
from connectors.records.answers import served_at
from connectors.wire.budget import Budget
from connectors.wire.tokens import basic
from workforce.errors import NotFound
from workforce.ports import CheckResult

PER_PAGE = 100


class CheckrClient:
    """One account. Thread-safe. Every method raises only the errors of ``workforce.errors``."""

    def __init__(self, settings: CheckrSettings, around: Surroundings = ALONE) -> None:
        self.settings = settings
        key = basic(settings.api_key.get_secret_value())
        dialect = Dialect("checkr", verdict=verdict, wait=wait_seconds, budgets=(Budget(1200, 60),))
        self._edge = HttpEdge(settings.base_url, dialect, headers=key, reach=around.reach(settings))

    @faults_as_result
    def check(self) -> CheckResult:
        """Ask whose key it is, and whether Checkr has credentialed the account."""
        account = parse(Account, self._get("/account").content)
        if account.authorized is False:
            return CheckResult(ok=False, detail="checkr: the account is not authorized yet; finish its credentialing in Checkr")
        return CheckResult(ok=True, detail=f"checkr: {self.settings.base_url} answers for the account")

    def close(self) -> None:
        """Close the pooled connections."""
        self._edge.close()

    def candidates(self, query: Mapping[str, str], page: int) -> tuple[list[Candidate], bool]:
        """One page of the candidates that ``query`` filters, and whether a further one follows; pages count from 1."""
        listed = self._listed("/candidates", query, page)
        return [parse(Candidate, one) for one in listed.data], bool(listed.next_href and listed.data)

    def candidates_with(self, custom_id: str) -> list[Candidate]:
        """Every candidate whose ``custom_id`` is just that."""
        return [one for one in self._all(Candidate, "/candidates", {"custom_id": custom_id}) if one.custom_id == custom_id]

    def candidate(self, candidate_id: str) -> tuple[Candidate, datetime]:
        """One candidate, and when it was read. Raises ``NotFound``."""
        response = self._get(_one("candidates", candidate_id))
        return parse(Candidate, response.content), served_at(response) or datetime.now(UTC)

    def invitations(self, candidate_id: str) -> list[Invitation]:
        """Every invitation of a candidate that the list shows."""
        return list(self._all(Invitation, "/invitations", {"candidate_id": candidate_id}))

    def invitation(self, invitation_id: str) -> Invitation:
        """One invitation, also a canceled one. Raises ``NotFound``."""
        return parse(Invitation, self._get(_one("invitations", invitation_id), params={"include_deleted": "true"}).content)

    def report(self, report_id: str) -> Report:
        """One report. Raises ``NotFound``."""
        return parse(Report, self._get(_one("reports", report_id)).content)

    def post(self, path: str, fields: Mapping[str, object], *, key: str) -> str:
        """Create something; its id. A repetition with the same ``key`` within 24 h gives the first one's answer.

        Raises ``Refused`` naming Checkr's rule, ``OutcomeUnknown``.
        """
        response = self._edge.write("POST", f"/v1{path}", json=dict(fields), headers={"Idempotency-Key": key})
        if not response.is_success:
            raise refusal(response, fields)
        return parse.written(Made, json_object(response, "checkr")).id

    def _all(self, shape: type[Any], path: str, query: Mapping[str, str]) -> Iterator[Any]:
        page = 1
        while True:
            listed = self._listed(path, query, page)
            yield from (parse(shape, one) for one in listed.data)
            if listed.next_href is None or not listed.data:
                return
            page += 1

    def _listed(self, path: str, query: Mapping[str, str], page: int) -> Listed:
        """A page by its number: ``next_href`` says only that there is one more, so nothing can lead elsewhere."""
        return parse(Listed, self._get(path, params={**query, "page": str(page), "per_page": str(PER_PAGE)}).content)

    def _get(self, path: str, **request: Any) -> httpx.Response:
        return self._edge.read("GET", f"/v1{path}", **request)


def _one(kind: str, record_id: str) -> str:
    """The path of one object. Raises ``NotFound``: nothing has an id that could lead elsewhere."""
    if re.fullmatch(r"[A-Za-z0-9_\-]{1,255}", record_id) is None:
        raise NotFound(f"checkr: {kind}: not an id of Checkr's", field="order_id")
    return f"/{kind}/{record_id}"
