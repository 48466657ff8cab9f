"""One search for the groups of many accounts: what its values leave open is asked again for each account by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from connectors.activedirectory.dialect import ActiveDirectory
from connectors.ldap.dialects.ds389 import Ds389
from connectors.ldap.dialects.openldap import OpenLdap
from connectors.ldap.settings import LdapSettings
from connectors.protocols.ldapv3.client import LdapV3Client
from connectors.protocols.ldapv3.dialect import ServerDialect
from connectors.protocols.ldapv3.entries import AccountEntry, Entry, Filter
from connectors.protocols.ldapv3.memberships import AT_ONCE, groups_of
from connectors.protocols.ldapv3.names import dn_key
from connectors.protocols.ldapv3.places import Places
from workforce.errors import Refused, RetryLater

NOW = datetime(2026, 11, 22, tzinfo=UTC)
SUFFIX = "dc=client,dc=example"
GROUP = f"cn=vpn,ou=groups,{SUFFIX}"
BY_ITSELF = f"cn=by itself,ou=groups,{SUFFIX}"
FORM = {
    "url": "ldap://ldap.client.example",
    "bind_dn": f"cn=stint,ou=people,{SUFFIX}",
    "bind_password": "secret",
    "people_base": f"ou=people,{SUFFIX}",
    "groups_base": f"ou=groups,{SUFFIX}",
    "disabled_base": f"ou=disabled,{SUFFIX}",
    "protected_dns": [f"uid=boss,ou=people,{SUFFIX}"],
    "server_dns": [f"cn=memberof,{SUFFIX}"],
}


def an_account(name: str, *logins: str, groups: frozenset[str] | None = None) -> AccountEntry:
    entry = Entry(f"uid={name},ou=people,{SUFFIX}", {"uid": [one.encode() for one in logins or (name,)]})
    account = OpenLdap().account(entry, NOW)
    return AccountEntry(entry, name, account.login, blocked=False, ends_at=None, groups=groups, aliases=account.aliases)


@dataclass
class Server:
    """Answers a search for many with ``answer``, and one for a single account with a group of its own."""

    answer: Sequence[Entry] | Refused | RetryLater
    settings: LdapSettings = field(default_factory=lambda: LdapSettings.model_validate(FORM))
    chooses_values: bool = True
    at_once: int = 0
    alone: int = 0

    def search(self, base: str, condition: Filter, attributes: Sequence[str], *, only: Sequence[Filter] = ()) -> Sequence[Entry]:
        """For many."""
        assert only, (base, condition, attributes)
        self.at_once += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def search_each(self, base: str, conditions: Sequence[Filter], attributes: Sequence[str]) -> list[list[Entry]]:
        """For each."""
        assert (base, tuple(attributes)) == (FORM["groups_base"], ("1.1",))
        self.alone += len(conditions)
        return [[Entry(BY_ITSELF, {})] for _ in conditions]


def asked(server: Server, *accounts: AccountEntry) -> list[set[str]]:
    return [set(groups) for groups in groups_of(cast("LdapV3Client", server), accounts)]


def showing(**values: str | list[str]) -> Server:
    held = {name: [one.encode() for one in ([value] if isinstance(value, str) else value)] for name, value in values.items()}
    return Server([Entry(GROUP, held)])


ADA, BOB = an_account("ada"), an_account("bob", "bob", "robert")


@pytest.mark.parametrize(
    "values",
    [
        {"member": f"UID=Bob, ou=people,{SUFFIX}"},
        {"uniqueMember": f"uid=bob,ou=people,{SUFFIX}#'01'B"},
        {"memberUid": "robert"},
        {"memberUid": ["bob", "robert"], "member": f"uid=bob,ou=people,{SUFFIX}"},
    ],
)
def test_a_value_tells_whom_the_group_lists_however_it_is_spelt(values: dict[str, Any]) -> None:
    server = showing(**values)
    assert asked(server, ADA, BOB) == [set(), {GROUP}]
    assert (server.at_once, server.alone) == (1, 0)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"member": "uid=eve,ou=elsewhere"},
        {"member": "no DN at all"},
        {"memberUid": "BOB"},
        {"memberUid": "eve"},
    ],
)
def test_what_cannot_be_told_is_asked_for_each_account(values: dict[str, Any]) -> None:
    server = showing(**values)
    assert asked(server, ADA, BOB) == [{BY_ITSELF}, {BY_ITSELF}]
    assert server.alone == 2


def test_two_entries_that_differ_for_the_server_alone_are_asked_one_by_one() -> None:
    server = showing(member=f"uid=ada,ou=people,{SUFFIX}")
    assert asked(server, ADA, an_account("ADA")) == [{BY_ITSELF}, {BY_ITSELF}]


def test_a_login_that_two_accounts_share_lists_both() -> None:
    assert asked(showing(memberUid="ada"), ADA, an_account("grace", "grace", "ada")) == [{GROUP}, {GROUP}]


def test_a_server_that_cannot_choose_among_values_is_asked_for_each_and_any_other_error_is_one() -> None:
    unable = Server([], chooses_values=False)
    assert asked(unable, ADA, BOB) == [{BY_ITSELF}, {BY_ITSELF}]
    assert unable.at_once == 0
    for error in (Refused("ldap: cut off", cause="sizelimit_exceeded"), RetryLater("ldap: busy", cause="busy")):
        with pytest.raises(type(error)):
            asked(Server(error), ADA, BOB)


def test_the_filter_stays_small_and_one_account_is_read_by_itself() -> None:
    server = Server([])
    accounts = [an_account(f"c{number}") for number in range(2 * AT_ONCE + 1)]
    assert asked(server, *accounts) == [*([set()] * 2 * AT_ONCE), {BY_ITSELF}]
    assert (server.at_once, server.alone) == (2, 1)


def test_where_the_entry_tells_its_groups_nothing_is_asked() -> None:
    server = Server([])
    told = an_account("eve", groups=frozenset({GROUP, f"cn=domain users,ou=elsewhere,{SUFFIX}"}))
    assert asked(server, told) == [{GROUP}]
    assert (server.at_once, server.alone) == (0, 0)


@pytest.mark.parametrize(
    ("dn", "is_managed", "is_protected"),
    [
        (f"uid=ada,ou=people,{SUFFIX}", True, False),
        (f"UID=Ada, OU=Team, OU=People,{SUFFIX}", True, False),
        (f"uid=BOSS,ou=people,{SUFFIX}", False, True),
        (f"cn=stint,ou=people,{SUFFIX}", False, False),
        (f"uid=ada,ou=disabled,{SUFFIX}", False, False),
        (f"uid=ada,ou=services,{SUFFIX}", False, True),
        (FORM["people_base"], False, True),
    ],
)
def test_the_place_tells_whether_an_account_should_be_of_our_making(dn: str, is_managed: bool, is_protected: bool) -> None:
    places = Places.of(LdapSettings.model_validate(FORM))
    assert (places.is_managed(dn_key(dn)), places.is_protected(dn_key(dn))) == (is_managed, is_protected)
    shared = Places.of(LdapSettings.model_validate({**FORM, "people_base_is_shared": True}))
    assert not shared.is_managed(dn_key(dn))


def test_we_and_the_server_itself_are_no_hand() -> None:
    places = Places.of(LdapSettings.model_validate(FORM))
    assert places.is_no_hand(dn_key(f"CN=Stint,ou=people,{SUFFIX}"))
    assert places.is_no_hand(dn_key(f"cn=memberof,{SUFFIX}"))
    assert not places.is_no_hand(dn_key(f"cn=root,{SUFFIX}"))


@pytest.mark.parametrize(
    ("dialect", "dn", "is_server"),
    [
        (OpenLdap(), "cn=Referential Integrity Overlay", True),
        (OpenLdap(), f"cn=root,{SUFFIX}", False),
        (Ds389(), "cn=MemberOf Plugin,cn=plugins,cn=config", True),
        (Ds389(), "cn=Directory Manager", False),
    ],
)
def test_a_server_that_keeps_its_books_is_known_by_its_name(dialect: ServerDialect, dn: str, is_server: bool) -> None:
    assert dialect.is_server(dn) is is_server


def test_an_entry_without_an_instant_tells_of_no_change() -> None:
    told = Entry("uid=ada", {"modifiersName": [b"cn=root"], "modifyTimestamp": [b"20261122085148Z"]})
    change = OpenLdap().last_change(told)
    assert change is not None
    assert (change.by, change.at) == ("cn=root", datetime(2026, 11, 22, 8, 51, 48, tzinfo=UTC))
    assert OpenLdap().last_change(Entry("uid=ada", {"modifiersName": [b"cn=root"]})) is None
    change = ActiveDirectory().last_change(Entry("cn=ada", {"whenChanged": [b"20261122085148.0Z"]}))
    assert change is not None
    assert change.by is None
