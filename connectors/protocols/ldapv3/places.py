"""What the place of an entry says about it: whether it is ours to write, and whether it should be of our making."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from connectors.protocols.ldapv3.names import DnKey, dn_key, lies_below
from connectors.protocols.ldapv3.settings import LdapV3Settings


@dataclass(frozen=True, slots=True)
class Places:
    """The DNs of the settings in the form that compares. ``managed`` is ``None`` where others live below ``people_base`` too."""

    ours: tuple[DnKey, ...]
    managed: DnKey | None
    listed: frozenset[DnKey]
    bind: DnKey
    server: frozenset[DnKey]

    @classmethod
    def of(cls, settings: LdapV3Settings) -> Self:
        """Those of one directory."""
        return cls(
            ours=tuple(map(dn_key, settings.account_bases)),
            managed=None if settings.people_base_is_shared else dn_key(settings.people_base),
            listed=frozenset(map(dn_key, settings.protected_dns)),
            bind=dn_key(settings.bind_dn),
            server=frozenset(map(dn_key, settings.server_dns)),
        )

    def is_protected(self, dn: DnKey) -> bool:
        """Whether an account is listed as protected, or lies elsewhere than ours may."""
        return dn in self.listed or not any(lies_below(dn, base) for base in self.ours)

    def is_managed(self, dn: DnKey) -> bool:
        """Whether an account lies where all should be of our making, and is neither listed as protected nor our own to bind with."""
        is_inside = self.managed is not None and lies_below(dn, self.managed)
        return is_inside and dn not in self.listed and dn != self.bind

    def is_no_hand(self, dn: DnKey) -> bool:
        """Whether whoever writes under this name is Stint, or the server itself."""
        return dn == self.bind or dn in self.server
