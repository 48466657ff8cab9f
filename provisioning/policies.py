"""What a tenant decides about access beyond its packages: the ``access`` part of ``tenant.yaml``. Every default is the careful one."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from workforce.engagement import Email


class _Policy(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rename(StrEnum):
    """Whether a person's login follows their name. The old one stays theirs, as an alias."""

    NEVER = "never"
    ON_NAME_CHANGE = "on_name_change"


class LoginPolicy(_Policy):
    """How sign-in names are made. ``pattern`` knows ``{given}``, ``{family}``, ``{g}``, ``{f}`` (initials).

    A login is never given to another person before ``reuse_after_days`` have passed since its owner's last engagement ended; ``None``: never.
    """

    pattern: Annotated[str, Field(pattern=r"^[a-z0-9._-]*(\{(given|family|g|f)\}[a-z0-9._-]*)+$")] = "{given}.{family}"
    max_characters: Annotated[int, Field(ge=6, le=64)] = 40
    reuse_after_days: Annotated[int | None, Field(ge=180)] = None
    transliterate: bool = False
    """Whether a Cyrillic or Greek name is spelt in Latin letters; any other login is made of the worker's marker instead of a guess."""
    rename: Rename = Rename.NEVER


class Sponsors(_Policy):
    """``successors``: who answers for a manager's contractors once the manager has left (address → address)."""

    successors: dict[Email, Email] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _ends_somewhere(self) -> Self:
        for start in self.successors:
            seen, who = {start}, self.successors.get(start)
            while who is not None:
                if who in seen:
                    raise PydanticCustomError(
                        "successors", "the chain of {start} leads in a circle", {"field": "successors", "start": start}
                    )
                seen.add(who)
                who = self.successors.get(who)
        return self

    def of(self, sponsor: str) -> str:
        """Who answers now for what ``sponsor`` answered for."""
        by_name = {name.casefold(): successor for name, successor in self.successors.items()}
        while sponsor.casefold() in by_name:
            sponsor = by_name[sponsor.casefold()]
        return sponsor


class CredentialPolicy(_Policy):
    """How a person gets what they first sign in with: a one-time link to a page at ``page_address``, as the person's browser reaches it.

    ``None``: no link is sent; an administrator hands one over.
    """

    page_address: Annotated[str | None, Field(pattern=r"^https://[^\s/?#@]+(/[^\s?#]*)?$")] = None
    link_valid_hours: Annotated[int, Field(ge=1, le=168)] = 48


class EndingPolicy(_Policy):
    """How endings go. ``undo_needs_two``: whoever asks to take a termination back cannot be who confirms it.

    Directly assigned licences are reclaimed once no hold stands; with ``reclaim_needs_evidence`` a person has to say first where what the
    licence kept (a mailbox, files) went.
    """

    undo_needs_two: bool = True
    reclaim_licences: bool = True
    reclaim_needs_evidence: bool = False


class Drift(StrEnum):
    """What reconciliation finds in a directory."""

    MISSING = "missing"
    EXTRA = "extra"
    CHANGED = "changed"
    ORPHAN = "orphan"
    DORMANT = "dormant"
    TOMBSTONED_ENABLED = "tombstoned_enabled"
    UNEXPECTED_ENABLED = "unexpected_enabled"
    CHANGED_BY_HAND = "changed_by_hand"


class ReconciliationPolicy(_Policy):
    """What reconciliation may mend by itself; everything else waits for a person. What is tombstoned and enabled is always blocked."""

    mend: frozenset[Drift] = frozenset({Drift.MISSING})
    dormant_after_days: Annotated[int, Field(ge=1)] = 45
    recently_ended_days: Annotated[int, Field(ge=1)] = 7
    nightly_at: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "02:00"
    """Local time of the tenant's business calendar."""


class Brake(_Policy):
    """Mass change: more than ``max(at_least, percent of the active)`` per source and hour is held before the first revocation."""

    at_least: Annotated[int, Field(ge=1)] = 5
    percent: Annotated[float, Field(gt=0, le=100)] = 3.0

    def limit(self, active: int) -> float:
        """How many may go within an hour where ``active`` engagements are."""
        return max(float(self.at_least), active * self.percent / 100)


class Unanswered(StrEnum):
    """What becomes of access whose review nobody answers, after it was escalated."""

    ESCALATE = "escalate"
    SUSPEND = "suspend"


class ReviewPolicy(_Policy):
    """Sponsors attest that access is still needed. ``every_days`` ``None``: no reviews.

    Who does not answer is told again ``remind_after_days`` after the message; ``None``: after half of ``answer_within_days``.
    """

    every_days: Annotated[int | None, Field(ge=1)] = None
    answer_within_days: Annotated[int, Field(ge=1)] = 7
    remind_after_days: Annotated[int | None, Field(ge=1)] = None
    escalate_to: Email | None = None
    unanswered: Unanswered = Unanswered.ESCALATE

    @model_validator(mode="after")
    def _reminds_in_time(self) -> Self:
        if self.remind_after_days is not None and self.remind_after_days >= self.answer_within_days:
            raise PydanticCustomError(
                "reminder",
                "must be smaller than answer_within_days ({days}); leave it out for half of that",
                {"field": "remind_after_days", "days": self.answer_within_days},
            )
        return self


class AccessPolicy(_Policy):
    """The ``access`` part of ``tenant.yaml``."""

    logins: LoginPolicy = Field(default_factory=LoginPolicy)
    sponsors: Sponsors = Field(default_factory=Sponsors)
    credentials: CredentialPolicy = Field(default_factory=CredentialPolicy)
    endings: EndingPolicy = Field(default_factory=EndingPolicy)
    reconciliation: ReconciliationPolicy = Field(default_factory=ReconciliationPolicy)
    brake: Brake = Field(default_factory=Brake)
    reviews: ReviewPolicy = Field(default_factory=ReviewPolicy)
