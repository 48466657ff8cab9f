"""The REST API for reading: engagements, failures and the audit trail of one tenant. Bearer token; nothing here writes."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Query
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from config.hub import Hub
from console.tenancy import is_known
from ledger import engagements, failures
from ledger.trail import audit
from workforce.errors import NotFound
from workforce.summaries import EngagementSummary

_BEARER = HTTPBearer(auto_error=False, description="the token in DATA_DIR/keys/api-token, or STINT_API_TOKEN")


class FailureSummary(BaseModel):
    """Something that waits for a person."""

    id: UUID
    cause: str
    message: str
    field: str | None
    subject: str | None
    engagement_id: UUID | None
    count: int
    since: datetime
    last_at: datetime


class AuditLine(BaseModel):
    """One event of the audit trail, with its place in the chain."""

    seq: int
    event_hash: str
    event: dict[str, Any]


class EngagementDetail(EngagementSummary):
    """An engagement with its audit trail."""

    audit: list[AuditLine]


def api_routes(hub: Callable[[], Hub], token: str) -> APIRouter:
    """The reading routes below ``/v1/tenants/{tenant}``."""

    def authorized(given: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]) -> None:
        if given is None or not hmac.compare_digest(given.credentials.encode(), token.encode()):
            raise HTTPException(401, "send the API token as: Authorization: Bearer …", {"WWW-Authenticate": "Bearer"})

    def about_a_tenant(tenant: str) -> None:
        if not is_known(hub(), tenant):
            raise HTTPException(404, f"there is no tenant {tenant!r}")

    checks = [Depends(authorized), Depends(about_a_tenant)]  # in this order: strangers do not learn which tenants there are
    router = APIRouter(prefix="/v1/tenants/{tenant}", dependencies=checks, tags=["reading"])

    @router.get("/engagements")
    def list_engagements(tenant: str, limit: Annotated[int, Query(ge=1, le=500)] = 100) -> list[EngagementSummary]:
        """Engagements, newest first."""
        with hub().database.transaction(tenant) as tx:
            return [EngagementSummary.of(engagement) for engagement in engagements.newest(tx, limit=limit)]

    @router.get("/engagements/{engagement_id}")
    def show_engagement(tenant: str, engagement_id: UUID) -> EngagementDetail:
        """One engagement with its audit trail."""
        with hub().database.transaction(tenant) as tx:
            try:
                engagement = engagements.get(tx, engagement_id)
            except NotFound as error:
                raise HTTPException(404, str(error)) from None
            lines = audit.entries(tx, engagement_id=engagement_id)
        trail = [AuditLine(seq=line.seq, event_hash=line.event_hash.hex(), event=line.event) for line in lines]
        return EngagementDetail(**EngagementSummary.of(engagement).model_dump(), audit=trail)

    @router.get("/failures")
    def list_failures(tenant: str) -> list[FailureSummary]:
        """What waits for a person."""
        with hub().database.transaction(tenant) as tx:
            return [FailureSummary.model_validate(f, from_attributes=True) for f in failures.list_open(tx)]

    return router
