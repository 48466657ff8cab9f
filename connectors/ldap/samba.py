"""An Active Directory domain controller of one's own: Samba's, provisioned into a folder, and reached over loopback with StartTLS.

Samba opens no TCP port here: it is told of a network interface that does not exist, so it listens on its unix socket alone, which a
small proxy forwards to from a free loopback port. It needs Debian's packages ``samba``, ``samba-ad-dc``, ``samba-ad-provision`` and
``samba-dsdb-modules``, and root, because provisioning sets the owners of files. It writes to its own folder alone.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import ldap
import ldap.dn

from connectors.ldap.client import LdapClient
from connectors.ldap.connection import bound, close
from connectors.ldap.dialects.dialect import random_password
from connectors.ldap.processes import CANNOT_RUN_HERE, end, is_ready
from connectors.ldap.records import MARKER, equals
from connectors.ldap.settings import LdapSettings
from connectors.tls import make_loopback_tls
from workforce.errors import Misconfigured

SUFFIX = "DC=client,DC=example"
SERVICE_DN = f"CN=stint,OU=Services,{SUFFIX}"
ADMIN_DN = f"CN=Administrator,CN=Users,{SUFFIX}"
UNITS = ("People", "Groups", "Disabled", "Services")

_BEFORE = """
[global]
netbios name = DC1
realm = CLIENT.EXAMPLE
workgroup = CLIENT
server role = active directory domain controller
"""
_CONFIGURATION = """
[global]
netbios name = DC1
realm = CLIENT.EXAMPLE
workgroup = CLIENT
server role = active directory domain controller
server services = ldap
interfaces = 127.255.255.254/32
bind interfaces only = yes
private dir = {folder}/private
state directory = {folder}/state
cache directory = {folder}/cache
lock directory = {folder}
pid directory = {folder}/run
ncalrpc dir = {folder}/ncalrpc
binddns dir = {folder}/bind-dns
winbindd socket directory = {folder}/run/winbindd
ntp signd socket directory = {folder}/run/ntp
log file = {folder}/log.samba
usershare path =
tls certfile = {certificate}
tls keyfile = {key}
tls cafile = {ca}
"""


class SambaSandbox:
    """A context manager around one Samba process; only that process is ended, by its id.

    Stint's account is an ordinary user to whom the three parts of the tree are delegated, not a domain administrator. Raises
    ``Misconfigured`` (cause ``cannot_run_here``) where Samba's domain controller is not installed, or we are not root.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._service_password, self._admin_password = random_password(), random_password()
        self._process: subprocess.Popen[bytes] | None = None
        self._proxy: _Proxy | None = None

    def __enter__(self) -> Self:
        for name in ("run", "ncalrpc", "cache"):
            (self._folder / name).mkdir(parents=True)
        self._tls = make_loopback_tls(self._folder / "stint-tls")
        self._provision()
        self._start()
        self._plant()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._proxy is not None:
            self._proxy.close()
        if self._process is not None:
            end(self._process)

    def settings(self) -> dict[str, Any]:
        """The values of the connector's settings form, secrets as plain text."""
        assert self._proxy is not None  # noqa: S101 - only ever used inside the block
        return {
            "url": f"ldap://127.0.0.1:{self._proxy.port}",
            "dialect": "active_directory",
            "ca_file": self._tls.ca,
            "bind_dn": SERVICE_DN,
            "bind_password": self._service_password,
            "people_base": f"OU=People,{SUFFIX}",
            "groups_base": f"OU=Groups,{SUFFIX}",
            "disabled_base": f"OU=Disabled,{SUFFIX}",
            "timeout_seconds": 10.0,
            "page_size": 40,
        }

    def add_group(self, name: str) -> str:
        """Plant a global security group; its DN."""
        dn = f"CN={ldap.dn.escape_dn_chars(name)},OU=Groups,{SUFFIX}"
        self.plant(dn, {"objectClass": ["group"]})
        return dn

    def add_user(self, cn: str, **attributes: str) -> str:
        """Plant an enabled user with a random password in the part of the tree where the people are; its objectGUID."""
        dn = f"CN={ldap.dn.escape_dn_chars(cn)},OU=People,{SUFFIX}"
        user = {name: [value] for name, value in {"userAccountControl": "512", **attributes}.items()}
        return self.plant(dn, {"objectClass": ["user"], "unicodePwd": [f'"{random_password()}"'], **user})

    def plant(self, dn: str, attributes: Mapping[str, list[str]]) -> str:
        """Add any entry, as an administrator by hand; its objectGUID."""
        with self.administrator() as admin:
            admin.add_s(dn, [(name, [_stored(name, value) for value in values]) for name, values in attributes.items()])
            found = admin.search_s(dn, ldap.SCOPE_BASE, attrlist=["objectGUID"])[0][1]["objectGUID"][0]
        return str(UUID(bytes_le=found))

    def set_attribute(self, dn: str, attribute: str, value: str) -> None:
        """Change an entry by hand."""
        with self.administrator() as admin:
            admin.modify_s(dn, [(ldap.MOD_REPLACE, attribute, [_stored(attribute, value)])])

    def entries(self, marker: str) -> list[dict[str, Any]]:
        """Every entry with ``marker``, all attributes as text, ``dn`` among them: what is really there."""
        with self.administrator() as admin:
            found = admin.search_s(SUFFIX, ldap.SCOPE_SUBTREE, equals(MARKER, marker), ["*"])
        there = [(dn, values) for dn, values in found if dn is not None]  # the rest are references to other partitions
        return [{"dn": dn, **{k: [v.decode("utf-8", "replace") for v in vs] for k, vs in values.items()}} for dn, values in there]

    def bind_as(self, dn: str, password: str) -> bool:
        """Sign in as the contractor would: whether it works."""
        return LdapClient(LdapSettings(**self.settings())).binds(dn, password)

    @contextmanager
    def administrator(self) -> Iterator[Any]:
        """A connection that is bound as the domain's administrator."""
        connection = bound(LdapSettings(**self.settings()), ADMIN_DN, self._admin_password)
        try:
            yield connection
        finally:
            close(connection)

    def _provision(self) -> None:
        if os.geteuid() != 0:
            raise Misconfigured("Samba can be provisioned by root only: it sets the owners of files", cause=CANNOT_RUN_HERE)
        before = self._folder / "before.conf"
        before.write_text(_BEFORE)
        _run(
            [
                _installed("samba-tool"), "domain", "provision", f"--configfile={before}", f"--targetdir={self._folder}",
                "--realm=CLIENT.EXAMPLE", "--domain=CLIENT", "--server-role=dc", "--dns-backend=NONE", "--host-name=dc1",
                "--host-ip=127.0.0.1", f"--adminpass={self._admin_password}",
            ]
        )  # fmt: skip

    def _start(self) -> None:
        configuration = self._folder / "smb.conf"
        files = {"folder": self._folder, "certificate": self._tls.certificate, "key": self._tls.key, "ca": self._tls.ca}
        configuration.write_text(_CONFIGURATION.format(**files))
        command = [_installed("samba"), "--foreground", "--no-process-group", "--model=single", f"--configfile={configuration}"]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(command, **quiet)  # type: ignore[call-overload]  # noqa: S603 - our own arguments only
        door = self._folder / "private" / "ldapi"
        if not is_ready(self._process, lambda: _dial(door)):
            raise Misconfigured(f"Samba did not start; run it by hand to see why: samba -i -d 3 -s {configuration}")
        self._proxy = _Proxy(door)

    def _plant(self) -> None:
        for unit in UNITS:
            self.plant(f"OU={unit},{SUFFIX}", {"objectClass": ["organizationalUnit"]})
        service = {"userAccountControl": ["66048"], "sAMAccountName": ["stint"], "unicodePwd": [f'"{self._service_password}"']}
        self.plant(SERVICE_DN, {"objectClass": ["user"], **service})
        with self.administrator() as admin:
            sid = admin.search_s(SERVICE_DN, ldap.SCOPE_BASE, attrlist=["objectSid"])[0][1]["objectSid"][0]
        for unit in ("People", "Groups", "Disabled"):
            dn = f"OU={unit},{SUFFIX}"
            rule = f"(A;CI;GA;;;{_sid(sid)})"
            settings = f"--configfile={self._folder / 'smb.conf'}"
            _run([_installed("samba-tool"), "dsacl", "set", settings, f"--objectdn={dn}", f"--sddl={rule}"])


class _Proxy:
    """Forwards a loopback port to a unix socket."""

    def __init__(self, door: Path) -> None:
        self._door = door
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, name="samba-proxy", daemon=True).start()

    def close(self) -> None:
        """Stop, and cut every connection."""
        for one in (self._listener, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                near, _ = self._listener.accept()
                far = _dial(self._door)
                self._open += [near, far]
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=_forward, args=ends, name="samba-proxy", daemon=True).start()


def _forward(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while received := source.recv(65536):
            sink.sendall(received)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


def _dial(door: Path) -> socket.socket:
    dialled = socket.socket(socket.AF_UNIX)
    try:
        dialled.connect(str(door))
    except OSError:
        dialled.close()
        raise
    return dialled


def _stored(attribute: str, value: str) -> bytes:
    return value.encode("utf-16-le" if attribute == "unicodePwd" else "utf-8")


def _sid(stored: bytes) -> str:
    """A security identifier as text ([MS-DTYP] 2.4.2)."""
    authority = int.from_bytes(stored[2:8], "big")
    parts = [int.from_bytes(stored[i : i + 4], "little") for i in range(8, len(stored), 4)]
    return "-".join(["S", str(stored[0]), str(authority), *map(str, parts)])


def _installed(program: str) -> str:
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin:/usr/local/samba/sbin")
    if found is None or not Path("/usr/share/samba/setup/ad-schema").is_dir():
        raise Misconfigured(
            "Samba's domain controller is not installed; run: "
            "apt-get install --no-install-recommends samba samba-ad-dc samba-ad-provision samba-dsdb-modules",
            cause=CANNOT_RUN_HERE,
        )
    return found


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - our own arguments only
    if done.returncode != 0:
        raise Misconfigured(f"{Path(command[0]).name} {command[1]} failed: {done.stderr.decode(errors='replace')[-300:]}")
