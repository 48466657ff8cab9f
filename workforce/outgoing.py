"""What outgoing mappings read: one engagement as a document. Its JSON Schema is the source's end of every ``engagement__<target>``."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict

from workforce.engagement import (
    CountryCode,
    Email,
    Engagement,
    EngagementTerms,
    ExternalIdentities,
    Rate,
    RateBand,
    Text,
    WorkerProfile,
)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class OutgoingWorker(WorkerProfile):
    """The person. ``marker`` is ours on everything that we write about them."""

    marker: str
    country: CountryCode


class OutgoingTerms(_Part):
    """What was agreed. When exactly access stops is ``engagement.end_at``, and nothing else."""

    vms_id: Text
    role: Text
    client_unit: Text
    supplier: Text
    supplier_id: Text | None
    sponsor_email: Email
    location: Text
    time_zone: Text
    starts_on: date
    ends_on: date
    rate: Rate
    rate_band: RateBand | None

    @classmethod
    def of(cls, terms: EngagementTerms) -> OutgoingTerms:
        """The terms as targets may know them."""
        return cls(**{name: getattr(terms, name) for name in cls.model_fields})


class OutgoingEngagement(_Part):
    """The engagement. ``end_at`` is the instant at which access stops."""

    id: UUID
    end_at: AwareDatetime


class OutgoingAccount(_Part):
    """The worker's account: the login that was reserved, and the address made of it."""

    login: str
    email: Email


class EngagementDocument(_Part):
    """One engagement as the source of outgoing mappings."""

    worker: OutgoingWorker
    terms: OutgoingTerms
    external: ExternalIdentities
    engagement: OutgoingEngagement
    account: OutgoingAccount

    @classmethod
    def of(cls, engagement: Engagement, *, login: str, email_domain: str) -> EngagementDocument:
        """The document of ``engagement``, whose worker has ``login``."""
        worker = engagement.worker
        return cls(
            worker=OutgoingWorker(marker=worker.marker, **worker.profile.model_dump()),
            terms=OutgoingTerms.of(engagement.terms),
            external=engagement.external,
            engagement=OutgoingEngagement(id=engagement.id, end_at=engagement.end_at),
            account=OutgoingAccount(login=login, email=f"{login}@{email_domain}"),
        )

    def values(self) -> dict[str, object]:
        """As plain values: money and instants as text, nothing lost."""
        return self.model_dump(mode="json")
