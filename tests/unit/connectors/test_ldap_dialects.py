"""OpenLDAP's and 389 Directory Server's dialects: what blocks, and how each says which value is in use."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import ldap
import pytest

from connectors.ldap.dialects.ds389 import Ds389
from connectors.ldap.dialects.inetorgperson import InetOrgPersonDialect
from connectors.ldap.dialects.openldap import OpenLdap
from connectors.protocols.ldapv3.dialect import typed_password
from connectors.protocols.ldapv3.entries import AccountEntry, Entry
from workforce.access import DesiredAccount
from workforce.errors import AlreadyTaken, Refused

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def an_entry(**values: str) -> AccountEntry:
    return OpenLdap().account(Entry("uid=x", {name: [value.encode()] for name, value in values.items()}), NOW)


def test_only_the_permanent_lock_and_a_start_in_the_future_disable() -> None:
    assert not an_entry().blocked
    assert not an_entry(pwdAccountLockedTime="20261121115900Z").blocked
    assert an_entry(pwdAccountLockedTime="000001010000Z").blocked
    assert an_entry(pwdStartTime="21000101000000Z").blocked
    assert not an_entry(pwdStartTime="20260101000000Z").blocked


def test_an_employee_number_that_is_no_marker_of_ours_is_none() -> None:
    assert an_entry(employeeNumber="4711").marker is None
    assert an_entry(employeeNumber="ST0123456789ABC").marker == "ST0123456789ABC"


@pytest.mark.parametrize(
    ("dialect", "said", "field"),
    [
        (OpenLdap(), "non-unique attributes found with (|(uid=ada))", "uid"),
        (OpenLdap(), "non-unique attributes found with (|(mail=ada@home.example))", "mail"),
        (Ds389(), 'same attribute value already exists (attribute: "uid")', "uid"),
    ],
)
@pytest.mark.parametrize("writing", [True, False])
def test_a_value_in_use_is_told_by_its_attribute_and_without_the_value(
    dialect: InetOrgPersonDialect, said: str, field: str, writing: bool
) -> None:
    error = ldap.CONSTRAINT_VIOLATION({"info": said, "matched": "uid=ada"})
    found = dialect.results.translated(error, "add an account", writing=writing)
    assert isinstance(found, AlreadyTaken)
    assert (found.field, "ada" in str(found)) == (field, False)


def test_another_rule_that_is_broken_is_no_value_in_use() -> None:
    error = ldap.CONSTRAINT_VIOLATION({"info": "Password fails quality checking policy"})
    found = OpenLdap().results.translated(error, "add an account", writing=True)
    assert type(found) is Refused


@pytest.mark.parametrize("dialect", [OpenLdap(), Ds389()])
def test_a_domain_controller_is_another_connector_s(dialect: InetOrgPersonDialect) -> None:
    assert "activedirectory" in (dialect.instead(Entry("", {"dsServiceName": [b"CN=NTDS Settings"]})) or "")
    assert dialect.instead(Entry("", {})) is None


def test_389_directory_server_is_told_by_its_name() -> None:
    root = Entry("", {"vendorName": [b"389 Project"]})
    assert "389ds" in (OpenLdap().instead(root) or "")
    assert Ds389().instead(root) is None


@pytest.mark.parametrize("dialect", [OpenLdap(), Ds389()])
def test_a_new_entry_carries_its_block_from_the_beginning_unless_it_is_enabled(dialect: InetOrgPersonDialect) -> None:
    account = DesiredAccount("ST0123456789ABC", "ada", {}, frozenset(), NOW, enabled=False)
    names = {name for name, _ in dialect.new_entry(account, {}, "ou=people")[1]}
    assert set(dialect.block) <= names
    enabled = dialect.new_entry(replace(account, enabled=True), {}, "ou=people")[1]
    assert names - {name for name, _ in enabled} == set(dialect.block)


def test_the_first_value_of_uid_is_the_login_and_the_others_are_aliases() -> None:
    account = OpenLdap().account(Entry("x", {"uid": [b"grace", b"ada"]}), NOW)
    assert (account.login, account.aliases) == ("grace", ("ada",))
    (changes,) = OpenLdap().renaming(account, "lin")
    assert changes == [(ldap.MOD_REPLACE, "uid", [b"lin", b"grace", b"ada"])]
    assert OpenLdap().renaming(account, "ada") == [[(ldap.MOD_REPLACE, "uid", [b"ada", b"grace"])]]
    assert OpenLdap().renaming(account, "grace") == []


def test_old_logins_stay_in_an_attribute_of_their_own_where_there_is_one() -> None:
    dialect = Ds389("mailAlternateAddress")
    account = dialect.account(Entry("x", {"uid": [b"grace"], "mailAlternateAddress": [b"ada"]}), NOW)
    assert account.aliases == ("ada",)
    (changes,) = dialect.renaming(account, "lin")
    assert changes == [(ldap.MOD_REPLACE, "uid", [b"lin"]), (ldap.MOD_REPLACE, "mailAlternateAddress", [b"grace", b"ada"])]
    assert dialect.by_login("ada") == "(|(uid=ada)(mailAlternateAddress=ada))"
    assert "mailAlternateAddress" in dialect.attributes


def test_a_password_that_is_handed_over_keeps_the_lock_and_has_to_be_changed() -> None:
    (changes,) = OpenLdap().handing_over(an_entry(uid="ada", pwdAccountLockedTime="000001010000Z"), "Typed-once-1")
    assert [name for _, name, _ in changes] == ["pwdAccountLockedTime", "userPassword", "pwdAccountLockedTime", "pwdReset"]
    ((_, name, values),) = Ds389().handing_over(an_entry(uid="ada"), "Typed-once-1")[0]  # that server marks it by itself
    assert (name, values) == ("userPassword", [b"Typed-once-1"])


def test_the_last_sign_in_is_told_where_the_server_records_it() -> None:
    assert an_entry().last_sign_in is None
    assert an_entry(pwdLastSuccess="20261122074536Z").last_sign_in == datetime(2026, 11, 22, 7, 45, 36, tzinfo=UTC)
    entry = Entry("x", {"lastLoginTime": [b"20261122074536Z"]})
    assert Ds389().account(entry, NOW).last_sign_in == datetime(2026, 11, 22, 7, 45, 36, tzinfo=UTC)


def test_a_typed_password_is_legible_meets_common_rules_and_is_another_one_each_time() -> None:
    made = [typed_password() for _ in range(500)]
    assert len(set(made)) == 500
    assert all(len(one) == 23 and not set(one) & set("0O1lI") for one in made)
    assert all(any(map(str.isupper, one)) and any(map(str.islower, one)) and any(map(str.isdigit, one)) for one in made)
