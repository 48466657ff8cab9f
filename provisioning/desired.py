"""The access that a person should have in one directory, computed from all of their engagements. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from workforce.access import SIGN_IN, Entitlement


@dataclass(frozen=True, slots=True)
class Support:
    """What one engagement that is not ending supports in one directory: from its start instant until its end instant."""

    engagement_id: UUID
    starts_at: datetime
    ends_at: datetime
    entitlements: frozenset[Entitlement]


@dataclass(frozen=True, slots=True)
class DesiredAccess:
    """What the account should hold. ``expires_at`` is the latest end; ``None``: no engagement supports anything here."""

    entitlements: frozenset[Entitlement]
    expires_at: datetime | None

    @property
    def enabled(self) -> bool:
        """Whether sign-in should work now."""
        return SIGN_IN in self.entitlements


def desired_access(supports: Iterable[Support], *, now: datetime) -> DesiredAccess:
    """The union of what is supported. Sign-in works once one engagement with access here has started; the rest is there before.

    Support that has ended counts for nothing, whether its ending has begun or not.
    """
    standing = [support for support in supports if now < support.ends_at and support.entitlements]
    held = frozenset(each for support in standing for each in support.entitlements if each != SIGN_IN or support.starts_at <= now)
    return DesiredAccess(held, max((support.ends_at for support in standing), default=None))
