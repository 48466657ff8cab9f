"""Real directory servers of one's own, for the length of a test or a demo: their processes, and what their administrators do by hand."""

from __future__ import annotations

import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import ldap

from connectors.protocols.ldapv3.client import LdapV3Client
from connectors.protocols.ldapv3.connection import bound, close, is_reachable
from connectors.protocols.ldapv3.dialect import ServerDialect, random_password
from connectors.protocols.ldapv3.entries import MARKER, Entry, equals
from connectors.protocols.ldapv3.names import is_dn
from connectors.protocols.ldapv3.settings import LdapV3Settings
from connectors.wire.tls import TlsFiles, make_loopback_tls
from workforce.errors import Misconfigured

CANNOT_RUN_HERE = "cannot_run_here"
"""The cause of the error of a peer that a machine need not have: it is not installed, or needs rights that we do not have."""

_SYSTEM_FOLDERS = "/usr/sbin:/usr/local/sbin:/usr/local/samba/sbin"
_START_SECONDS = 20.0
_LOOK_AGAIN_SECONDS = 0.02


class DirectoryServer(ABC):
    """A context manager around one server's process; only that process is ended, by its id.

    It lives in ``folder`` and on loopback, with a certificate of its own, as ``suffix`` with a part for each of ``units``. Stint's account
    is an ordinary one with rights on three of them, not the administrator. Raises ``Misconfigured`` (cause ``cannot_run_here``).
    """

    suffix = "dc=client,dc=example"
    units = ("people", "groups", "disabled", "services")
    timeout_seconds = 5.0
    dialect: ServerDialect
    root_dn: str
    """The administrator."""
    shown: tuple[str, ...] = ("*", "+")
    """What ``entries`` shows of each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.service_password, self.root_password = random_password(), random_password()
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.tls: TlsFiles = make_loopback_tls(self.folder / "tls")
        self.install()
        try:
            self.start()
            self.fill()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @abstractmethod
    def install(self) -> None:
        """Put everything into the folder that the process needs."""

    @abstractmethod
    def start(self) -> None:
        """Start the process, again on the port that it had; returns when it takes connections."""

    @abstractmethod
    def fill(self) -> None:
        """Make the units, and Stint's account with its rights."""

    @property
    @abstractmethod
    def port(self) -> int:
        """Where it takes connections, in the clear until StartTLS."""

    def stop(self) -> None:
        """End this process, and no other."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def comes_up(self, command: list[str]) -> bool:
        """Launch the process and wait until it answers (true) or has ended (false), asking again whenever it has had 20 ms to go on.

        It is this server that answers, told by its certificate, and not another to which its port went meanwhile.
        """
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)  # noqa: S603 - our own arguments only
        for _ in range(int(_START_SECONDS / _LOOK_AGAIN_SECONDS)):
            try:
                self.process.wait(_LOOK_AGAIN_SECONDS)
            except subprocess.TimeoutExpired:
                if is_reachable(self._form()):
                    return True
            else:
                return False
        self.stop()
        return False

    def base(self, unit: str) -> str:
        """The DN of one of ``units``."""
        return f"ou={unit},{self.suffix}"

    @property
    def service_dn(self) -> str:
        """Stint's account."""
        return f"cn=stint,{self.base('services')}"

    def settings(self) -> dict[str, Any]:
        """The values of the connector's settings form, secrets as plain text."""
        return {
            "url": f"ldap://127.0.0.1:{self.port}",
            "ca_file": self.tls.ca,
            "bind_dn": self.service_dn,
            "bind_password": self.service_password,
            "people_base": self.base("people"),
            "groups_base": self.base("groups"),
            "disabled_base": self.base("disabled"),
            "timeout_seconds": self.timeout_seconds,
            "page_size": 40,
        }

    @contextmanager
    def administrator(self) -> Iterator[Any]:
        """A connection that is bound as the administrator."""
        connection = bound(self._form(), self.root_dn, self.root_password)
        try:
            yield connection
        finally:
            close(connection)

    def plant(self, dn: str, attributes: Mapping[str, list[str]]) -> str:
        """Add any entry, as an administrator by hand; its immutable id."""
        with self.administrator() as admin:
            admin.add_s(dn, [(name, [self.stored(name, value) for value in values]) for name, values in attributes.items()])
            values = admin.search_s(dn, ldap.SCOPE_BASE, attrlist=list(self.dialect.attributes))[0][1]
        return self.dialect.account(Entry(dn, values), datetime.now(UTC)).account_id

    @abstractmethod
    def add_group(self, name: str) -> str:
        """Plant a group without members; its DN."""

    def set_attribute(self, dn: str, attribute: str, value: str) -> None:
        """Change an entry by hand."""
        with self.administrator() as admin:
            admin.modify_s(dn, [(ldap.MOD_REPLACE, attribute, [self.stored(attribute, value)])])

    def set_password(self, who: str, password: str) -> None:
        """Set the password of a login or a DN, as the helpdesk would."""
        self.set_attribute(self.dn_of(who), "userPassword", password)

    def bind_as(self, who: str, password: str) -> bool:
        """Sign in as the contractor would, by login or DN: whether it works."""
        return LdapV3Client(self._form(), self.dialect).binds(self.dn_of(who), password)

    def dn_of(self, who: str) -> str:
        """The DN of a login, wherever it is just now; a DN is its own."""
        if is_dn(who):
            return who
        with self.administrator() as admin:
            return str(admin.search_s(self.suffix, ldap.SCOPE_SUBTREE, self.dialect.by_login(who), ["1.1"])[0][0])

    def entries(self, marker: str) -> list[dict[str, Any]]:
        """Every entry with ``marker``, all attributes as text, ``dn`` among them: what is really there."""
        with self.administrator() as admin:
            found = admin.search_s(self.suffix, ldap.SCOPE_SUBTREE, equals(MARKER, marker), list(self.shown))
        there = [(dn, values) for dn, values in found if dn is not None]  # the rest are references to other servers
        return [{"dn": dn, **{k: [v.decode("utf-8", "replace") for v in vs] for k, vs in values.items()}} for dn, values in there]

    def held(self, account_id: str) -> dict[str, object]:
        """What an account of ours holds: a text under each attribute, a list where there are several."""
        with self.administrator() as admin:
            found = admin.search_s(self.suffix, ldap.SCOPE_SUBTREE, f"({MARKER}=*)", list(self.shown))
        now = datetime.now(UTC)
        values = next(held for dn, held in found if dn and self.dialect.account(Entry(dn, held), now).account_id == account_id)
        texts = {name: [value.decode("utf-8", "replace") for value in each] for name, each in values.items()}
        return {name: each[0] if len(each) == 1 else each for name, each in texts.items()}

    def stored(self, attribute: str, value: str) -> bytes:
        """A text as this server takes it."""
        del attribute
        return value.encode()

    def _form(self) -> LdapV3Settings:
        return LdapV3Settings(**{name: value for name, value in self.settings().items() if name in LdapV3Settings.model_fields})


def installed(program: str, package: str) -> str:
    """The path of a program of the system, or of its administrator. Raises ``Misconfigured`` naming Debian's package."""
    found = shutil.which(program) or shutil.which(program, path=_SYSTEM_FOLDERS)
    if found is None:
        raise not_installed(program, package)
    return found


def not_installed(searched: str, package: str) -> Misconfigured:
    """What was looked for is not on this machine."""
    message = (
        f"the directory server is not installed (searched for {searched}); run: apt-get install --no-install-recommends {package}"
    )
    return Misconfigured(message, cause=CANNOT_RUN_HERE)


def run(command: list[str]) -> None:
    """Run a program of the system to its end. Raises ``Misconfigured`` with what it said last."""
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - our own arguments only
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace")[-300:]
        raise Misconfigured(f"{' '.join([Path(command[0]).name, *command[1:2]])} failed: {said}")
