"""An Active Directory domain controller of one's own: Samba's, provisioned into a folder, with StartTLS.

Samba opens no TCP port here: it is told of a network interface that does not exist, so it listens on its unix socket alone, which a
small proxy forwards to from a free loopback port. It needs Debian's packages ``samba``, ``samba-ad-dc``, ``samba-ad-provision`` and
``samba-dsdb-modules``, and root, because provisioning sets the owners of files. It writes to its own folder alone.
"""

from __future__ import annotations

import os
import shutil
import socket
import threading
from contextlib import suppress
from pathlib import Path

import ldap
import ldap.dn

from connectors.activedirectory.dialect import ActiveDirectory
from connectors.protocols.ldapv3.dialect import random_password
from connectors.protocols.ldapv3.servers import (
    CANNOT_RUN_HERE,
    DirectoryServer,
    installed,
    not_installed,
    run,
)
from workforce.errors import Misconfigured

SUFFIX = "DC=client,DC=example"
ADMIN_DN = f"CN=Administrator,CN=Users,{SUFFIX}"
_PACKAGE = "samba samba-ad-dc samba-ad-provision samba-dsdb-modules"
_SCHEMA = Path("/usr/share/samba/setup/ad-schema")

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
tls certfile = {tls.certificate}
tls keyfile = {tls.key}
tls cafile = {tls.ca}
"""


class SambaSandbox(DirectoryServer):
    """A domain controller. Stint's account is an ordinary user to whom the three parts of the tree are delegated.

    Provisioning takes seconds: where ``like`` is another one that has been stopped, it begins as a copy of that.
    """

    suffix = SUFFIX
    timeout_seconds = 10.0
    dialect = ActiveDirectory()
    root_dn = ADMIN_DN
    shown = ("*",)

    def __init__(self, folder: Path, *, like: SambaSandbox | None = None) -> None:
        super().__init__(folder)
        self._proxy: _Proxy | None = None
        self._like = like
        if like is not None:
            self.service_password, self.root_password = like.service_password, like.root_password

    @property
    def port(self) -> int:
        """That of the proxy."""
        assert self._proxy is not None  # noqa: S101 - only ever used inside the block
        return self._proxy.port

    def base(self, unit: str) -> str:
        """As domain controllers spell it."""
        return f"OU={unit.capitalize()},{SUFFIX}"

    @property
    def service_dn(self) -> str:
        """Stint's account."""
        return f"CN=stint,{self.base('services')}"

    def install(self) -> None:
        """Provision the domain, or copy one."""
        if self._like is not None:
            shutil.copytree(self._like.folder, self.folder, ignore=_sockets, dirs_exist_ok=True)
            return
        if os.geteuid() != 0:
            raise Misconfigured("Samba can be provisioned by root only: it sets the owners of files", cause=CANNOT_RUN_HERE)
        if not _SCHEMA.is_dir():
            raise not_installed(str(_SCHEMA), _PACKAGE)
        for name in ("run", "ncalrpc", "cache"):
            (self.folder / name).mkdir()
        before = self.folder / "before.conf"
        before.write_text(_BEFORE)
        run(
            [
                installed("samba-tool", _PACKAGE), "domain", "provision", f"--configfile={before}", f"--targetdir={self.folder}",
                "--realm=CLIENT.EXAMPLE", "--domain=CLIENT", "--server-role=dc", "--dns-backend=NONE", "--host-name=dc1",
                "--host-ip=127.0.0.1", f"--adminpass={self.root_password}",
            ]
        )  # fmt: skip

    def start(self) -> None:
        """Start Samba, and the proxy in front of its socket."""
        configuration = self.folder / "smb.conf"
        configuration.write_text(_CONFIGURATION.format(folder=self.folder, tls=self.tls))
        options = ["--foreground", "--no-process-group", "--model=single", f"--configfile={configuration}"]
        self._proxy = _Proxy(self.folder / "private" / "ldapi")
        if not self.comes_up([installed("samba", _PACKAGE), *options]):
            raise Misconfigured(f"Samba did not start; run it by hand to see why: samba -i -d 3 -s {configuration}")

    def stop(self) -> None:
        """End the proxy and the process."""
        if self._proxy is not None:
            self._proxy.close()
        super().stop()

    def fill(self) -> None:
        """The units, and Stint's account to which three of them are delegated."""
        if self._like is not None:
            return
        for unit in self.units:
            self.plant(self.base(unit), {"objectClass": ["organizationalUnit"]})
        service = {"userAccountControl": ["66048"], "sAMAccountName": ["stint"], "unicodePwd": [self.service_password]}
        self.plant(self.service_dn, {"objectClass": ["user"], **service})
        with self.administrator() as admin:
            sid = admin.search_s(self.service_dn, ldap.SCOPE_BASE, attrlist=["objectSid"])[0][1]["objectSid"][0]
        for unit in ("people", "groups", "disabled"):
            configuration, rule = f"--configfile={self.folder / 'smb.conf'}", f"(A;CI;GA;;;{_sid(sid)})"
            tool = [installed("samba-tool", _PACKAGE), "dsacl", "set", configuration]
            run([*tool, f"--objectdn={self.base(unit)}", f"--sddl={rule}"])

    def add_group(self, name: str) -> str:
        """Plant a global security group; its DN."""
        dn = f"CN={ldap.dn.escape_dn_chars(name)},{self.base('groups')}"
        self.plant(dn, {"objectClass": ["group"]})
        return dn

    def add_user(self, cn: str, **attributes: str) -> str:
        """Plant an enabled user with a random password in the part of the tree where the people are; its objectGUID."""
        dn = f"CN={ldap.dn.escape_dn_chars(cn)},{self.base('people')}"
        user = {name: [value] for name, value in {"userAccountControl": "512", **attributes}.items()}
        return self.plant(dn, {"objectClass": ["user"], "unicodePwd": [random_password()], **user})

    def set_password(self, who: str, password: str) -> None:
        """Set the password of a login or a DN, as the helpdesk would."""
        self.set_attribute(self.dn_of(who), "unicodePwd", password)

    def stored(self, attribute: str, value: str) -> bytes:
        """A password in quotes and UTF-16 ([MS-ADTS] 3.1.1.3.1.5)."""
        return f'"{value}"'.encode("utf-16-le") if attribute == "unicodePwd" else value.encode()


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
                self._open.append(near)
                try:
                    far = _dial(self._door)
                except OSError:  # Samba is not there yet, or no more
                    near.close()
                    continue
                self._open.append(far)
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


def _sockets(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if Path(folder, name).is_socket()]


def _sid(stored: bytes) -> str:
    """A security identifier as text ([MS-DTYP] 2.4.2)."""
    authority = int.from_bytes(stored[2:8], "big")
    parts = [int.from_bytes(stored[i : i + 4], "little") for i in range(8, len(stored), 4)]
    return "-".join(["S", str(stored[0]), str(authority), *map(str, parts)])
