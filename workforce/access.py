"""Access in directories: what an account should be, what it is, and what a role is entitled to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pydantic import SecretStr


class EntitlementKind(StrEnum):
    """What can be held in a directory."""

    SIGN_IN = "sign_in"
    GROUP = "group"
    LICENCE = "licence"
    APP_ROLE = "app_role"


@dataclass(frozen=True, slots=True, order=True)
class Entitlement:
    """One thing that an account may hold. ``id`` is in the directory's own terms, and empty for the sign-in itself.

    Entra: a group's object id; a licence's skuId; ``<service principal's object id>/<appRoleId>``. LDAP: a group's DN.
    """

    kind: EntitlementKind
    id: str = ""

    def __str__(self) -> str:
        """``group 1111-2222``."""
        return f"{self.kind} {self.id}".strip()


SIGN_IN = Entitlement(EntitlementKind.SIGN_IN)


def ids_of(entitlements: Iterable[Entitlement], kind: EntitlementKind) -> frozenset[str]:
    """The ids of those of one kind."""
    return frozenset(each.id for each in entitlements if each.kind is kind)


@dataclass(frozen=True, slots=True)
class DesiredAccount:
    """An account as it should be in one directory.

    ``login`` is the directory's sign-in name (Entra: userPrincipalName; LDAP: uid). ``attributes`` are the remaining
    fields in the directory's own names, from the mapping. ``groups``, ``licences`` and ``app_roles`` are ids in the directory's own
    terms (see ``Entitlement``). ``expires_at`` is the end instant, written natively where the directory can. One that is not ``enabled``
    is made before the start, so that it is there at the start instant. A ``guest`` signs in with ``invite_to``, the person's own address,
    at home; only some directories have guests. ``manager`` is the sponsor's address.
    """

    marker: str
    login: str
    attributes: Mapping[str, object]
    groups: frozenset[str]
    expires_at: datetime
    licences: frozenset[str] = frozenset()
    app_roles: frozenset[str] = frozenset()
    enabled: bool = True
    guest: bool = False
    invite_to: str | None = field(default=None, repr=False)
    manager: str | None = field(default=None, repr=False)

    @property
    def entitlements(self) -> frozenset[Entitlement]:
        """Everything that the account should hold."""
        return _entitlements(self.enabled, self.groups, self.licences, self.app_roles)


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
    managed: bool = field(default=False)
    """It lies where every account should be of our making, and is not listed as one to be left alone there."""
    attributes: Mapping[str, object] | None = field(default=None, repr=False, hash=False)
    """What the directory holds of the fields that a mapping may set, in its own words and nested as the mapping's targets are.

    ``None``: they were not read. A field that holds nothing is ``None``; one that could not be read is left out. These are personal data.
    """
    licences: frozenset[str] = frozenset()
    """Licences that the account holds directly. One that comes through a group cannot be taken from the account alone."""
    inherited_licences: frozenset[str] = frozenset()
    app_roles: frozenset[str] = frozenset()
    guest: bool = False
    synced: bool = False
    """Made by another directory, of which this one is a copy: it is disabled there and verified here."""
    last_sign_in: datetime | None = None
    """``None`` where the directory does not tell, or nobody ever signed in."""

    @property
    def entitlements(self) -> frozenset[Entitlement]:
        """Everything that the account holds, as far as it was read."""
        return _entitlements(self.enabled, self.groups, self.licences | self.inherited_licences, self.app_roles)


def _entitlements(
    enabled: bool, groups: frozenset[str], licences: frozenset[str], app_roles: frozenset[str]
) -> frozenset[Entitlement]:
    held = {EntitlementKind.GROUP: groups, EntitlementKind.LICENCE: licences, EntitlementKind.APP_ROLE: app_roles}
    found = {Entitlement(kind, each) for kind, ids in held.items() for each in ids}
    return frozenset(found | ({SIGN_IN} if enabled else set()))


@dataclass(frozen=True, slots=True)
class Seats:
    """How many of one licence the company has bought, and how many are taken."""

    total: int
    taken: int

    @property
    def free(self) -> int:
        """How many may still be given."""
        return max(0, self.total - self.taken)


class CredentialKind(StrEnum):
    """What a person signs in with for the first time."""

    PASSWORD = "password"  # noqa: S105 - the word, not one
    TEMPORARY_ACCESS_PASS = "temporary_access_pass"  # noqa: S105
    ACTIVATION_LINK = "activation_link"


@dataclass(frozen=True, slots=True)
class FirstCredential:
    """A credential that was just made for a person. It is delivered to them and never stored or logged."""

    kind: CredentialKind
    secret: SecretStr
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class LastChange:
    """When an account was changed last, and who did it in the directory's own words; ``None``: it tells no name."""

    by: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class AccountPage:
    """Some accounts of a directory, the ids of those that are gone, and the cursor to continue from.

    While ``complete`` is false the cursor leads to the next page; afterwards to what changes from then on.
    """

    accounts: Sequence[AccountState]
    cursor: str
    complete: bool = True
    gone: Sequence[str] = ()
