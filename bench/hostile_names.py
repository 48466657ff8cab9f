"""``python -m bench.hostile_names [--count 100000] [--json]``: people with hostile names, made, found and renamed on a real slapd.

Each name is a login and fills ``cn``, ``sn`` and ``givenName``. What is counted has to be 0: ``widened`` are searches that gave anybody
but the one who bears that name (by login, by marker, by the manager's address, among the members of a posix group), ``collisions`` DNs
that were given twice or are made of anything but our marker. Who is found is judged by slapd and by the names that were really stored,
not by how a filter looks.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from unicodedata import normalize

from connectors.ldap.client import LdapClient
from connectors.ldap.sandbox import SlapdSandbox
from connectors.ldap.settings import LdapSettings
from connectors.protocols.ldapv3.directory import LdapV3Directory
from workforce.access import DesiredAccount
from workforce.errors import NotFound, Refused
from workforce.markers import new_marker

PIECES = (
    "*", "(", ")", "\\", "\0", "&", "|", "!", "=", "~=", ">=", "<=", ":=", ",", "+", '"', "<", ">", ";", "#", "/", " ", "  ", "\t", "\n",
    "\r\n", "'", "%", "{0}", "$", "*)(uid=*", "*)(objectClass=*", ")(|(uid=*", "))(|(cn=*))", "(&(uid=*))", "\\2a", "\\28", "\\5c2a", "\\00",
    "\\,", "\\#", ",ou=disabled", ",dc=client,dc=example", "cn=nobody", "+employeeNumber=ST0", "uid=", "dn: cn=root", "\ndn: x\n", ":dn:=",
    "uid:caseExactMatch:=", ";lang-en", "ada", "Ada", "ADA", "é", "e\u0301", "\u00df", "ss", "\u0130", "i\u0307", "\ufb01", "\u202e", "\u200b", "\u00ad", "\ufeff",
    "\u2028", "\uff0a", "\u3000", "\U0001f600", "\u06f1", "\u4e2d", "ÿ", "\x7f", "\x1b", "\ud83d", "a" * 200, "O'Brien", "Robert'); DROP TABLE",
)  # fmt: skip
"""What breaks filters, DNs, LDIF and comparisons, or looks as if it were something else."""

_END = datetime(2031, 3, 31, 22, 0, tzinfo=UTC)
_AT_ONCE = 2_000
"""How many accounts slapd holds at a time."""
_THREADS = 4


@dataclass
class Found:
    """What came out. ``refused`` are names that slapd, or we before it, took for none, or that equal another one."""

    made: int = 0
    refused: int = 0
    renamed: int = 0
    widened: list[str] = field(default_factory=list)
    collisions: list[str] = field(default_factory=list)


def names(count: int, seed: int = 4515) -> Iterator[str]:
    """The same names for the same seed."""
    choose = random.Random(seed)  # noqa: S311 - the same content at each run
    for _ in range(count):
        yield "".join(choose.choices(PIECES, k=choose.randint(1, 5)))


def measure(folder: Path, wanted: Sequence[str]) -> Found:
    """Make, find and rename each, ``_AT_ONCE`` at a time on a slapd of its own."""
    found, dns = Found(), set[str]()
    for start in range(0, len(wanted), _AT_ONCE):
        with SlapdSandbox(folder / f"slapd-{start}") as slapd:
            _Round(slapd, found, dns).go(wanted[start : start + _AT_ONCE])
    return found


class _Round:
    """Some names on one slapd."""

    def __init__(self, slapd: SlapdSandbox, found: Found, dns: set[str]) -> None:
        self._slapd, self._found, self._dns = slapd, found, dns
        self._client = LdapClient(LdapSettings(**slapd.settings()))
        self._directory = LdapV3Directory(self._client)
        self._group = slapd.add_posix_group("everybody")
        self._made: dict[str, DesiredAccount] = {}
        self._listed: set[str] = set()

    def go(self, some: Sequence[str]) -> None:
        with ThreadPoolExecutor(_THREADS) as threads:
            for account_id, account in filter(None, threads.map(self._make, some)):
                self._made[account_id] = account
            self._found.made += len(self._made)
            self._found.refused += len(some) - len(self._made)
            self._judge_dns()
            list(threads.map(self._look, some))
            list(threads.map(self._rename, list(self._made)[::10]))
        self._client.close()

    def _make(self, name: str) -> tuple[str, DesiredAccount] | None:
        account = DesiredAccount(new_marker(), name, {"cn": name, "sn": name, "givenName": name}, frozenset(), _END)
        try:
            account_id = self._directory.create(account)
        except Refused:
            return None
        try:
            self._directory.add_member(self._group, account_id)
        except Refused:  # posix groups list ASCII alone
            return account_id, account
        self._listed.add(account_id)
        return account_id, account

    def _judge_dns(self) -> None:
        """By slapd's own list."""
        markers = {account.marker for account in self._made.values()}
        with self._slapd.administrator() as root:
            there = [dn for dn, _ in root.search_s(self._slapd.base("people"), 1, attrlist=["1.1"])]
        expected = {f"employeeNumber={marker},{self._slapd.base('people')}" for marker in markers}
        self._found.collisions += sorted(set(there) ^ expected) + sorted(self._dns & expected)
        self._dns |= expected

    def _look(self, name: str) -> None:
        """Whoever is found bears that name; nobody has it for a marker or an address."""
        try:
            holder = self._directory.find_by_login(name)
        except Refused:  # no text that LDAP could hold
            return
        if holder is not None and not _are_alike(self._made[holder.account_id].login, name):
            self._found.widened.append(f"login {name!r}")
        if self._directory.find(name):
            self._found.widened.append(f"marker {name!r}")
        self._look_for_a_manager(name, is_there=holder is not None)

    def _look_for_a_manager(self, name: str, *, is_there: bool) -> None:
        anybody = next(iter(self._made))
        try:
            self._directory.set_manager(anybody, name)
        except NotFound:
            return
        except Refused as error:
            if error.cause != "ambiguous_manager":
                return
        else:
            if is_there:
                return
        self._found.widened.append(f"manager {name!r}")

    def _rename(self, account_id: str) -> None:
        """To a harmless login and back: the group lists each account by the name that it has just then."""
        account = self._made[account_id]
        plain = f"plain.{account.marker.lower()}"
        self._directory.rename(account_id, plain)
        state = self._directory.read(account_id)
        if (state.login, state.groups) != (plain, frozenset({self._group} if account_id in self._listed else ())):
            self._found.widened.append(f"rename {account.login!r}")
        self._found.renamed += 1


def _are_alike(one: str, other: str) -> bool:
    """As LDAP compares names (RFC 4518): composed, in any case, spaces at the ends and runs of them insignificant, controls left out."""
    return _prepared(one) == _prepared(other)


def _prepared(text: str) -> str:
    mapped = "".join(" " if letter.isspace() else letter for letter in text if letter.isspace() or not _is_ignored(letter))
    return " ".join(normalize("NFKC", normalize("NFKC", mapped).casefold()).split())


def _is_ignored(letter: str) -> bool:
    return ord(letter) < 0x20 or 0x7F <= ord(letter) < 0xA0 or letter in "\u00ad\u200b\ufeff\u202e"


def main() -> int:
    """Print what was found; 1 when anything is not 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="stint-names-") as folder:
        found = measure(Path(folder), list(names(asked.count)))
    figures = {
        "names": asked.count, "made": found.made, "refused": found.refused, "renamed": found.renamed,
        "widened": len(found.widened), "collisions": len(found.collisions), "seconds": round(time.monotonic() - started, 1),
    }  # fmt: skip
    print(json.dumps(figures) if asked.json else "\n".join(f"{name:11}{value}" for name, value in figures.items()))
    for fault in [*found.widened, *found.collisions][:20]:
        print(fault, file=sys.stderr)
    return 1 if found.widened or found.collisions else 0


if __name__ == "__main__":
    sys.exit(main())
