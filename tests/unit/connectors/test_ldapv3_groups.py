"""Kinds of groups: by DN, by login, and those that a query fills."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connectors.ldap.dialects.openldap import OpenLdap
from connectors.protocols.ldapv3.entries import AccountEntry, Entry
from connectors.protocols.ldapv3.groups import Group, group_of, listing
from workforce.errors import Refused

DN = "cn=vpn,ou=groups,dc=client,dc=example"


def a_group(*classes: str, **values: str) -> Group:
    held = {name: [value.encode()] for name, value in values.items()}
    return group_of(Entry(DN, {"objectClass": [one.encode() for one in classes], **held}))


def an_account(*logins: str) -> AccountEntry:
    entry = Entry("employeeNumber=ST0123456789ABC,ou=people", {"uid": [one.encode() for one in logins]})
    return OpenLdap().account(entry, datetime(2026, 11, 22, tzinfo=UTC))


@pytest.mark.parametrize(
    ("classes", "attribute", "by_login"),
    [
        (("top", "groupOfNames"), "member", False),
        (("groupofuniquenames",), "uniqueMember", False),
        (("top", "posixGroup"), "memberUid", True),
        (("groupOfNames", "posixGroup"), "member", False),
        (("top", "group"), "member", False),
        (("organizationalRole",), "member", False),
    ],
)
def test_a_group_lists_its_members_as_its_class_says(classes: tuple[str, ...], attribute: str, by_login: bool) -> None:
    assert a_group(*classes) == Group(DN, attribute, by_login)


@pytest.mark.parametrize(
    ("classes", "values"), [(("groupOfURLs",), {}), (("top", "dynamicGroup"), {}), (("group",), {"groupType": "-2147483616"})]
)
def test_a_group_that_a_query_fills_is_not_ours(classes: tuple[str, ...], values: dict[str, str]) -> None:
    with pytest.raises(Refused) as caught:
        a_group(*classes, **values)
    assert caught.value.cause == "group_not_ours"


def test_a_security_group_of_active_directory_is_ours() -> None:
    assert a_group("group", groupType="-2147483646").attribute == "member"


def test_a_posix_group_is_searched_by_every_login_that_an_account_ever_had() -> None:
    assert "(memberUid=grace)(memberUid=ada)" in listing(an_account("grace", "ada"))


@pytest.mark.parametrize("login", ["Ada Lovelace", "ad\u00e9le", "ada\n", "\x00ada", " ada"])
def test_a_login_that_memberuid_would_take_for_another_is_refused(login: str) -> None:
    with pytest.raises(Refused) as caught:
        a_group("posixGroup").added(an_account(login))
    assert caught.value.cause == "bad_login"
    assert a_group("posixGroup").listed(an_account(login)) == []
    assert "memberUid" not in listing(an_account(login))
