"""A real slapd of one's own: in its own folder, on a free loopback port, as the current user, with StartTLS and the usual overlays."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import ldap
import ldap.dn

from connectors.ldap.client import LdapClient
from connectors.ldap.connection import bound, close
from connectors.ldap.processes import CANNOT_RUN_HERE, free_port, listens
from connectors.ldap.records import MARKER, equals
from connectors.ldap.settings import LdapSettings
from connectors.tls import make_loopback_tls
from workforce.errors import Misconfigured

SUFFIX = "dc=client,dc=example"
SERVICE_DN = f"cn=stint,ou=services,{SUFFIX}"
ROOT_DN = f"cn=root,{SUFFIX}"
_NOBODY = f"cn=nobody,ou=groups,{SUFFIX}"
_SERVICE_PASSWORD = "sandbox-service-account"
_ROOT_PASSWORD = "sandbox-root"
_BINARIES = ("/usr/sbin/slapd", "/usr/local/sbin/slapd", "/usr/local/libexec/slapd", "/usr/libexec/slapd", "/opt/symas/lib/slapd")
_MODULES = ("/usr/lib/ldap", "/usr/lib64/openldap", "/usr/lib/openldap", "/usr/local/libexec/openldap", "/opt/symas/lib/openldap")
_SCHEMAS = ("/etc/ldap/schema", "/etc/openldap/schema", "/usr/local/etc/openldap/schema", "/opt/symas/etc/openldap/schema")
_STARTS = 5

_CONFIGURATION = """
include {schemas}/core.schema
include {schemas}/cosine.schema
include {schemas}/inetorgperson.schema
modulepath {modules}
moduleload back_mdb
moduleload ppolicy
moduleload unique
moduleload memberof
moduleload refint
TLSCACertificateFile {folder}/ca.pem
TLSCertificateFile {folder}/server.pem
TLSCertificateKeyFile {folder}/server.key
security simple_bind=112

database mdb
suffix "{suffix}"
rootdn "{root}"
rootpw {root_password}
directory {folder}/db
maxsize 268435456
dbnosync
index objectClass,uid,employeeNumber,entryUUID,member eq
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
overlay refint
refint_attributes member
refint_nothing "{nobody}"
"""


class SlapdSandbox:
    """A context manager around one slapd process; only that process is ended, by its id.

    Stint's account is an ordinary one under access rules and the password policy, not the rootdn, which would bypass both.
    Raises ``Misconfigured`` where OpenLDAP's server is not installed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._port = self._ldaps_port = 0

    def __enter__(self) -> Self:
        (self._folder / "db").mkdir(parents=True)
        self._tls = make_loopback_tls(self._folder)
        configuration = self._folder / "slapd.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(_configuration(self._folder))
        self.start()
        self._plant()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start slapd, again on the port that it had; returns when it takes connections."""
        for _ in range(_STARTS):
            port, ldaps_port = self._port or free_port(), self._ldaps_port or free_port()
            urls = f"ldap://127.0.0.1:{port}/ ldaps://127.0.0.1:{ldaps_port}/"
            command = [_binary(), "-d", "0", "-h", urls, "-f", str(self._folder / "slapd.conf")]
            self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)  # noqa: S603 - our own arguments only
            if listens(self._process, port):
                self._port, self._ldaps_port = port, ldaps_port
                return
        raise Misconfigured(f"slapd did not start; run it by hand to see why: slapd -d 1 -f {self._folder / 'slapd.conf'}")

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    @property
    def ldaps_url(self) -> str:
        """The same server for those who want TLS from the first byte."""
        return f"ldaps://127.0.0.1:{self._ldaps_port}"

    def settings(self) -> dict[str, Any]:
        """The values of the connector's settings form, secrets as plain text."""
        return {
            "url": f"ldap://127.0.0.1:{self._port}",
            "ca_file": self._tls.ca,
            "bind_dn": SERVICE_DN,
            "bind_password": _SERVICE_PASSWORD,
            "people_base": f"ou=people,{SUFFIX}",
            "groups_base": f"ou=groups,{SUFFIX}",
            "disabled_base": f"ou=disabled,{SUFFIX}",
            "timeout_seconds": 5.0,
            "page_size": 40,
        }

    def add_group(self, cn: str) -> str:
        """Plant a groupOfNames; its DN."""
        dn = f"cn={ldap.dn.escape_dn_chars(cn)},ou=groups,{SUFFIX}"
        self.plant(dn, {"objectClass": ["groupOfNames"], "cn": [cn], "member": [_NOBODY]})
        return dn

    def plant(self, dn: str, attributes: Mapping[str, list[str]]) -> str:
        """Add any entry, as an administrator by hand; its entryUUID."""
        with self._root() as root:
            root.add_s(dn, [(name, [value.encode() for value in values]) for name, values in attributes.items()])
            return str(root.search_s(dn, ldap.SCOPE_BASE, attrlist=["entryUUID"])[0][1]["entryUUID"][0].decode())

    def members(self, group_dn: str) -> set[str]:
        """The DNs in a group's ``member``."""
        with self._root() as root:
            return {value.decode() for value in root.search_s(group_dn, ldap.SCOPE_BASE)[0][1]["member"]}

    def bind_as(self, login: str, password: str) -> bool:
        """Sign in as the contractor would: whether it works."""
        return LdapClient(self._form()).binds(self._dn_of(login), password)

    def set_password(self, login: str, password: str) -> None:
        """Set a password, as the helpdesk would."""
        with self._root() as root:
            root.modify_s(self._dn_of(login), [(ldap.MOD_REPLACE, "userPassword", [password.encode()])])

    def entries(self, marker: str) -> list[dict[str, Any]]:
        """Every entry with ``marker``, all attributes as text, ``dn`` among them: what is really there."""
        with self._root() as root:
            found = root.search_s(SUFFIX, ldap.SCOPE_SUBTREE, equals(MARKER, marker), ["*", "+"])
        return [{"dn": dn, **{k: [v.decode("utf-8", "replace") for v in vs] for k, vs in values.items()}} for dn, values in found]

    def _dn_of(self, login: str) -> str:
        with self._root() as root:
            return str(root.search_s(SUFFIX, ldap.SCOPE_SUBTREE, equals("uid", login), ["1.1"])[0][0])

    def _form(self) -> LdapSettings:
        return LdapSettings(**self.settings())

    @contextmanager
    def _root(self) -> Iterator[Any]:
        connection = bound(self._form(), ROOT_DN, _ROOT_PASSWORD)
        try:
            yield connection
        finally:
            close(connection)

    def _plant(self) -> None:
        self.plant(SUFFIX, {"objectClass": ["dcObject", "organization"], "dc": ["client"], "o": ["Client"]})
        for unit in ("people", "groups", "disabled", "services", "policies"):
            self.plant(f"ou={unit},{SUFFIX}", {"objectClass": ["organizationalUnit"], "ou": [unit]})
        self.plant(_NOBODY, {"objectClass": ["organizationalRole"], "cn": ["nobody"]})
        self.plant(f"cn=default,ou=policies,{SUFFIX}", _POLICY)
        service = {"objectClass": ["organizationalRole", "simpleSecurityObject"], "cn": ["stint"]}
        self.plant(SERVICE_DN, {**service, "userPassword": [_SERVICE_PASSWORD]})


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


def _configuration(folder: Path) -> str:
    return _CONFIGURATION.format(
        schemas=_folder_with("inetorgperson.schema", _SCHEMAS),
        modules=_folder_with("ppolicy.so", _MODULES),
        folder=folder,
        suffix=SUFFIX,
        root=ROOT_DN,
        root_password=_ROOT_PASSWORD,
        service=SERVICE_DN,
        nobody=_NOBODY,
    )


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
    return Misconfigured(
        f"OpenLDAP's server is not installed (searched for {searched}); run: apt-get install slapd ldap-utils",
        cause=CANNOT_RUN_HERE,
    )
