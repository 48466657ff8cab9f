"""Beyond accounts and groups of names, on a real slapd: starts that lie ahead, posix groups, managers, renames, first passwords."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import ldap
import pytest

from bench.hostile_names import measure, names
from connectors.ldap.client import LdapClient
from connectors.ldap.sandbox import SUFFIX, SlapdSandbox
from connectors.ldap.settings import LdapSettings
from connectors.protocols.ldapv3.connection import bound
from connectors.protocols.ldapv3.directory import LdapV3Directory
from connectors.protocols.ldapv3.faulty import FaultyDirectory
from workforce.access import DesiredAccount
from workforce.errors import AlreadyTaken, NotFound, Refused
from workforce.markers import new_marker

pytestmark = pytest.mark.integration

END = datetime(2031, 3, 31, 22, 0, tzinfo=UTC)
PEOPLE = f"ou=people,{SUFFIX}"
NOBODY = f"cn=nobody,ou=groups,{SUFFIX}"


@pytest.fixture(scope="module")
def client(slapd: SlapdSandbox) -> Iterator[LdapClient]:
    client = LdapClient(LdapSettings(**slapd.settings()))
    yield client
    client.close()


@pytest.fixture
def directory(client: LdapClient) -> LdapV3Directory:
    return LdapV3Directory(client)


def an_account(*, enabled: bool = True, **attributes: object) -> DesiredAccount:
    marker = new_marker()
    held = {"cn": "Ada", "sn": "Lovelace", **attributes}
    return DesiredAccount(marker, f"ada.{marker.lower()}", held, frozenset(), END, enabled=enabled)


def an_employee(slapd: SlapdSandbox, name: str = "", **attributes: str) -> str:
    """Somebody who is no contractor; their DN."""
    name = name or f"boss{new_marker().lower()}"
    entry = {"cn": name, "sn": name, "uid": name, **attributes}
    dn = f"uid={name},{PEOPLE}"
    slapd.plant(dn, {"objectClass": ["inetOrgPerson"], **{key: [value] for key, value in entry.items()}})
    return dn


def test_an_account_that_starts_later_never_could_sign_in_for_a_moment(tmp_path: Path) -> None:
    with FaultyDirectory(SlapdSandbox(tmp_path / "slapd")) as faulty:
        client = LdapClient(LdapSettings(**faulty.settings()))
        directory, wanted = LdapV3Directory(client), an_account(enabled=False)
        account_id = directory.create(wanted)
        assert [done.operation for done in faulty.effects.entries] == ["add"]  # the block is in the one request that makes it
        assert (directory.read(account_id).enabled, directory.sign_in_works(account_id)) == (False, False)
        directory.enable(account_id)
        assert directory.sign_in_works(account_id) is True
        client.close()


def test_a_posix_group_lists_the_login_and_the_last_member_may_leave(slapd: SlapdSandbox, directory: LdapV3Directory) -> None:
    wanted = an_account()
    account_id = directory.create(wanted)
    group = slapd.add_posix_group(f"shell {wanted.marker}")
    for _ in range(2):
        directory.add_member(group, account_id)
    assert slapd.members(group, "memberUid") == {wanted.login}
    assert directory.read(account_id).groups == {group}
    for _ in range(2):
        directory.remove_member(group, account_id)
    assert slapd.members(group, "memberUid") == set()
    assert directory.read(account_id).groups == frozenset()


def test_a_group_of_unique_names_keeps_a_placeholder_too(slapd: SlapdSandbox, directory: LdapV3Directory) -> None:
    wanted = an_account()
    account_id = directory.create(wanted)
    group = f"cn=unique {wanted.marker},ou=groups,{SUFFIX}"
    members = [slapd.dn_of(wanted.login)]
    slapd.plant(group, {"objectClass": ["groupOfUniqueNames"], "cn": [f"unique {wanted.marker}"], "uniqueMember": members})
    directory.add_member(group, account_id)
    assert directory.read(account_id).groups == {group}
    for _ in range(2):
        directory.remove_member(group, account_id)
    assert slapd.members(group, "uniqueMember") == {NOBODY}
    assert directory.read(account_id).groups == frozenset()


def test_a_group_that_a_query_fills_is_refused(slapd: SlapdSandbox, directory: LdapV3Directory) -> None:
    name = f"query {new_marker()}"
    group = f"cn={name},ou=groups,{SUFFIX}"
    slapd.plant(group, {"objectClass": ["groupOfURLs"], "cn": [name], "memberURL": [f"ldap:///{PEOPLE}??sub?(title=x)"]})
    with pytest.raises(Refused) as caught:
        directory.add_member(group, directory.create(an_account()))
    assert caught.value.cause == "group_not_ours"


def test_a_rename_changes_the_login_and_nothing_that_the_account_is_known_by(
    slapd: SlapdSandbox, directory: LdapV3Directory
) -> None:
    wanted = an_account()
    account_id = directory.create(wanted)
    by_name, by_login = slapd.add_group(f"vpn {wanted.marker}"), slapd.add_posix_group(f"shell {wanted.marker}")
    for group in (by_name, by_login):
        directory.add_member(group, account_id)
    before = slapd.entries(wanted.marker)[0]
    new = f"grace.{wanted.marker.lower()}"
    for _ in range(2):
        directory.rename(account_id, new)
    after = slapd.entries(wanted.marker)[0]
    assert [after[name] for name in ("dn", "entryUUID")] == [before[name] for name in ("dn", "entryUUID")]
    assert after["uid"] == [new, wanted.login]
    assert slapd.members(by_login, "memberUid") == {new}
    for login in (new, wanted.login):
        holder = directory.find_by_login(login)
        assert holder is not None
        assert (holder.account_id, holder.login, holder.groups) == (account_id, new, {by_name, by_login})


def test_an_update_leaves_the_aliases_and_one_that_changes_the_login_is_a_rename(
    slapd: SlapdSandbox, directory: LdapV3Directory
) -> None:
    wanted = an_account()
    account_id = directory.create(wanted)
    new = f"grace.{wanted.marker.lower()}"
    directory.rename(account_id, new)
    shown = directory.read(account_id).attributes
    assert shown is not None
    assert shown["uid"] == new
    directory.update(account_id, {"uid": new, "title": "Architect"})
    assert slapd.entries(wanted.marker)[0]["uid"] == [new, wanted.login]
    directory.update(account_id, {"uid": wanted.login, "title": "Captain"})
    entry = slapd.entries(wanted.marker)[0]
    assert (entry["uid"], entry["title"]) == ([wanted.login, new], ["Captain"])
    with pytest.raises(Refused):
        directory.update(account_id, {"uid": None})


def test_the_order_that_tells_the_login_from_its_aliases_outlives_a_restart(tmp_path: Path) -> None:
    with SlapdSandbox(tmp_path / "slapd") as slapd:
        client = LdapClient(LdapSettings(**slapd.settings()))
        directory, wanted = LdapV3Directory(client), an_account()
        account_id = directory.create(wanted)
        logins = [f"{name}.{wanted.marker.lower()}" for name in ("zoe", "bea", "mia")]
        for login in logins:
            directory.rename(account_id, login)
        slapd.stop()
        slapd.start()
        assert slapd.entries(wanted.marker)[0]["uid"] == [*reversed(logins), wanted.login]
        assert directory.read(account_id).login == logins[-1]
        client.close()


def test_old_logins_can_be_kept_in_another_attribute(slapd: SlapdSandbox) -> None:
    client = LdapClient(LdapSettings(**slapd.settings(), alias_attribute="carLicense"))
    directory, wanted = LdapV3Directory(client), an_account()
    account_id = directory.create(wanted)
    new = f"grace.{wanted.marker.lower()}"
    directory.rename(account_id, new)
    entry = slapd.entries(wanted.marker)[0]
    assert (entry["uid"], entry["carLicense"]) == ([new], [wanted.login])
    for login in (new, wanted.login):
        holder = directory.find_by_login(login)
        assert holder is not None
        assert holder.account_id == account_id
    client.close()


def test_an_adopted_account_that_is_named_by_its_login_is_renamed_without_moving(
    slapd: SlapdSandbox, directory: LdapV3Directory
) -> None:
    marker = new_marker()
    dn = an_employee(slapd, employeeNumber=marker)
    old = dn.partition(",")[0].removeprefix("uid=")
    account = directory.find(marker)[0]
    directory.rename(account.account_id, f"new{old}")
    entry = slapd.entries(marker)[0]
    assert (entry["dn"], entry["uid"]) == (dn, [f"new{old}", old])


def test_a_login_or_an_alias_of_somebody_else_is_taken(slapd: SlapdSandbox, directory: LdapV3Directory) -> None:
    first, second = an_account(), an_account()
    renamed, other = directory.create(first), directory.create(second)
    directory.rename(renamed, f"grace.{first.marker.lower()}")
    for login in (first.login, first.login.upper(), f"grace.{first.marker.lower()}"):
        with pytest.raises(AlreadyTaken) as caught:
            directory.rename(other, login)
        assert caught.value.field == "uid"
        with pytest.raises(AlreadyTaken):
            directory.create(replace(an_account(), login=login))
    assert slapd.entries(second.marker)[0]["uid"] == [second.login]


@pytest.mark.parametrize("login", ["", "a\nb", "\0", "\ud800"])
def test_what_can_be_no_login_is_refused(directory: LdapV3Directory, login: str) -> None:
    with pytest.raises(Refused):
        directory.rename(directory.create(an_account()), login)


def test_a_rename_that_a_posix_group_could_not_follow_is_refused_before_anything_is_written(
    slapd: SlapdSandbox, directory: LdapV3Directory
) -> None:
    wanted = an_account()
    account_id = directory.create(wanted)
    group = slapd.add_posix_group(f"shell {wanted.marker}")
    directory.add_member(group, account_id)
    with pytest.raises(Refused) as caught:
        directory.rename(account_id, f"Ad\u00e9le {wanted.marker}")
    assert caught.value.cause == "bad_login"
    assert slapd.entries(wanted.marker)[0]["uid"] == [wanted.login]
    assert slapd.members(group, "memberUid") == {wanted.login}


def test_a_manager_is_whoever_has_the_address_and_nobody_is_guessed(slapd: SlapdSandbox, directory: LdapV3Directory) -> None:
    wanted = an_account()
    account_id = directory.create(wanted)
    mail = f"{wanted.marker.lower()}@client.example"
    boss = an_employee(slapd, mail=mail)
    for address in (mail.upper(), boss.partition(",")[0].removeprefix("uid=")):
        directory.set_manager(account_id, address)
        shown = directory.read(account_id).attributes
        assert shown is not None
        assert shown["manager"] == boss
    for address in ("nobody@client.example", "*", "*)(uid=*", ""):
        with pytest.raises(NotFound):
            directory.set_manager(account_id, address)
    an_employee(slapd, mail)
    with pytest.raises(Refused) as caught:
        directory.set_manager(account_id, mail)
    assert caught.value.cause == "ambiguous_manager"


def test_a_first_password_works_from_the_start_and_lets_do_nothing_but_change_it(
    slapd: SlapdSandbox, directory: LdapV3Directory
) -> None:
    policy = f"cn=strict {new_marker()},ou=policies,{SUFFIX}"
    strict = {"pwdAttribute": ["userPassword"], "pwdMustChange": ["TRUE"], "pwdAllowUserChange": ["TRUE"]}
    slapd.plant(policy, {"objectClass": ["organizationalRole", "pwdPolicy"], "cn": [policy[3:].partition(",")[0]], **strict})
    wanted = an_account(enabled=False)
    account_id = directory.create(wanted)
    slapd.set_attribute(slapd.dn_of(wanted.login), "pwdPolicySubentry", policy)
    earlier = directory.first_credential(account_id).secret.get_secret_value()
    credential = directory.first_credential(account_id)
    password = credential.secret.get_secret_value()
    assert not slapd.bind_as(wanted.login, password)  # it is not the start yet
    directory.enable(account_id)
    assert not slapd.bind_as(wanted.login, earlier)
    assert slapd.bind_as(wanted.login, password)
    dn = slapd.dn_of(wanted.login)
    person = bound(LdapSettings(**slapd.settings()), dn, password)
    with pytest.raises(ldap.INSUFFICIENT_ACCESS):
        person.search_s(SUFFIX, ldap.SCOPE_BASE)
    person.modify_s(dn, [(ldap.MOD_REPLACE, "userPassword", [b"My-own-choice-1"])])
    person.unbind_s()
    assert slapd.bind_as(wanted.login, "My-own-choice-1")
    assert password not in f"{credential!r}{slapd.entries(wanted.marker)}"


def test_the_last_sign_in_is_told(slapd: SlapdSandbox, directory: LdapV3Directory) -> None:
    wanted = an_account()
    account_id = directory.create(wanted)
    assert directory.read(account_id).last_sign_in is None
    slapd.bind_as(wanted.login, directory.first_credential(account_id).secret.get_secret_value())
    seen = directory.read(account_id).last_sign_in
    assert seen is not None
    assert abs(datetime.now(UTC) - seen) < timedelta(minutes=1)


def test_hostile_names_widen_no_filter_and_collide_in_no_dn(tmp_path: Path) -> None:
    found = measure(tmp_path, list(names(1_000)))
    assert (found.widened, found.collisions) == ([], [])
    assert found.made > 700
    assert found.renamed > 50
