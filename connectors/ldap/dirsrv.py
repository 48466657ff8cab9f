"""A real 389 Directory Server of one's own, as the current user, with StartTLS.

Debian's package ``389-ds-base`` has what it needs. The instance is made from the server's own template, because its installer insists on
the machine's folders.
"""

from __future__ import annotations

import base64
import getpass
import hashlib
import re
import shutil
from pathlib import Path
from typing import Any

import ldap.dn
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key, pkcs12

from connectors.ldap.dialects.ds389 import Ds389
from connectors.protocols.ldapv3.entries import MARKER
from connectors.protocols.ldapv3.servers import DirectoryServer, installed, not_installed, run
from connectors.wire.ports import free_port
from connectors.wire.tls import TlsFiles
from workforce.errors import Misconfigured

SUFFIX = DirectoryServer.suffix
_ROOT_DN = "cn=Directory Manager"
_PACKAGE = "389-ds-base"
_STARTS = 5
_TEMPLATE = Path("/usr/share/dirsrv/data/template-dse.ldif")
_KERBEROS_SCHEMA = Path("/usr/share/dirsrv/data/60kerberos.ldif")
_ETC = Path("/etc/dirsrv")
_FOLDERS = ("etc", "db", "bak", "ldif", "lock", "run", "log", "inst", "tmp")
_PLUGINS = "cn=plugins,cn=config"
_UNIQUE = ("uid", MARKER, "mail")
_EXPIRY = {
    "stateattrname": "krbPrincipalExpiration",
    "altstateattrname": "1.1",
    "specattrname": "acctPolicySubentry",
    "limitattrname": "accountInactivityLimit",
    "accountInactivityLimit": "1",
}


class DirsrvSandbox(DirectoryServer):
    """389 Directory Server with attribute uniqueness, referential integrity and the expiry by the Account Policy Plugin.

    Stint's account is an ordinary one under access rules.
    """

    dialect = Ds389()
    root_dn = _ROOT_DN
    shown = ("*", "+", "nsAccountLock")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._port = 0

    @property
    def port(self) -> int:
        """That of ``ldap://``."""
        return self._port

    def settings(self) -> dict[str, Any]:
        """The values of the connector's settings form, secrets as plain text."""
        return {**super().settings(), "dialect": "389ds"}

    def install(self) -> None:
        """Schemas, settings and the certificate."""
        for needed in (_TEMPLATE, _KERBEROS_SCHEMA, _ETC / "schema"):
            if not needed.exists():
                raise not_installed(str(needed), _PACKAGE)
        for name in _FOLDERS:
            (self.folder / name).mkdir()
        etc = self.folder / "etc"
        shutil.copytree(_ETC / "schema", etc / "schema")
        shutil.copy(_KERBEROS_SCHEMA, etc / "schema")
        for name in ("slapd-collations.conf", "certmap.conf"):
            shutil.copy(_ETC / "config" / name, etc)
        _install_certificate(etc, self.tls)

    def start(self) -> None:
        """Start ns-slapd."""
        etc = self.folder / "etc"
        for _ in range(_STARTS):
            self._port = free_port()
            (etc / "dse.ldif").write_text(_configuration(self.folder, self._port, _hashed(self.root_password)))
            pid = str(self.folder / "run" / "pid")
            if self.comes_up([installed("ns-slapd", _PACKAGE), "-D", str(etc), "-i", pid, "-d", "0"]):
                return
        raise Misconfigured(f"ns-slapd did not start; its log is {self.folder / 'log' / 'errors'}")

    def fill(self) -> None:
        """A database for the suffix, the units and Stint's account with its rights."""
        backend = {"objectClass": ["extensibleObject", "nsBackendInstance"], "cn": ["userRoot"], "nsslapd-suffix": [SUFFIX]}
        self.plant(f"cn=userRoot,cn=ldbm database,{_PLUGINS}", backend)
        tree = {
            "objectClass": ["extensibleObject", "nsMappingTree"],
            "nsslapd-state": ["backend"],
            "nsslapd-backend": ["userRoot"],
        }
        self.plant(f'cn="{SUFFIX}",cn=mapping tree,cn=config', {**tree, "cn": [SUFFIX]})
        rule = f'(targetattr="*")(version 3.0; acl "stint"; allow (all) userdn="ldap:///{self.service_dn}";)'
        self.plant(SUFFIX, {"objectClass": ["domain"], "dc": ["client"], "aci": [rule]})
        for unit in self.units:
            self.plant(self.base(unit), {"objectClass": ["organizationalUnit"], "ou": [unit]})
        service = {"objectClass": ["organizationalRole", "simpleSecurityObject"], "cn": ["stint"]}
        self.plant(self.service_dn, {**service, "userPassword": [self.service_password]})

    def add_group(self, name: str) -> str:
        """Plant a groupOfNames; its DN."""
        dn = f"cn={ldap.dn.escape_dn_chars(name)},{self.base('groups')}"
        self.plant(dn, {"objectClass": ["groupOfNames"], "cn": [name]})
        return dn


def _configuration(folder: Path, port: int, root_password: str) -> str:
    """The server's template, filled in, with TLS and the plugins that the directory relies on."""
    values = {
        **{f"{name}_dir": folder / name for name in ("bak", "ldif", "lock", "run", "log", "inst", "tmp", "db")},
        **dict.fromkeys(("cert_dir", "config_dir"), folder / "etc"),
        "db_home_dir": folder / "db", "schema_dir": folder / "etc" / "schema", "db_lib": "bdb",
        "fqdn": "localhost", "ds_port": port, "ds_user": getpass.getuser(), "ds_suffix": SUFFIX,
        "rootdn": _ROOT_DN, "ds_passwd": root_password,
        "ldapi_enabled": "off", "ldapi": folder / "run" / "ldapi", "ldapi_autobind": "off",
    }  # fmt: skip
    text = re.sub(r"%([a-z_]+)%", lambda place: str(values[place.group(1)]), _TEMPLATE.read_text())
    text = text.replace("nsslapd-schemadir:", f"{_network(free_port())}\nnsslapd-schemadir:", 1)
    text = _switched_on(text, "referential integrity postoperation")
    text = _switched_on(text, "Account Policy Plugin")
    text = text.replace("alwaysrecordlogin: no", "\n".join(["alwaysrecordlogin: no", *(f"{k}: {v}" for k, v in _EXPIRY.items())]))
    return text.rstrip() + "\n\n" + "\n\n".join(map(_uniqueness, _UNIQUE)) + "\n"


def _network(secure_port: int) -> str:
    return (
        f"nsslapd-listenhost: 127.0.0.1\nnsslapd-securelistenhost: 127.0.0.1\nnsslapd-security: on\nnsslapd-secureport: {secure_port}\n"
        "nsslapd-require-secure-binds: on\nnsslapd-accesslog-logging-enabled: off"
    )


def _switched_on(text: str, plugin: str) -> str:
    start = text.index(f"dn: cn={plugin},{_PLUGINS}")
    stop = text.index("\n\n", start)
    return text[:start] + re.sub(r"(?i)(pluginenabled): off", r"\1: on", text[start:stop]) + text[stop:]


def _uniqueness(attribute: str) -> str:
    return (
        f"dn: cn={attribute} is unique,{_PLUGINS}\nobjectClass: top\nobjectClass: nsSlapdPlugin\nobjectClass: extensibleObject\n"
        f"cn: {attribute} is unique\nnsslapd-pluginPath: libattr-unique-plugin\nnsslapd-pluginInitfunc: NSUniqueAttr_Init\n"
        "nsslapd-pluginType: betxnpreoperation\nnsslapd-pluginEnabled: on\nnsslapd-plugin-depends-on-type: database\n"
        f"nsslapd-pluginId: {attribute} is unique\nuniqueness-attribute-name: {attribute}\nuniqueness-subtrees: {SUFFIX}"
    )


def _hashed(password: str) -> str:
    """The server takes no clear text in its configuration (RFC 2307's {SSHA} is enough for a root that lives as long as a test)."""
    salt = b"sandbox!"
    digest = hashlib.sha1(password.encode() + salt).digest()  # noqa: S324 - the scheme's own
    return "{SSHA}" + base64.b64encode(digest + salt).decode()


def _install_certificate(database: Path, tls: TlsFiles) -> None:
    """Put the server's certificate into an NSS database without a password, as the server wants it."""
    key = load_pem_private_key(tls.key.read_bytes(), None)
    assert isinstance(key, EllipticCurvePrivateKey)  # noqa: S101 - make_loopback_tls makes no other
    certificate, authority = (x509.load_pem_x509_certificate(file.read_bytes()) for file in (tls.certificate, tls.ca))
    bundle = database / "server.p12"
    bundle.touch(mode=0o600)
    bundle.write_bytes(
        pkcs12.serialize_key_and_certificates(
            b"Server-Cert",
            key,
            certificate,
            [authority],
            BestAvailableEncryption(b"sandbox"),
        )
    )
    run([installed("certutil", _PACKAGE), "-N", "-d", str(database), "--empty-password"])
    run([installed("pk12util", _PACKAGE), "-i", str(bundle), "-d", str(database), "-W", "sandbox", "-K", ""])
