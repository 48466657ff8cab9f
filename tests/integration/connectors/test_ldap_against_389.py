"""The dialect of 389 Directory Server on a real one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from connectors.activedirectory.client import ActiveDirectoryClient
from connectors.activedirectory.settings import ActiveDirectorySettings
from connectors.ldap import CONNECTOR
from connectors.ldap.client import LdapClient
from connectors.ldap.dirsrv import SUFFIX, DirsrvSandbox
from connectors.ldap.settings import LdapSettings
from connectors.protocols.ldapv3.dialect import random_password
from connectors.protocols.ldapv3.directory import LdapV3Directory
from workforce.access import DesiredAccount
from workforce.errors import AlreadyTaken, Refused
from workforce.markers import new_marker

pytestmark = pytest.mark.integration

END = datetime(2031, 3, 31, 22, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def client(dirsrv: DirsrvSandbox) -> Iterator[LdapClient]:
    client = LdapClient(CONNECTOR.settings(**dirsrv.settings()))
    yield client
    client.close()


@pytest.fixture
def directory(client: LdapClient) -> LdapV3Directory:
    return LdapV3Directory(client)


def an_account(expires_at: datetime = END, *, enabled: bool = True, **attributes: object) -> DesiredAccount:
    marker = new_marker()
    held = {"cn": "Ada", "sn": "Lovelace", **attributes}
    return DesiredAccount(marker, f"ada.{marker.lower()}", held, frozenset(), expires_at, enabled=enabled)


def test_the_entry_is_named_by_its_marker_and_carries_the_end(dirsrv: DirsrvSandbox, directory: LdapV3Directory) -> None:
    wanted = an_account(ou=["Fleet", "Research"], title="")
    account_id = directory.create(wanted)
    (entry,) = dirsrv.entries(wanted.marker)
    assert entry["dn"] == f"employeeNumber={wanted.marker},ou=people,{SUFFIX}"
    assert (entry["nsUniqueId"], entry["krbPrincipalExpiration"]) == ([account_id], ["20310331220000Z"])
    assert entry["userPassword"][0].startswith("{PBKDF2")


def test_the_end_blocks_sign_in_where_the_account_policy_enforces_it(directory: LdapV3Directory) -> None:
    account_id = directory.create(an_account())
    assert directory.sign_in_works(account_id) is True
    directory.set_expiry(account_id, datetime.now(UTC) - timedelta(seconds=3))
    assert directory.sign_in_works(account_id) is False
    directory.set_expiry(account_id, datetime.now(UTC) + timedelta(minutes=1))
    assert directory.sign_in_works(account_id) is True


def test_a_disabled_account_stays_blocked_when_the_helpdesk_resets_its_password(
    dirsrv: DirsrvSandbox, directory: LdapV3Directory
) -> None:
    wanted, password = an_account(), random_password()
    account_id = directory.create(wanted)
    dn = dirsrv.entries(wanted.marker)[0]["dn"]
    directory.disable(account_id)
    dirsrv.set_password(dn, password)
    assert dirsrv.entries(wanted.marker)[0]["nsAccountLock"] == ["TRUE"]
    assert not dirsrv.bind_as(dn, password)
    directory.enable(account_id)
    assert dirsrv.bind_as(dn, password)
    directory.revoke_sessions(account_id)
    assert not dirsrv.bind_as(dn, password)


def test_moving_takes_the_memberships_along(dirsrv: DirsrvSandbox, directory: LdapV3Directory) -> None:
    wanted = an_account()
    account_id = directory.create(wanted)
    group = dirsrv.add_group(f"moved {wanted.marker}")
    directory.add_member(group, account_id)
    directory.disable(account_id)
    directory.move_to_disabled(account_id)
    assert dirsrv.entries(wanted.marker)[0]["dn"].endswith(f"ou=disabled,{SUFFIX}")
    assert directory.read(account_id).groups == {group}
    directory.remove_member(group, account_id)
    assert directory.read(account_id).groups == frozenset()


@pytest.mark.parametrize("shared", ["uid", "mail", "employeeNumber"])
def test_a_value_in_use_is_told_by_its_attribute(directory: LdapV3Directory, shared: str) -> None:
    first = an_account(mail=f"{new_marker().lower()}@client.example")
    account_id = directory.create(first)
    directory.move_to_disabled(account_id)
    other = an_account()
    second = DesiredAccount(
        first.marker if shared == "employeeNumber" else other.marker,
        first.login if shared == "uid" else other.login,
        {**other.attributes, "mail": first.attributes["mail"] if shared == "mail" else f"{other.login}@client.example"},
        frozenset(),
        END,
    )
    with pytest.raises(AlreadyTaken) as caught:
        directory.create(second)
    assert caught.value.field == shared


@pytest.mark.parametrize(
    "name", ["nsAccountLock", "nsRoleDN", "krbPrincipalExpiration", "userPassword", "passwordExpirationTime"]
)
def test_a_mapping_cannot_lift_a_block(directory: LdapV3Directory, name: str) -> None:
    account_id = directory.create(an_account())
    with pytest.raises(Refused) as caught:
        directory.update(account_id, {name: "x"})
    assert caught.value.cause == "reserved_attribute"


def test_the_connector_for_active_directory_is_found_out(dirsrv: DirsrvSandbox) -> None:
    settings = {name: value for name, value in dirsrv.settings().items() if name != "dialect"}
    result = ActiveDirectoryClient(ActiveDirectorySettings(**settings)).check()
    assert (result.ok, "use the connector ldap" in result.detail) == (False, True)


def test_another_dialect_on_this_server_is_found_out(dirsrv: DirsrvSandbox) -> None:
    result = LdapClient(LdapSettings(**{**dirsrv.settings(), "dialect": "openldap"})).check()
    assert (result.ok, "389ds" in result.detail) == (False, True)


def test_an_account_that_starts_later_is_locked_until_then(dirsrv: DirsrvSandbox, directory: LdapV3Directory) -> None:
    wanted = an_account(enabled=False)
    account_id = directory.create(wanted)
    assert dirsrv.entries(wanted.marker)[0]["nsAccountLock"] == ["TRUE"]
    password = directory.first_credential(account_id).secret.get_secret_value()
    assert not dirsrv.bind_as(wanted.login, password)
    directory.enable(account_id)
    assert dirsrv.bind_as(wanted.login, password)


def test_where_the_policy_says_so_a_first_password_lets_do_nothing_but_change_it(
    dirsrv: DirsrvSandbox, directory: LdapV3Directory
) -> None:
    wanted = an_account()
    account_id = directory.create(wanted)
    dirsrv.set_attribute("cn=config", "passwordMustChange", "on")
    try:
        directory.first_credential(account_id)
        assert dirsrv.entries(wanted.marker)[0]["passwordExpirationTime"][0].startswith("19700101")
    finally:
        dirsrv.set_attribute("cn=config", "passwordMustChange", "off")


def test_a_rename_keeps_the_id_and_the_order_of_the_names(dirsrv: DirsrvSandbox, directory: LdapV3Directory) -> None:
    wanted = an_account()
    account_id = directory.create(wanted)
    logins = [f"{name}.{wanted.marker.lower()}" for name in ("zoe", "bea", "mia")]
    for login in logins:
        directory.rename(account_id, login)
    entry = dirsrv.entries(wanted.marker)[0]
    assert (entry["uid"], entry["nsUniqueId"]) == ([*reversed(logins), wanted.login], [account_id])
    for login in (*logins, wanted.login):
        holder = directory.find_by_login(login)
        assert holder is not None
        assert (holder.account_id, holder.login) == (account_id, logins[-1])


def test_a_posix_group_follows_a_rename(dirsrv: DirsrvSandbox, directory: LdapV3Directory) -> None:
    wanted = an_account()
    account_id = directory.create(wanted)
    group = f"cn=shell {wanted.marker},ou=groups,{SUFFIX}"
    dirsrv.plant(group, {"objectClass": ["posixGroup"], "cn": [f"shell {wanted.marker}"], "gidNumber": ["10000"]})
    directory.add_member(group, account_id)
    directory.rename(account_id, f"grace.{wanted.marker.lower()}")
    assert directory.read(account_id).groups == {group}
    directory.remove_member(group, account_id)
    assert directory.read(account_id).groups == frozenset()
