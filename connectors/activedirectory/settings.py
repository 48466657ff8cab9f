"""The settings form of an Active Directory domain."""

from __future__ import annotations

from connectors.protocols.ldapv3.settings import LdapV3Settings


class ActiveDirectorySettings(LdapV3Settings):
    """Where the domain controller is, who we are there, and where people, groups and disabled accounts live.

    ``url`` is ``ldap://host[:port]`` (StartTLS is then mandatory) or ``ldaps://host[:port]``. It names one domain controller, from which
    everything is read back, and not the domain, whose name leads to any of them. The certificate is always verified, against ``ca_file``
    (PEM) or else the system's store. ``bind_dn`` is an ordinary user to whom the three parts of the tree are delegated.
    ``disabled_base`` ``None`` means that ended accounts stay where they are.
    """
