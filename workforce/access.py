"""Access in directories: what an account should be, what it is, and what a role is entitled to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class DesiredAccount:
    """An account as it should be in one directory.

    ``login`` is the directory's sign-in name (Entra: userPrincipalName; LDAP: uid). ``attributes`` are the remaining
    fields in the directory's own names, from the mapping. ``groups`` are group ids in the directory's own terms (Entra:
    object ids; LDAP: DNs). ``expires_at`` is the end instant, written natively where the directory can.
    """

    marker: str
    login: str
    attributes: Mapping[str, object]
    groups: frozenset[str]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class AccountState:
    """An account as a directory shows it now. ``account_id`` is the immutable id (Graph id, entryUUID, objectGUID)."""

    account_id: str
    login: str
    marker: str | None
    enabled: bool
    groups: frozenset[str] = frozenset()
    expires_at: datetime | None = None
    sessions_valid_from: datetime | None = None
    keeps_expiry: bool = field(default=True)
    """Whether the directory can hold an expiry at all; where it cannot, the end instant is enforced by the leaver alone."""
    protected: bool = field(default=False)
    """A break-glass, admin-role or non-contractor account: never touched, refuse and raise an alarm."""
    attributes: Mapping[str, object] | None = field(default=None, repr=False, hash=False)
    """What the directory holds of the fields that a mapping may set, in its own words and nested as the mapping's targets are.

    ``None``: they were not read. A field that holds nothing is ``None``; one that could not be read is left out. These are personal data.
    """


@dataclass(frozen=True, slots=True)
class AccountPage:
    """Some accounts of a directory, the ids of those that are gone, and the cursor to continue from.

    While ``complete`` is false the cursor leads to the next page; afterwards to what changes from then on.
    """

    accounts: Sequence[AccountState]
    cursor: str
    complete: bool = True
    gone: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Entitlement:
    """What one access package gives in one directory (named by its connector instance)."""

    directory: str
    groups: frozenset[str]
