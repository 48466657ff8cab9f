"""Access packages: what a role gets, at which client and where. Versioned documents of a tenant; a version never changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from workforce.access import SIGN_IN, Entitlement, EntitlementKind
from workforce.engagement import Email, EngagementTerms, Text
from workforce.errors import Misconfigured, Refused

Ids = frozenset[Text]


class DirectoryGrant(BaseModel):
    """What a package gives in one directory, besides the account itself. Ids are in the directory's own terms (see ``Entitlement``)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    groups: Ids = frozenset()
    licences: Ids = frozenset()
    app_roles: Ids = frozenset()
    guest: bool = False
    """Whether the person is invited as a guest, who signs in at home, instead of getting an account of the company's own."""

    def entitlements(self) -> frozenset[Entitlement]:
        """Everything, the sign-in included."""
        kinds = (
            (EntitlementKind.GROUP, self.groups),
            (EntitlementKind.LICENCE, self.licences),
            (EntitlementKind.APP_ROLE, self.app_roles),
        )
        return frozenset({SIGN_IN, *(Entitlement(kind, each) for kind, ids in kinds for each in ids)})


class AccessPackage(BaseModel):
    """One version of one package.

    It is for engagements of ``role``; ``client_units`` and ``locations`` narrow it, and stand for all where they are empty (case and
    surrounding space do not matter). ``directories`` is connector instance → grant. It counts for engagements that start on
    ``effective_from`` or later. Where there are ``approvers``, one of them has to approve it for each engagement before anything of it is
    given; a ``sensitive`` one needs them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    package: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    version: Annotated[int, Field(ge=1)]
    because: Text
    role: Text
    client_units: tuple[Text, ...] = ()
    locations: tuple[Text, ...] = ()
    effective_from: date = date.min
    directories: Annotated[Mapping[str, DirectoryGrant], Field(min_length=1)]
    approvers: tuple[Email, ...] = ()
    sensitive: bool = False

    @model_validator(mode="after")
    def _sensitive_is_approved(self) -> Self:
        if self.sensitive and not self.approvers:
            raise PydanticCustomError("approvers", "a sensitive package needs approvers", {"field": "approvers"})
        return self

    def fits(self, terms: EngagementTerms) -> bool:
        """Whether the package is for an engagement on these terms."""
        return (
            _same(self.role, terms.role)
            and (not self.client_units or any(_same(unit, terms.client_unit) for unit in self.client_units))
            and (not self.locations or any(_same(place, terms.location) for place in self.locations))
        )

    def makes_guest(self, directory: str) -> bool:
        """Whether the person is a guest in ``directory``."""
        return directory in self.directories and self.directories[directory].guest

    def entitlements(self, directory: str) -> frozenset[Entitlement]:
        """What the package gives in ``directory``; nothing where it does not name it."""
        grant = self.directories.get(directory)
        return grant.entitlements() if grant else frozenset()


@dataclass(frozen=True, slots=True)
class AccessCatalogue:
    """Every version of the packages of one tenant."""

    packages: tuple[AccessPackage, ...]

    @classmethod
    def of(cls, packages: Iterable[AccessPackage]) -> AccessCatalogue:
        """A catalogue of ``packages``, in any order."""
        return cls(tuple(sorted(packages, key=lambda package: (package.package, package.version))))

    def for_terms(self, terms: EngagementTerms, pins: Mapping[str, int] | None = None) -> tuple[AccessPackage, ...]:
        """The packages of an engagement, each in the version it is pinned to (package → version), else in the newest that counts.

        Raises ``Refused`` (cause ``unknown_role``) naming the roles that exist, where there is none; ``Misconfigured`` (cause
        ``package_version_missing``) where a pinned version is not there any more: nothing is taken away because a file was lost.
        """
        pinned = dict(pins or {})
        missing = sorted(set(pinned.items()) - {(package.package, package.version) for package in self.packages})
        if missing:
            told = ", ".join(f"{name} version {version}" for name, version in missing)
            text = f"access: {told} is not configured any more; put it back, or migrate to another: stint access migrate"
            raise Misconfigured(text, cause="package_version_missing", field="access")
        chosen: dict[str, AccessPackage] = {}
        for package in self.packages:
            counts = package.effective_from <= terms.starts_on
            if package.version == pinned[package.package] if package.package in pinned else counts:
                chosen[package.package] = package
        found = tuple(package for package in chosen.values() if package.fits(terms))
        if not found:
            known = ", ".join(sorted({package.role for package in self.packages})) or "none"
            raise Refused(
                f"role: no access package for {terms.role!r} of {terms.client_unit!r} in {terms.location!r}; roles with a package: {known}."
                " Correct the role or add a package",
                cause="unknown_role",
                field="role",
            )
        return found


def _same(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()
