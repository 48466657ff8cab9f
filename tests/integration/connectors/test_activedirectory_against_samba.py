"""Active Directory on a real domain controller, which is Samba's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import ldap
import pytest

from connectors.activedirectory import CONNECTOR
from connectors.activedirectory.client import ActiveDirectoryClient
from connectors.activedirectory.sandbox import ADMIN_DN, SUFFIX, SambaSandbox
from connectors.activedirectory.settings import ActiveDirectorySettings
from connectors.ldap.client import LdapClient
from connectors.ldap.settings import LdapSettings
from connectors.protocols.ldapv3.dialect import random_password
from connectors.protocols.ldapv3.directory import LdapV3Directory
from connectors.protocols.ldapv3.entries import equals
from workforce.access import DesiredAccount
from workforce.errors import AlreadyTaken, Misconfigured, NotFound, Refused
from workforce.markers import new_marker

pytestmark = pytest.mark.integration

END = datetime(2031, 3, 31, 22, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def client(samba: SambaSandbox) -> Iterator[ActiveDirectoryClient]:
    client = ActiveDirectoryClient(CONNECTOR.settings(**samba.settings()))
    yield client
    client.close()


@pytest.fixture
def directory(client: ActiveDirectoryClient) -> LdapV3Directory:
    return LdapV3Directory(client)


def an_account(expires_at: datetime = END, *, enabled: bool = True, **attributes: object) -> DesiredAccount:
    marker = new_marker()
    login = f"ada.{marker.lower()}@client.example"
    held = {"displayName": "Ada Lovelace", "sn": "Lovelace", **attributes}
    return DesiredAccount(marker, login, held, frozenset(), expires_at, enabled=enabled)


def form(samba: SambaSandbox, **other: object) -> ActiveDirectorySettings:
    return ActiveDirectorySettings(**{**samba.settings(), **other})


def test_the_user_is_named_by_its_marker_and_can_sign_in_until_the_end(samba: SambaSandbox, directory: LdapV3Directory) -> None:
    wanted = an_account(mail="ada@client.example", company="Fleet")
    account_id = directory.create(wanted)
    (entry,) = samba.entries(wanted.marker)
    assert entry["dn"] == f"CN={wanted.marker},OU=People,{SUFFIX}"
    assert (entry["sAMAccountName"], entry["userPrincipalName"]) == ([wanted.marker], [wanted.login])
    assert (entry["userAccountControl"], entry["accountExpires"]) == (["512"], ["135772344000000000"])
    assert entry["pwdLastSet"] != ["0"]
    assert directory.sign_in_works(account_id) is True


def test_the_native_expiry_blocks_sign_in_with_nobody_else_about(directory: LdapV3Directory) -> None:
    account_id = directory.create(an_account())
    directory.set_expiry(account_id, datetime.now(UTC) - timedelta(seconds=2))
    assert directory.sign_in_works(account_id) is False
    directory.set_expiry(account_id, datetime.now(UTC) + timedelta(minutes=1))
    assert directory.sign_in_works(account_id) is True


def test_a_disabled_account_stays_blocked_when_the_helpdesk_resets_its_password(
    samba: SambaSandbox, directory: LdapV3Directory
) -> None:
    wanted, password = an_account(), random_password()
    account_id = directory.create(wanted)
    directory.disable(account_id)
    dn = samba.entries(wanted.marker)[0]["dn"]
    samba.set_password(dn, password)
    assert not samba.bind_as(dn, password)
    directory.enable(account_id)
    assert samba.bind_as(dn, password)


def test_other_bits_of_the_account_control_are_left_as_they_are(samba: SambaSandbox, directory: LdapV3Directory) -> None:
    wanted = an_account()
    account_id = directory.create(wanted)
    samba.set_attribute(samba.entries(wanted.marker)[0]["dn"], "userAccountControl", "66048")
    for act, expected in ((directory.disable, "66050"), (directory.enable, "66048")):
        act(account_id)
        assert samba.entries(wanted.marker)[0]["userAccountControl"] == [expected]


def test_revoking_sessions_kills_the_known_password_and_keeps_the_block(samba: SambaSandbox, directory: LdapV3Directory) -> None:
    wanted, password = an_account(), random_password()
    account_id = directory.create(wanted)
    dn = samba.entries(wanted.marker)[0]["dn"]
    samba.set_password(dn, password)
    assert samba.bind_as(dn, password)
    directory.revoke_sessions(account_id)
    assert not samba.bind_as(dn, password)
    directory.disable(account_id)
    directory.revoke_sessions(account_id)
    assert directory.read(account_id).enabled is False


def test_an_account_that_was_left_half_made_is_found_and_finished(samba: SambaSandbox, directory: LdapV3Directory) -> None:
    wanted = an_account()
    half = {"objectClass": ["user"], "employeeNumber": [wanted.marker], "userPrincipalName": [wanted.login]}
    dn = f"CN={wanted.marker},OU=People,{SUFFIX}"
    samba.plant(dn, {**half, "sAMAccountName": [wanted.marker], "userAccountControl": ["546"]})
    with pytest.raises(AlreadyTaken):
        directory.create(wanted)
    (found,) = directory.find(wanted.marker)
    assert not found.enabled
    directory.enable(found.account_id)
    assert samba.entries(wanted.marker)[0]["pwdLastSet"] != ["0"]
    assert directory.read(found.account_id).enabled


def test_an_account_that_starts_later_has_a_password_and_is_disabled(samba: SambaSandbox, directory: LdapV3Directory) -> None:
    wanted = an_account(enabled=False)
    account_id = directory.create(wanted)
    (entry,) = samba.entries(wanted.marker)
    assert (entry["userAccountControl"], entry["pwdLastSet"] == ["0"]) == (["514"], False)
    assert directory.sign_in_works(account_id) is False
    directory.enable(account_id)
    assert samba.entries(wanted.marker)[0]["userAccountControl"] == ["512"]
    assert directory.sign_in_works(account_id) is True


def test_a_first_password_has_to_be_changed_and_is_not_lost_when_the_account_starts(
    samba: SambaSandbox, directory: LdapV3Directory
) -> None:
    wanted = an_account(enabled=False)
    account_id = directory.create(wanted)
    credential = directory.first_credential(account_id)
    password = credential.secret.get_secret_value()
    directory.enable(account_id)
    dn = samba.dn_of(wanted.login)
    assert samba.entries(wanted.marker)[0]["pwdLastSet"] == ["0"]
    assert not samba.bind_as(dn, password)  # it must be changed first (773)
    samba.set_attribute(dn, "pwdLastSet", "-1")
    assert samba.bind_as(dn, password)
    assert password not in repr(credential)
    seen = directory.read(account_id).last_sign_in
    assert seen is not None
    assert abs(datetime.now(UTC) - seen) < timedelta(minutes=1)


def test_a_rename_changes_both_sign_in_names_and_keeps_the_old_one_as_an_address(
    samba: SambaSandbox, directory: LdapV3Directory
) -> None:
    local = f"ada{new_marker()[2:12].lower()}"
    wanted = replace(an_account(sAMAccountName=local), login=f"{local}@client.example")
    account_id = directory.create(wanted)
    before, new = samba.entries(wanted.marker)[0], f"x{local}@client.example"
    for _ in range(2):
        directory.rename(account_id, new)
    after = samba.entries(wanted.marker)[0]
    assert [after[name] for name in ("dn", "objectGUID")] == [before[name] for name in ("dn", "objectGUID")]
    assert (after["userPrincipalName"], after["sAMAccountName"]) == ([new], [f"x{local}"])
    assert after["proxyAddresses"] == [f"smtp:{wanted.login}"]
    directory.update(account_id, {"userPrincipalName": f"y{local}@client.example", "title": "Captain"})
    assert set(samba.entries(wanted.marker)[0]["proxyAddresses"]) == {f"smtp:{wanted.login}", f"smtp:{new}"}
    directory.update(account_id, {"userPrincipalName": new})
    for login in (new, wanted.login):
        holder = directory.find_by_login(login)
        assert holder is not None
        assert (holder.account_id, holder.login) == (account_id, new)
    with pytest.raises(AlreadyTaken) as caught:
        directory.rename(directory.create(an_account()), wanted.login)
    assert caught.value.field == "userPrincipalName"


def test_a_manager_is_whoever_has_the_address(samba: SambaSandbox, directory: LdapV3Directory) -> None:
    wanted, name = an_account(), f"boss{new_marker()[2:12].lower()}"
    samba.add_user(name, userPrincipalName=f"{name}@client.example", mail=f"{name}@mail.example")
    account_id = directory.create(wanted)
    for address in (f"{name}@mail.example", f"{name}@client.example"):
        directory.set_manager(account_id, address)
        assert samba.entries(wanted.marker)[0]["manager"] == [f"CN={name},OU=People,{SUFFIX}"]
    with pytest.raises(NotFound):
        directory.set_manager(account_id, "nobody@client.example")


def test_an_account_comes_back_from_the_disabled_ones_with_its_groups(samba: SambaSandbox, directory: LdapV3Directory) -> None:
    wanted = an_account()
    account_id = directory.create(wanted)
    group = samba.add_group(f"vpn {wanted.marker}")
    directory.add_member(group, account_id)
    directory.disable(account_id)
    directory.move_to_disabled(account_id)
    directory.enable(account_id)
    state = directory.read(account_id)
    assert (state.enabled, state.groups) == (True, {group})
    assert samba.dn_of(wanted.login) == f"CN={wanted.marker},OU=People,{SUFFIX}"


def test_somebody_else_s_change_of_the_account_control_is_never_written_over(
    samba: SambaSandbox, client: ActiveDirectoryClient, directory: LdapV3Directory
) -> None:
    wanted = an_account()
    account_id = directory.create(wanted)
    dn = samba.entries(wanted.marker)[0]["dn"]
    (stale,) = client.search(dn, equals("objectClass", "user"), client.dialect.attributes)
    samba.set_attribute(dn, "userAccountControl", "66048")
    (request,) = client.dialect.blocking(client.dialect.account(stale, datetime.now(UTC)))
    assert [(kind, values) for kind, _, values in request] == [(ldap.MOD_DELETE, [b"512"]), (ldap.MOD_ADD, [b"514"])]
    directory.disable(account_id)
    assert samba.entries(wanted.marker)[0]["userAccountControl"] == ["66050"]


def test_a_place_that_nobody_may_move_to_is_reported_and_not_forced(samba: SambaSandbox, directory: LdapV3Directory) -> None:
    wanted = an_account()
    account_id = directory.create(wanted)
    closed = LdapV3Directory(ActiveDirectoryClient(form(samba, disabled_base=f"OU=Services,{SUFFIX}")))
    with pytest.raises(Refused) as caught:
        closed.move_to_disabled(account_id)
    assert (caught.value.cause, "protection" in str(caught.value)) == ("insufficient_access", True)
    assert samba.dn_of(wanted.login) == f"CN={wanted.marker},OU=People,{SUFFIX}"


def test_one_marker_makes_one_account_even_when_it_was_moved_away(samba: SambaSandbox, directory: LdapV3Directory) -> None:
    wanted = an_account()
    account_id = directory.create(wanted)
    for _ in range(2):
        again = DesiredAccount(wanted.marker, an_account().login, wanted.attributes, frozenset(), END)
        with pytest.raises(AlreadyTaken):
            directory.create(again)
        directory.move_to_disabled(account_id)
    (entry,) = samba.entries(wanted.marker)
    assert entry["dn"] == f"CN={wanted.marker},OU=Disabled,{SUFFIX}"


def test_a_login_is_taken_by_whoever_holds_it_as_either_name(samba: SambaSandbox, directory: LdapV3Directory) -> None:
    name = f"x{new_marker()[2:].lower()}"
    holder = samba.add_user(name, sAMAccountName=name, userPrincipalName=f"{name}@client.example")
    for login in (name, f"{name}@client.example"):
        found = directory.find_by_login(login)
        assert found is not None
        assert (found.account_id, found.protected) == (holder, True)


def test_accounts_that_the_directory_protects_are_refused(samba: SambaSandbox, directory: LdapV3Directory) -> None:
    wanted = an_account()
    account_id = directory.create(wanted)
    samba.set_attribute(samba.entries(wanted.marker)[0]["dn"], "adminCount", "1")
    assert directory.read(account_id).protected
    with pytest.raises(Refused) as caught:
        directory.disable(account_id)
    assert caught.value.cause == "protected_account"
    (outcome,) = directory.block_all([account_id]).values()
    assert outcome is not None
    assert outcome.cause == "protected_account"
    administrator = directory.find_by_login("Administrator")
    assert administrator is not None
    assert administrator.protected


def test_a_right_that_was_not_delegated_is_refused_by_name(samba: SambaSandbox) -> None:
    beyond = LdapV3Directory(ActiveDirectoryClient(form(samba, people_base=f"OU=Services,{SUFFIX}")))
    with pytest.raises(Refused) as caught:
        beyond.create(an_account())
    assert caught.value.cause == "insufficient_access"


@pytest.mark.parametrize(
    ("attributes", "cause"),
    [({"frobnicate": "1"}, "undefined_type"), ({"cn": "Ada"}, "reserved_attribute"), ({"sAMAccountName": "a" * 21}, "bad_login")],
)
def test_what_the_domain_forbids_is_refused_with_its_cause(
    directory: LdapV3Directory, attributes: dict[str, object], cause: str
) -> None:
    account_id = directory.create(an_account())
    with pytest.raises(Refused) as caught:
        directory.update(account_id, attributes)
    assert caught.value.cause == cause


def test_a_list_that_comes_in_ranges_is_read_to_its_end(
    samba: SambaSandbox, client: ActiveDirectoryClient, directory: LdapV3Directory
) -> None:
    group = samba.add_group(f"many {new_marker()}")
    for _ in range(7):
        directory.add_member(group, directory.create(an_account()))
    (whole,) = client.search(group, equals("objectClass", "group"), ("member",))
    assert len(whole.values["member"]) == 7
    with samba.administrator() as admin:  # what a domain controller of Microsoft's does by itself from 1,500 values on
        part = admin.search_s(group, ldap.SCOPE_BASE, attrlist=["member;range=0-2"])[0][1]
    assert [len(values) for values in part.values()] == [3]
    (ranged,) = client.search(group, equals("objectClass", "group"), ("member;range=0-2",))
    assert sorted(ranged.values["member"]) == sorted(whole.values["member"])


def test_a_search_of_the_whole_domain_gives_no_references(client: ActiveDirectoryClient) -> None:
    found = client.search(SUFFIX, equals("sAMAccountName", "Administrator"), ("cn",))
    assert [entry.dn for entry in found] == [ADMIN_DN]


def test_a_bind_that_fails_says_why(samba: SambaSandbox) -> None:
    with pytest.raises(Misconfigured) as caught:
        LdapV3Directory(ActiveDirectoryClient(form(samba, bind_password="wrong"))).find_by_login("x")
    assert caught.value.field == "bind_password"
    login = f"{new_marker().lower()}@client.example"
    samba.add_user(login, userPrincipalName=login, userAccountControl="514")
    disabled = ActiveDirectoryClient(form(samba, bind_dn=f"CN={login},OU=People,{SUFFIX}", bind_password="whatever it was"))
    assert not disabled.check().ok


def test_passwords_are_never_sent_in_the_clear(samba: SambaSandbox) -> None:
    plain = ldap.initialize(samba.settings()["url"])
    with pytest.raises(ldap.STRONG_AUTH_REQUIRED):
        plain.simple_bind_s(samba.settings()["bind_dn"], samba.settings()["bind_password"])
    plain.unbind_s()


def test_the_connector_for_other_directories_is_found_out(samba: SambaSandbox) -> None:
    result = LdapClient(LdapSettings(**samba.settings())).check()
    assert (result.ok, "activedirectory" in result.detail) == (False, True)
