"""A listing of many accounts tells of each what a reading of it tells, groups of every kind included, for few searches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.activedirectory.client import ActiveDirectoryClient
from connectors.activedirectory.sandbox import SambaSandbox
from connectors.activedirectory.settings import ActiveDirectorySettings
from connectors.ldap.client import LdapClient
from connectors.ldap.dirsrv import DirsrvSandbox
from connectors.ldap.sandbox import SlapdSandbox
from connectors.ldap.settings import LdapSettings
from connectors.protocols.ldapv3.directory import LdapV3Directory
from connectors.protocols.ldapv3.faulty import FaultyDirectory
from connectors.protocols.ldapv3.memberships import AT_ONCE
from connectors.protocols.ldapv3.servers import DirectoryServer
from connectors.suite.sandbox import Fault, FaultKind
from connectors.suite.scenes import every_account
from workforce.access import AccountState, DesiredAccount
from workforce.errors import HubError
from workforce.markers import new_marker

pytestmark = pytest.mark.integration

END = datetime(2031, 3, 31, 22, 0, tzinfo=UTC)
PEOPLE = 30
KINDS = {"groupOfNames": "member", "groupOfUniqueNames": "uniqueMember", "posixGroup": "memberUid"}
_NUMBERS = count(1)
places = st.integers(0, PEOPLE - 1)


class Counting(LdapClient):
    """Counts the searches for groups that it sends."""

    asked = 0

    def _ask(self, connection: Any, search: Any, *more: Any) -> int:
        self.asked += search.base == self.settings.groups_base
        return super()._ask(connection, search, *more)


class Peopled:
    """A directory with people in it, some of whom were renamed."""

    def __init__(self, server: DirectoryServer, odd: str = "ad\u00e9le", **form: object) -> None:
        self.server, self.odd = server, odd
        self.client = Counting(LdapSettings(**{**server.settings(), **form}))
        self.directory = LdapV3Directory(self.client)
        self.ids = [self._somebody(number) for number in range(PEOPLE)]
        self.logins = [self.directory.read(one).login for one in self.ids]
        self.dns = list(map(server.dn_of, self.logins))

    def _somebody(self, number: int) -> str:
        marker = new_marker()
        login = f"Ada.{marker.lower()}" if number % 3 else f"{self.odd} {marker}"
        account_id = self.directory.create(DesiredAccount(marker, login, {"cn": "Ada", "sn": "Lovelace"}, frozenset(), END))
        if number % 5 == 0:
            self.directory.rename(account_id, f"grace.{marker.lower()}")
        return account_id

    def group(self, kind: str, members: Sequence[str]) -> str:
        name = f"{kind}{next(_NUMBERS)}"
        dn = f"cn={name},{self.server.base('groups')}"
        number = {"gidNumber": ["10000"]} if kind == "posixGroup" else {}
        self.server.plant(dn, {"objectClass": [kind], "cn": [name], KINDS[kind]: list(members), **number})
        return dn

    def listed(self) -> dict[str, AccountState]:
        return {account.account_id: account for account in every_account(self.directory)[0] if account.account_id in self.ids}


@pytest.fixture(scope="module")
def on_slapd(slapd: SlapdSandbox) -> Iterator[Peopled]:
    peopled = Peopled(slapd, page_size=7)
    yield peopled
    peopled.client.close()


def spelt(dn: str, how: int) -> str:
    """The same DN as another program might write it."""
    return (dn, dn.upper(), dn.replace(",", ", "), dn.replace("ou=", "OU="))[how % 4]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(KINDS)), st.sets(places, min_size=1, max_size=8), st.integers(0, 3)),
        min_size=1,
        max_size=6,
    )
)
def test_whoever_is_in_whatever_group_a_listing_tells_what_a_reading_tells(
    on_slapd: Peopled, groups: list[tuple[str, set[int], int]]
) -> None:
    expected: dict[str, set[str]] = {one: set() for one in on_slapd.ids}
    made = []
    for kind, members, how in groups:
        who = [n for n in members if kind != "posixGroup" or " " not in on_slapd.logins[n]]
        values = [on_slapd.logins[n] if kind == "posixGroup" else spelt(on_slapd.dns[n], how) for n in who]
        if not values:
            continue
        made.append(on_slapd.group(kind, values))
        for n in who:
            expected[on_slapd.ids[n]].add(made[-1])
    listed = on_slapd.listed()
    for one in on_slapd.ids:
        read = on_slapd.directory.read(one)
        assert listed[one].groups == read.groups == expected[one]
        assert (listed[one].managed, listed[one].protected, listed[one].enabled) == (read.managed, read.protected, read.enabled)
    with on_slapd.server.administrator() as root:
        for group in made:
            root.delete_s(group)


def test_a_member_by_an_old_login_or_with_unique_bits_is_told_alike(on_slapd: Peopled) -> None:
    renamed, other = on_slapd.ids[5], on_slapd.ids[1]
    old = on_slapd.logins[5].replace("grace.", "Ada.")
    by_login = on_slapd.group("posixGroup", [old])
    on_slapd.group("groupOfUniqueNames", [f"{on_slapd.dns[1]}#'0101'B"])
    listed = on_slapd.listed()
    assert by_login in listed[renamed].groups & on_slapd.directory.read(renamed).groups
    assert listed[other].groups == on_slapd.directory.read(other).groups


def test_the_groups_of_many_accounts_cost_few_searches(slapd: SlapdSandbox) -> None:
    peopled = Peopled(slapd, page_size=500)
    group = peopled.group("groupOfNames", peopled.dns)
    peopled.client.asked = 0
    found = every_account(peopled.directory)[0]
    assert {account.account_id for account in found if group in account.groups} == set(peopled.ids)
    assert peopled.client.asked <= len(found) / AT_ONCE + 4
    peopled.client.close()


def test_a_server_that_cannot_choose_among_values_is_asked_for_each_account(dirsrv: DirsrvSandbox) -> None:
    peopled = Peopled(dirsrv, odd="ad le", dialect="389ds", page_size=3)
    made = {kind: peopled.group(kind, peopled.dns[:9]) for kind in ("groupOfNames", "groupOfUniqueNames")}
    made |= {f"{number}": peopled.group("groupOfNames", peopled.dns[4:6]) for number in range(5)}  # more than fit on a page
    made["posixGroup"] = peopled.group("posixGroup", [login for login in peopled.logins[:9] if " " not in login])
    listed = peopled.listed()
    assert listed[peopled.ids[4]].groups == set(made.values())
    assert {one: account.groups for one, account in listed.items()} == {
        one: peopled.directory.read(one).groups for one in peopled.ids
    }
    peopled.client.close()


def test_one_who_is_in_more_groups_than_a_server_gives_at_once_is_told_all(on_slapd: Peopled) -> None:
    groups = {on_slapd.group("groupOfNames", [on_slapd.dns[2]]) for _ in range(60)}  # the server's limit is 50
    assert groups <= on_slapd.directory.read(on_slapd.ids[2]).groups
    assert groups <= on_slapd.listed()[on_slapd.ids[2]].groups
    with on_slapd.server.administrator() as root:
        for group in groups:
            root.delete_s(group)


def test_groups_that_could_not_be_read_are_an_error_and_no_empty_set(tmp_path: Path) -> None:
    with FaultyDirectory(SlapdSandbox(tmp_path / "slapd")) as faulty:
        client = LdapClient(LdapSettings(**faulty.settings()))
        directory = LdapV3Directory(client)
        for _ in range(2):
            marker = new_marker()
            directory.create(DesiredAccount(marker, f"a.{marker.lower()}", {"cn": "A", "sn": "L"}, frozenset(), END))
        faulty.faults.plan(Fault(FaultKind.BUSY_BEFORE, "LDAP", "^search ou=groups"))
        with pytest.raises(HubError):
            every_account(directory)
        client.close()


def test_active_directory_tells_memberships_beyond_a_range_in_a_listing_too(samba: SambaSandbox) -> None:
    client = ActiveDirectoryClient(ActiveDirectorySettings(**samba.settings()))
    directory = LdapV3Directory(client)
    ids = []
    for _ in range(3):
        marker = new_marker()
        wanted = DesiredAccount(marker, f"{marker.lower()}@client.example", {"sn": "L", "displayName": "A"}, frozenset(), END)
        ids.append(directory.create(wanted))
    groups = [samba.add_group(f"range {new_marker()}") for _ in range(4)]
    for group in groups:
        directory.add_member(group, ids[0])
    directory.add_member(groups[0], ids[1])
    listed = {account.account_id: account for account in every_account(directory)[0]}
    assert [listed[one].groups for one in ids] == [set(groups), {groups[0]}, frozenset()]
    for one in ids:
        read = directory.read(one)
        assert (listed[one].groups, listed[one].managed, listed[one].protected) == (read.groups, True, False)
    client.close()


@pytest.fixture(params=["slapd", "dirsrv"])
def served(request: pytest.FixtureRequest) -> Iterator[tuple[DirectoryServer, LdapV3Directory]]:
    server: DirectoryServer = request.getfixturevalue(request.param)
    form = {**server.settings(), **({"dialect": "389ds"} if request.param == "dirsrv" else {})}
    client = LdapClient(LdapSettings(**form))
    yield server, LdapV3Directory(client)
    client.close()


def test_a_hand_is_named_with_the_instant_and_our_own_and_the_servers_are_not(
    served: tuple[DirectoryServer, LdapV3Directory],
) -> None:
    server, directory = served
    marker = new_marker()
    login = f"ada.{marker.lower()}"
    account_id = directory.create(DesiredAccount(marker, login, {"cn": "Ada", "sn": "Lovelace"}, frozenset(), END))
    assert directory.last_change(account_id) is None
    directory.add_member(server.add_group(f"vpn {marker}"), account_id)
    assert directory.last_change(account_id) is None
    server.set_attribute(server.dn_of(login), "title", "Captain")
    told = directory.last_change(account_id)
    assert told is not None
    assert told.by is not None
    assert told.by.lower() == server.root_dn.lower()
    assert abs((datetime.now(UTC) - told.at).total_seconds()) < 60
    directory.update(account_id, {"title": "Engineer"})
    assert directory.last_change(account_id) is None


def test_active_directory_tells_the_instant_and_no_name(samba: SambaSandbox) -> None:
    client = ActiveDirectoryClient(ActiveDirectorySettings(**samba.settings()))
    directory = LdapV3Directory(client)
    account_id = samba.add_user(f"hand {new_marker()}")
    told = directory.last_change(account_id)
    assert told is not None
    assert told.by is None
    assert abs((datetime.now(UTC) - told.at).total_seconds()) < 60
    client.close()


def test_whoever_lies_in_our_place_without_our_marker_is_told_unless_listed_or_the_place_is_shared(slapd: SlapdSandbox) -> None:
    name = f"staff{new_marker().lower()}"
    entry = {"objectClass": ["inetOrgPerson"], "cn": [name], "sn": [name], "uid": [name]}
    inside = f"uid={name},{slapd.base('people')}"
    account_id = slapd.plant(inside, entry)
    for form, managed in (
        ({}, True),
        ({"protected_dns": [inside.upper()]}, False),
        ({"people_base_is_shared": True}, False),
        ({"people_base": slapd.base("groups")}, False),
    ):
        client = LdapClient(LdapSettings(**{**slapd.settings(), **form}))
        account = LdapV3Directory(client).read(account_id)
        assert (account.managed, account.protected, account.marker) == (managed, True, None)
        client.close()
    with slapd.administrator() as root:
        root.delete_s(inside)
