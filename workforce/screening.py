"""Background checks: what is ordered and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class ScreeningOrder:
    """A check to be ordered for one person. ``package`` names the screening in the system's own terms.

    ``marker`` is our identity of this order. The place of work is ``country`` (ISO 3166-1 alpha-2), ``region`` and ``city``, the latter
    two where the country has them.
    """

    marker: str
    given_name: str
    family_name: str
    email: str
    package: str
    country: str
    region: str | None = None
    city: str | None = None


class ScreeningVerdict(StrEnum):
    """What a check means to us. There is no "rejected": adverse action is a legal procedure and a person's decision."""

    PENDING = "pending"
    CLEAR = "clear"
    REVIEW = "review"
    """A person has to look: something was found, disputed, suspended, or nothing came of it."""
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class ScreeningState:
    """An order as its system shows it now. ``status`` and ``result`` are the system's own words; ``version`` orders its versions."""

    order_id: str
    verdict: ScreeningVerdict
    version: str
    status: str
    result: str | None = None
    report_id: str | None = None
    completed_at: datetime | None = None
