"""A real 389 Directory Server of one's own: in its own folder, on free loopback ports, as the current user, with StartTLS.

Debian's package ``389-ds-base`` has what it needs. The instance is made from the server's own template, because its installer insists on
the machine's folders.
"""

from __future__ import annotations

import base64
import getpass
import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import ldap
import ldap.dn
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key, pkcs12

from connectors.ldap.client import LdapClient
from connectors.ldap.connection import bound, close
from connectors.ldap.dialects.dialect import random_password
from connectors.ldap.processes import CANNOT_RUN_HERE, end, free_port, listens
from connectors.ldap.records import MARKER, equals
from connectors.ldap.settings import LdapSettings
from connectors.tls import TlsFiles, make_loopback_tls
from workforce.errors import Misconfigured

SUFFIX = "dc=client,dc=example"
SERVICE_DN = f"cn=stint,ou=services,{SUFFIX}"
ROOT_DN = "cn=Directory Manager"
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


class DirsrvSandbox:
    """A context manager around one ns-slapd process; only that process is ended, by its id.

    Attribute uniqueness, referential integrity and the expiry by the Account Policy Plugin are on. Stint's account is an ordinary one
    under access rules. Raises ``Misconfigured`` where the server is not installed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._service_password, self._root_password = random_password(), random_password()
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def __enter__(self) -> Self:
        for name in _FOLDERS:
            (self._folder / name).mkdir(parents=True)
        self._tls = make_loopback_tls(self._folder / "tls")
        self._install()
        self._start()
        self._plant()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process is not None:
            end(self._process)

    def settings(self) -> dict[str, Any]:
        """The values of the connector's settings form, secrets as plain text."""
        return {
            "url": f"ldap://127.0.0.1:{self._port}",
            "dialect": "389ds",
            "ca_file": self._tls.ca,
            "bind_dn": SERVICE_DN,
            "bind_password": self._service_password,
            "people_base": f"ou=people,{SUFFIX}",
            "groups_base": f"ou=groups,{SUFFIX}",
            "disabled_base": f"ou=disabled,{SUFFIX}",
            "timeout_seconds": 5.0,
            "page_size": 40,
        }

    def add_group(self, cn: str) -> str:
        """Plant a groupOfNames; its DN."""
        dn = f"cn={ldap.dn.escape_dn_chars(cn)},ou=groups,{SUFFIX}"
        self.plant(dn, {"objectClass": ["groupOfNames"], "cn": [cn]})
        return dn

    def plant(self, dn: str, attributes: Mapping[str, list[str]]) -> str:
        """Add any entry, as an administrator by hand; its nsUniqueId."""
        with self._root() as root:
            _add(root, dn, attributes)
            return str(root.search_s(dn, ldap.SCOPE_BASE, attrlist=["nsUniqueId"])[0][1]["nsUniqueId"][0].decode())

    def bind_as(self, dn: str, password: str) -> bool:
        """Sign in as the contractor would: whether it works."""
        return LdapClient(LdapSettings(**self.settings())).binds(dn, password)

    def set_password(self, dn: str, password: str) -> None:
        """Set a password, as the helpdesk would."""
        with self._root() as root:
            root.modify_s(dn, [(ldap.MOD_REPLACE, "userPassword", [password.encode()])])

    def entries(self, marker: str) -> list[dict[str, Any]]:
        """Every entry with ``marker``, all attributes as text, ``dn`` among them: what is really there."""
        with self._root() as root:
            found = root.search_s(SUFFIX, ldap.SCOPE_SUBTREE, equals(MARKER, marker), ["*", "+", "nsAccountLock"])
        return [{"dn": dn, **{k: [v.decode("utf-8", "replace") for v in vs] for k, vs in values.items()}} for dn, values in found]

    @contextmanager
    def _root(self) -> Iterator[Any]:
        connection = bound(LdapSettings(**self.settings()), ROOT_DN, self._root_password)
        try:
            yield connection
        finally:
            close(connection)

    def _install(self) -> None:
        etc = self._folder / "etc"
        for needed in (_TEMPLATE, _KERBEROS_SCHEMA, _ETC / "schema"):
            if not needed.exists():
                raise _not_installed(str(needed))
        shutil.copytree(_ETC / "schema", etc / "schema")
        shutil.copy(_KERBEROS_SCHEMA, etc / "schema")
        for name in ("slapd-collations.conf", "certmap.conf"):
            shutil.copy(_ETC / "config" / name, etc)
        _install_certificate(etc, self._tls)

    def _start(self) -> None:
        etc = self._folder / "etc"
        for _ in range(_STARTS):
            port = free_port()
            (etc / "dse.ldif").write_text(_configuration(self._folder, port, _hashed(self._root_password)))
            command = [_installed("ns-slapd"), "-D", str(etc), "-i", str(self._folder / "run" / "pid"), "-d", "0"]
            self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)  # noqa: S603 - our own arguments only
            if listens(self._process, port):
                self._port = port
                return
        raise Misconfigured(f"ns-slapd did not start; its log is {self._folder / 'log' / 'errors'}")

    def _plant(self) -> None:
        with self._root() as root:
            backend = {"objectClass": ["extensibleObject", "nsBackendInstance"], "cn": ["userRoot"], "nsslapd-suffix": [SUFFIX]}
            _add(root, f"cn=userRoot,cn=ldbm database,{_PLUGINS}", backend)
            tree = {
                "objectClass": ["extensibleObject", "nsMappingTree"],
                "nsslapd-state": ["backend"],
                "nsslapd-backend": ["userRoot"],
            }
            _add(root, f'cn="{SUFFIX}",cn=mapping tree,cn=config', {**tree, "cn": [SUFFIX]})
            rule = f'(targetattr="*")(version 3.0; acl "stint"; allow (all) userdn="ldap:///{SERVICE_DN}";)'
            _add(root, SUFFIX, {"objectClass": ["domain"], "dc": ["client"], "aci": [rule]})
            for unit in ("people", "groups", "disabled", "services"):
                _add(root, f"ou={unit},{SUFFIX}", {"objectClass": ["organizationalUnit"], "ou": [unit]})
            service = {"objectClass": ["organizationalRole", "simpleSecurityObject"], "cn": ["stint"]}
            _add(root, SERVICE_DN, {**service, "userPassword": [self._service_password]})


def _add(connection: Any, dn: str, attributes: Mapping[str, list[str]]) -> None:
    connection.add_s(dn, [(name, [value.encode() for value in values]) for name, values in attributes.items()])


def _configuration(folder: Path, port: int, root_password: str) -> str:
    """The server's template, filled in, with TLS and the plugins that the directory relies on."""
    values = {
        **{f"{name}_dir": folder / name for name in ("bak", "ldif", "lock", "run", "log", "inst", "tmp", "db")},
        **dict.fromkeys(("cert_dir", "config_dir"), folder / "etc"),
        "db_home_dir": folder / "db", "schema_dir": folder / "etc" / "schema", "db_lib": "bdb",
        "fqdn": "localhost", "ds_port": port, "ds_user": getpass.getuser(), "ds_suffix": SUFFIX,
        "rootdn": ROOT_DN, "ds_passwd": root_password,
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
    _run([_installed("certutil"), "-N", "-d", str(database), "--empty-password"])
    _run([_installed("pk12util"), "-i", str(bundle), "-d", str(database), "-W", "sandbox", "-K", ""])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - our own arguments only
    if done.returncode != 0:
        raise Misconfigured(f"{Path(command[0]).name} failed: {done.stderr.decode(errors='replace')[-300:]}")


def _installed(program: str) -> str:
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise _not_installed(program)
    return found


def _not_installed(searched: str) -> Misconfigured:
    return Misconfigured(
        f"389 Directory Server is not installed (searched for {searched}); run: apt-get install --no-install-recommends 389-ds-base",
        cause=CANNOT_RUN_HERE,
    )
