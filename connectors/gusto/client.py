"""The wire to Gusto: tokens, pages, versions, refusals. Source: the vendor's App Integrations OpenAPI description, 2025-06-15."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import httpx
import structlog
from pydantic import ValidationError

from connectors.contract import ALONE, Surroundings
from connectors.gusto.records import Contractor, Faults, TokenInfo, parse
from connectors.gusto.settings import GustoSettings
from connectors.gusto.tokens import InProcessCredentials, RenewedAccess, grant_verdict
from connectors.http import Dialect, HttpEdge, Verdict, json_object, verdict_by_status
from workforce.errors import AlreadyTaken, HubError, OutcomeUnknown, Refused, RetryLater
from workforce.ports import CheckResult, CredentialStore

log = structlog.get_logger(__name__)

SCOPES = frozenset({"contractors:read", "contractors:write", "contractors:manage"})
PER_PAGE = 100
NOT_TRIED = (
    "gusto: not tried, because that would use up refresh_token and nothing here could keep the next one; "
    "apply the folder, then run: stint check --connect"
)
FOUND_BY: frozenset[str | None] = frozenset({None, "email"})
"""Duplicates (``None``: of an unnamed field) whose holder can be looked up; of any other field it is a plain refusal."""

_ADDRESS = re.compile(r"[^\s<>\"']+@[^\s<>\"']+")


def _verdict(response: httpx.Response) -> Verdict:
    """Refusals with a body pass: only here, beside the request, is it known what they are about."""
    verdict = verdict_by_status(response)
    return Verdict.OK if verdict is Verdict.REFUSED else verdict


class GustoClient:
    """One company at Gusto. Thread-safe. Every method raises only the errors of ``workforce.errors``.

    ``around.credentials`` keeps the rotating refresh token; without it, this process does, and only as long as it runs.
    """

    def __init__(self, settings: GustoSettings, around: Surroundings = ALONE) -> None:
        self.settings, credentials = settings, around.credentials
        self._check_is_free = settings.access_token is not None or credentials is not None
        version = {"X-Gusto-API-Version": settings.api_version}
        wire: dict[str, Any] = {"reach": around.reach(settings), "headers": version}
        dialect = Dialect("gusto", verdict=_verdict, reason=lambda response: _faults(response)[0])
        if settings.access_token is not None:
            bearer = {"Authorization": f"Bearer {settings.access_token.get_secret_value()}"}
            self._edge = HttpEdge(settings.base_url, dialect, authorize=lambda: bearer, **wire)
            self._edges = [self._edge]
            return
        grants = HttpEdge(settings.base_url, Dialect("gusto", grant_verdict), **wire)
        access = _renewed(settings, credentials or InProcessCredentials(), grants)
        self._edge = HttpEdge(settings.base_url, dialect, authorize=access.headers, renew=access.rejected, **wire)
        self._edges = [self._edge, grants]

    def check(self) -> CheckResult:
        """Ask what the token opens: it must be this company's, with the scopes to read, create and update contractors.

        A check must not use up the configured refresh token, so without a store for the next one it is not made.
        """
        if not self._check_is_free:
            return CheckResult(ok=False, detail=NOT_TRIED)
        try:
            info = parse(TokenInfo, self._json("/v1/token_info"))
        except HubError as error:
            return CheckResult(ok=False, detail=str(error))
        if info.resource is None or info.resource.uuid != self.settings.company_uuid:
            return CheckResult(
                ok=False, detail="gusto: the token is not one of the company in company_uuid; authorise that company"
            )
        if missing := SCOPES - set(info.scope.split()):
            return CheckResult(ok=False, detail=f"gusto: the token lacks {', '.join(sorted(missing))}; authorise the hub with it")
        return CheckResult(ok=True, detail=f"gusto: {self.settings.base_url} answers for the company")

    def close(self) -> None:
        """Close the pooled connections."""
        for edge in self._edges:
            edge.close()

    def contractors(self) -> Iterator[Contractor]:
        """Every contractor, active and inactive, oldest first, until a page brings nothing new.

        The description gives no last page; the header X-Total-Pages (not verified against the vendor) is not relied upon.
        """
        path = f"/v1/companies/{self.settings.company_uuid}/contractors"
        seen: set[str] = set()
        page = 1
        while True:
            params = {"page": str(page), "per": str(PER_PAGE), "sort_by": "created_at:asc"}
            fresh = [one for one in parse(list[Contractor], self._json(path, params=params)) if one.uuid not in seen]
            if not fresh:
                return
            yield from fresh
            seen.update(one.uuid for one in fresh)
            page += 1

    def contractor(self, uuid: str) -> Contractor:
        """One contractor. Raises ``NotFound``."""
        return parse(Contractor, self._json(_path(uuid)))

    def create_contractor(self, fields: Mapping[str, object]) -> str:
        """Create a contractor; its uuid. Raises ``AlreadyTaken``, ``OutcomeUnknown``."""
        path = f"/v1/companies/{self.settings.company_uuid}/contractors"
        uuid = self._write("POST", path, fields, unique=FOUND_BY).get("uuid")
        if not isinstance(uuid, str) or not uuid:
            raise OutcomeUnknown("gusto: POST succeeded without telling the new contractor's uuid", cause="unreadable_answer")
        return uuid

    def update_contractor(self, uuid: str, fields: Mapping[str, object]) -> None:
        """Set fields on the current version. A conflict proves that nothing was done: read again and try once more."""
        for attempt in (1, 2):
            version = self.contractor(uuid).version
            try:
                self._write("PUT", _path(uuid), {**fields, "version": version})
            except Refused as error:
                if error.cause != "http_409":
                    raise
                log.info("gusto.version_conflict", contractor=uuid, attempt=attempt)
            else:
                return
        raise RetryLater("gusto: the contractor changes faster than it can be updated", cause="version_conflict")

    def _json(self, path: str, **request: Any) -> object:
        response = self._edge.read("GET", path, **request)
        _accept(response, {}, frozenset())
        try:
            payload: object = response.json()
        except ValueError:
            raise RetryLater("gusto: GET answered without readable JSON", cause="unreadable_answer") from None
        return payload

    def _write(
        self, method: str, path: str, fields: Mapping[str, object], *, unique: frozenset[str | None] = frozenset()
    ) -> dict[str, Any]:
        body = json.dumps(dict(fields), ensure_ascii=False).encode()
        response = self._edge.write(method, path, content=body, headers={"Content-Type": "application/json"})
        _accept(response, fields, unique)
        return json_object(response, "gusto")


def _renewed(settings: GustoSettings, credentials: CredentialStore, edge: HttpEdge) -> RenewedAccess:
    secrets = [secret.get_secret_value() if secret else "" for secret in (settings.client_secret, settings.refresh_token)]
    return RenewedAccess(edge, settings.client_id or "", secrets[0], seed=secrets[1], credentials=credentials)


def _path(uuid: str) -> str:
    return f"/v1/contractors/{quote(uuid, safe='')}"


def _accept(response: httpx.Response, sent: Mapping[str, object], unique: frozenset[str | None]) -> None:
    """Raise ``Refused`` naming the field, or ``AlreadyTaken`` for a duplicate in ``unique``, unless the answer is a success."""
    if response.is_success:
        return
    reason, field = _faults(response)
    told = f"gusto: {response.request.method} answered {response.status_code}: {_without_values(reason, sent)}"
    log.info("gusto.refused", status=response.status_code, field=field)
    if (
        response.status_code == 422 and field in unique and "already been taken" in reason
    ):  # the words of the description's examples
        raise AlreadyTaken(f"{told}; look at the contractor that holds it", field=field)
    raise Refused(f"{told}; correct {field or 'the record'} and replay", cause=f"http_{response.status_code}", field=field)


def _faults(response: httpx.Response) -> tuple[str, str | None]:
    """What Gusto says, as "attribute: message" without addresses, and the first attribute it names."""
    try:
        faults = Faults.model_validate_json(response.content).leaves()
    except ValidationError:
        faults = []
    if not faults:
        return response.reason_phrase, None
    told = "; ".join(f"{fault.error_key}: {fault.message or fault.category}" for fault in faults)
    named = [fault.error_key for fault in faults if fault.error_key != "base"]
    return _ADDRESS.sub("…", told)[:300], named[0] if named else None


def _without_values(reason: str, sent: Mapping[str, object]) -> str:
    """The reason without the texts that were sent: it may quote a person's name or number."""
    quoted = sorted((value for value in sent.values() if isinstance(value, str) and value), key=len, reverse=True)
    for text in quoted:
        reason = re.sub(rf"(?<!\w){re.escape(text)}(?!\w)", "…", reason, flags=re.IGNORECASE)
    return reason
