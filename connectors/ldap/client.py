"""The wire to one OpenLDAP or 389 Directory Server."""

from __future__ import annotations

import ldap

from connectors.contract import ALONE, Surroundings
from connectors.ldap.dialects import dialect_of
from connectors.ldap.settings import LdapSettings
from connectors.protocols.ldapv3.client import LdapV3Client
from connectors.protocols.ldapv3.groups import Group
from workforce.errors import Refused


class LdapClient(LdapV3Client):
    """LDAP v3 in the dialect of the settings, with groups that keep a member."""

    def __init__(self, settings: LdapSettings, around: Surroundings = ALONE) -> None:
        del around  # a directory lies inside by nature, and libldap resolves names itself
        super().__init__(settings, dialect_of(settings.dialect, settings.alias_attribute))

    def remove_member(self, group: Group, member: str) -> None:
        """A groupOfNames keeps a member (RFC 4519 §3.5), and so does a groupOfUniqueNames: ``cn=nobody`` takes the place of the last."""
        try:
            super().remove_member(group, member)
        except Refused as error:
            if error.cause != "object_class_violation":
                raise
            nobody = f"cn=nobody,{self.settings.groups_base}"
            name = group.attribute
            changes = [(ldap.MOD_ADD, name, [nobody.encode()]), (ldap.MOD_DELETE, name, [member.encode()])]
            self.modify(group.dn, changes, done_already=self.dialect.is_no_member)
