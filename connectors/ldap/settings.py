"""The settings form of an LDAP directory."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from connectors.protocols.ldapv3.settings import LdapV3Settings


class Dialect(StrEnum):
    """How a server blocks, expires and locks accounts. Only what is implemented stands here."""

    OPENLDAP = "openldap"
    """OpenLDAP 2.5 or later with the overlay ``ppolicy``."""
    DS389 = "389ds"
    """389 Directory Server, also as Red Hat Directory Server and in FreeIPA."""


class LdapSettings(LdapV3Settings):
    """Where the directory is, who we are there, and where people, groups and disabled accounts live.

    ``url`` is ``ldap://host[:port]`` (StartTLS is then mandatory) or ``ldaps://host[:port]``. The certificate is always verified, against
    ``ca_file`` (PEM) or else the system's store. Give the host by its certificate's name or by address: libldap checks ``localhost``
    against the machine's own name. ``disabled_base`` ``None`` means that ended accounts stay where they are.
    """

    dialect: Dialect = Dialect.OPENLDAP
    alias_attribute: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]*$")] | None = None
    """Where the old login stays after a rename. ``None``: as a further value of ``uid``, after the login."""
