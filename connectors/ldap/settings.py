"""The settings form of an LDAP directory."""

from __future__ import annotations

from enum import StrEnum
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Self, TypeAlias
from unicodedata import normalize

import ldap.dn
from pydantic import AfterValidator, Field, SecretStr, model_validator

from connectors.contract import ConnectorSettings


class Dialect(StrEnum):
    """How a server blocks, expires and locks accounts. Only what is implemented stands here."""

    OPENLDAP = "openldap"
    """OpenLDAP 2.5 or later with the overlay ``ppolicy``."""
    DS389 = "389ds"
    """389 Directory Server, also as Red Hat Directory Server and in FreeIPA."""
    ACTIVE_DIRECTORY = "active_directory"
    """Active Directory; ``url`` names one domain controller, from which everything is read back."""


def is_dn(text: str) -> bool:
    """Whether ``text`` is a distinguished name (RFC 4514), and not the empty one."""
    try:
        return bool(text) and "\0" not in text and bool(ldap.dn.is_dn(text))
    except UnicodeEncodeError:
        return False


def _dn(text: str) -> str:
    if not is_dn(text):
        raise ValueError("not a distinguished name (RFC 4514), such as ou=people,dc=client,dc=example")
    return text


Dn = Annotated[str, AfterValidator(_dn)]
DnKey: TypeAlias = tuple[tuple[tuple[str, str], ...], ...]


def dn_key(dn: str) -> DnKey:
    """A DN in a form that compares: its parts from the leaf up; case, space and how a letter is composed ignored (RFC 4518 §2).

    What a server shows and libldap cannot read is ``()``, and so lies nowhere.
    """
    try:
        return tuple(tuple(sorted((_folded(a), _folded(v)) for a, v, _ in rdn)) for rdn in ldap.dn.str2dn(dn))
    except ldap.DECODING_ERROR:
        return ()


def _folded(text: str) -> str:
    return " ".join(normalize("NFKC", normalize("NFKC", text).casefold()).split())


def is_below(dn: str, base: str) -> bool:
    """Whether ``dn`` is an entry strictly below ``base``."""
    inner, outer = dn_key(dn), dn_key(base)
    return len(inner) > len(outer) and inner[-len(outer) :] == outer


class LdapSettings(ConnectorSettings):
    """Where the directory is, who we are there, and where people, groups and disabled accounts live.

    ``url`` is ``ldap://host[:port]`` (StartTLS is then mandatory) or ``ldaps://host[:port]``. The certificate is always verified, against
    ``ca_file`` (PEM) or else the system's store. Give the host by its certificate's name or by address: libldap checks ``localhost``
    against the machine's own name. ``disabled_base`` ``None`` means that ended accounts stay where they are.
    """

    url: Annotated[str, Field(pattern=r"^ldaps?://[A-Za-z0-9.\-\[\]:]+/?$")]
    bind_dn: Dn
    bind_password: Annotated[SecretStr, Field(min_length=1)]
    people_base: Dn
    groups_base: Dn
    disabled_base: Dn | None = None
    dialect: Dialect = Dialect.OPENLDAP
    protected_dns: frozenset[Dn] = frozenset()
    """Accounts that automation never touches: emergency administrators, service accounts."""
    ca_file: Path | None = None
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 10.0
    """How long one operation may take to answer."""
    network_timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 5.0
    """How long connecting may take."""
    page_size: Annotated[int, Field(ge=1, le=1000)] = 500
    max_connections: Annotated[int, Field(ge=1, le=64)] = 8

    @model_validator(mode="after")
    def _one_tree(self) -> Self:
        if not self.suffix:
            raise ValueError("people_base, groups_base and disabled_base must lie in one tree, such as dc=client,dc=example")
        return self

    @property
    def account_bases(self) -> tuple[str, ...]:
        """Where our accounts may live."""
        return (self.people_base,) if self.disabled_base is None else (self.people_base, self.disabled_base)

    @property
    def suffix(self) -> str:
        """The part of the tree that all bases share. Accounts are looked up here, so that a namesake elsewhere is seen."""
        upwards = [ldap.dn.str2dn(base)[::-1] for base in (*self.account_bases, self.groups_base)]
        keys = [dn_key(base)[::-1] for base in (*self.account_bases, self.groups_base)]
        shared = sum(1 for _ in takewhile(lambda parts: len(set(parts)) == 1, zip(*keys, strict=False)))
        return str(ldap.dn.dn2str(upwards[0][:shared][::-1]))
