"""What may be shown of an engagement in lists and logs: ids, states and instants, no personal data."""

from __future__ import annotations

from datetime import date, datetime
from typing import Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from workforce.engagement import Engagement
from workforce.states import EngagementState


class EngagementSummary(BaseModel):
    """An engagement without personal data. Instants are UTC."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    vms_id: str
    role: str
    state: EngagementState
    starts_on: date
    end_at: datetime
    signed_at: datetime | None
    access_verified_at: datetime | None
    revoked_verified_at: datetime | None

    @classmethod
    def of(cls, engagement: Engagement) -> Self:
        """The summary of ``engagement``."""
        return cls(
            id=engagement.id,
            vms_id=engagement.terms.vms_id,
            role=engagement.terms.role,
            state=engagement.state,
            starts_on=engagement.terms.starts_on,
            end_at=engagement.end_at,
            signed_at=engagement.signed_at,
            access_verified_at=engagement.access_verified_at,
            revoked_verified_at=engagement.revoked_verified_at,
        )
