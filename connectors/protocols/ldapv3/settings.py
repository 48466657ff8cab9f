"""What the settings form of every directory server holds: where it is, who we are there, and where people and groups live."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator

from connectors.contract import ConnectorSettings
from connectors.protocols.ldapv3.names import Dn, shared_base


class LdapV3Settings(ConnectorSettings):
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
    protected_dns: frozenset[Dn] = frozenset()
    """Accounts that automation never touches: emergency administrators, service accounts."""
    people_base_is_shared: bool = False
    """Whether accounts of others live below ``people_base`` too. Otherwise one without our marker there is found by reconciliation."""
    server_dns: frozenset[Dn] = frozenset()
    """Names under which the server itself writes, such as ``memberof-dn`` of OpenLDAP's overlay: their changes are nobody's hand."""
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
        return shared_base((*self.account_bases, self.groups_base))
