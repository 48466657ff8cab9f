"""Access packages: which role gets which groups in which directory. Versioned documents of a tenant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from workforce.access import Entitlement
from workforce.errors import Refused


class DirectoryGrant(BaseModel):
    """What a package gives in one directory. Groups are ids in the directory's own terms (Entra object ids, LDAP DNs)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    groups: Annotated[frozenset[str], Field(min_length=1)]


class AccessPackage(BaseModel):
    """One package. ``role`` is the canonical role of an engagement; ``directories`` is connector instance → grant."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    package: str
    version: Annotated[int, Field(ge=1)]
    because: str
    role: str
    directories: Annotated[Mapping[str, DirectoryGrant], Field(min_length=1)]

    def entitlement(self, directory: str) -> Entitlement:
        """What the package gives in ``directory``; no groups where it names none."""
        grant = self.directories.get(directory)
        return Entitlement(directory, grant.groups if grant else frozenset())


@dataclass(frozen=True, slots=True)
class AccessCatalogue:
    """The packages of one tenant, found by role (case and surrounding space do not matter)."""

    packages: tuple[AccessPackage, ...]

    @classmethod
    def of(cls, packages: Iterable[AccessPackage]) -> AccessCatalogue:
        """A catalogue of ``packages``."""
        return cls(tuple(packages))

    def for_role(self, role: str) -> AccessPackage:
        """The package of ``role``. Raises ``Refused`` (cause ``unknown_role``) naming the roles that exist."""
        for package in self.packages:
            if package.role.strip().casefold() == role.strip().casefold():
                return package
        known = ", ".join(sorted(p.role for p in self.packages)) or "none"
        raise Refused(
            f"role: no access package for {role!r}; roles with a package: {known}. Correct the role or add a package",
            cause="unknown_role",
            field="role",
        )
