"""OpenLDAP's and 389 Directory Server's dialects: what blocks, and how each says which value is in use."""

from __future__ import annotations

from datetime import UTC, datetime

import ldap
import pytest

from connectors.ldap.dialects.ds389 import Ds389
from connectors.ldap.dialects.inetorgperson import InetOrgPersonDialect
from connectors.ldap.dialects.openldap import OpenLdap
from connectors.protocols.ldapv3.entries import AccountEntry, Entry
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
