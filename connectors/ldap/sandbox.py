"""A real slapd of one's own, as the current user, with StartTLS and the usual overlays."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import ldap
import ldap.dn

from connectors.ldap.dialects.openldap import OpenLdap
from connectors.protocols.ldapv3.servers import DirectoryServer
from connectors.wire.ports import free_port
from workforce.errors import Misconfigured

SUFFIX = DirectoryServer.suffix
_NOBODY = f"cn=nobody,ou=groups,{SUFFIX}"
_BOOKKEEPER = f"cn=memberof,{SUFFIX}"
"""Under which the overlay ``memberof`` writes; otherwise it would be the administrator's name."""
_BINARIES = ("/usr/sbin/slapd", "/usr/local/sbin/slapd", "/usr/local/libexec/slapd", "/usr/libexec/slapd", "/opt/symas/lib/slapd")
_MODULES = ("/usr/lib/ldap", "/usr/lib64/openldap", "/usr/lib/openldap", "/usr/local/libexec/openldap", "/opt/symas/lib/openldap")
_SCHEMAS = ("/etc/ldap/schema", "/etc/openldap/schema", "/usr/local/etc/openldap/schema", "/opt/symas/etc/openldap/schema")
_STARTS = 5


_CONFIGURATION = """
include {schemas}/core.schema
include {schemas}/cosine.schema
include {schemas}/inetorgperson.schema
include {schemas}/nis.schema
include {schemas}/dyngroup.schema
modulepath {modules}
moduleload back_mdb
moduleload ppolicy
moduleload unique
moduleload memberof
moduleload refint
TLSCACertificateFile {tls.ca}
TLSCertificateFile {tls.certificate}
TLSCertificateKeyFile {tls.key}
security simple_bind=112

database mdb
suffix "{suffix}"
rootdn "{root}"
rootpw {root_password}
directory {folder}/db
maxsize 268435456
dbnosync
lastbind on
index objectClass,uid,employeeNumber,entryUUID,mail,member,uniqueMember,memberUid eq
limits dn.exact="{service}" size.soft=50 size.hard=50 size.prtotal=unlimited

access to attrs=userPassword by dn.exact="{service}" =w by self =w by anonymous auth by * none
access to dn.subtree="ou=people,{suffix}" filter="(employeeType=staff)" by dn.exact="{service}" read by * none
access to dn.subtree="ou=people,{suffix}" by dn.exact="{service}" write by * none
access to dn.subtree="ou=disabled,{suffix}" by dn.exact="{service}" write by * none
access to dn.subtree="ou=groups,{suffix}" by dn.exact="{service}" write by * none
access to * by dn.exact="{service}" read by * none

overlay ppolicy
ppolicy_default "cn=default,ou=policies,{suffix}"
ppolicy_hash_cleartext
overlay unique
unique_uri "ldap:///{suffix}?uid?sub"
unique_uri "ldap:///{suffix}?employeeNumber?sub"
unique_uri "ldap:///{suffix}?mail?sub"
overlay memberof
memberof-refint TRUE
memberof-dn "{bookkeeper}"
overlay refint
refint_attributes member
refint_nothing "{nobody}"
"""


class SlapdSandbox(DirectoryServer):
    """OpenLDAP with ``ppolicy``, ``unique``, ``memberof`` and ``refint``.

    Stint's account is an ordinary one under access rules and the password policy, not the rootdn, which would bypass both.
    """

    dialect = OpenLdap()
    root_dn = f"cn=root,{SUFFIX}"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._port = self._ldaps_port = 0

    @property
    def port(self) -> int:
        """That of ``ldap://``."""
        return self._port

    @property
    def ldaps_url(self) -> str:
        """The same server for those who want TLS from the first byte."""
        return f"ldaps://127.0.0.1:{self._ldaps_port}"

    def settings(self) -> dict[str, Any]:
        """With the name under which an overlay writes."""
        return {**super().settings(), "server_dns": [_BOOKKEEPER]}

    def install(self) -> None:
        """Write ``slapd.conf``."""
        (self.folder / "db").mkdir()
        configuration = self.folder / "slapd.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(self._configuration())

    def start(self) -> None:
        """Start slapd, again on the ports that it had."""
        kept = (self._port, self._ldaps_port) if self._port else None
        for _ in range(_STARTS):
            self._port, self._ldaps_port = kept or (free_port(), free_port())
            urls = f"ldap://127.0.0.1:{self._port}/ {self.ldaps_url}/"
            if self.comes_up([_binary(), "-d", "0", "-h", urls, "-f", str(self.folder / "slapd.conf")]):
                return
        raise Misconfigured(f"slapd did not start; run it by hand to see why: slapd -d 1 -f {self.folder / 'slapd.conf'}")

    def fill(self) -> None:
        """The units, a placeholder for empty groups, the password policy and Stint's account."""
        self.plant(SUFFIX, {"objectClass": ["dcObject", "organization"], "dc": ["client"], "o": ["Client"]})
        for unit in (*self.units, "policies"):
            self.plant(self.base(unit), {"objectClass": ["organizationalUnit"], "ou": [unit]})
        self.plant(_NOBODY, {"objectClass": ["organizationalRole"], "cn": ["nobody"]})
        self.plant(f"cn=default,{self.base('policies')}", _POLICY)
        service = {"objectClass": ["organizationalRole", "simpleSecurityObject"], "cn": ["stint"]}
        self.plant(self.service_dn, {**service, "userPassword": [self.service_password]})

    def add_group(self, name: str) -> str:
        """Plant a groupOfNames; its DN."""
        dn = f"cn={ldap.dn.escape_dn_chars(name)},{self.base('groups')}"
        self.plant(dn, {"objectClass": ["groupOfNames"], "cn": [name], "member": [_NOBODY]})
        return dn

    def add_posix_group(self, name: str) -> str:
        """Plant a posixGroup (RFC 2307), which knows its members by their logins; its DN."""
        dn = f"cn={ldap.dn.escape_dn_chars(name)},{self.base('groups')}"
        self.plant(dn, {"objectClass": ["posixGroup"], "cn": [name], "gidNumber": ["10000"]})
        return dn

    def members(self, group_dn: str, attribute: str = "member") -> set[str]:
        """Who is in a group: the values of what lists its members."""
        with self.administrator() as root:
            found = root.search_s(group_dn, ldap.SCOPE_BASE)[0][1]
        return {value.decode() for value in found.get(attribute, ())}

    def _configuration(self) -> str:
        return _CONFIGURATION.format(
            schemas=_folder_with("inetorgperson.schema", _SCHEMAS),
            modules=_folder_with("ppolicy.so", _MODULES),
            tls=self.tls,
            folder=self.folder,
            suffix=SUFFIX,
            root=self.root_dn,
            root_password=self.root_password,
            service=self.service_dn,
            nobody=_NOBODY,
            bookkeeper=_BOOKKEEPER,
        )


_POLICY = {
    "objectClass": ["organizationalRole", "pwdPolicy"],
    "cn": ["default"],
    "pwdAttribute": ["userPassword"],
    "pwdLockout": ["TRUE"],
    "pwdMaxFailure": ["5"],
    "pwdLockoutDuration": ["300"],
    "pwdCheckQuality": ["1"],
    "pwdMinLength": ["12"],
}


def _binary() -> str:
    found = shutil.which("slapd") or next((path for path in _BINARIES if Path(path).exists()), None)
    if found is None:
        raise _not_installed(f"slapd in PATH, {', '.join(_BINARIES)}")
    return found


def _folder_with(file: str, folders: tuple[str, ...]) -> str:
    for folder in folders:
        if (Path(folder) / file).exists():
            return folder
    raise _not_installed(f"{file} in {', '.join(folders)}")


def _not_installed(searched: str) -> Misconfigured:
    return Misconfigured(f"OpenLDAP's server is not installed (searched for {searched}); run: apt-get install slapd ldap-utils")
