"""Hostile names: whatever a person or a group is called, a filter stays one comparison and a DN stays in its place."""

from __future__ import annotations

import re

import ldap.dn
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.ldap.client import LdapClient
from connectors.ldap.settings import LdapSettings
from connectors.protocols.ldapv3.dialect import random_password
from connectors.protocols.ldapv3.directory import LdapV3Directory
from connectors.protocols.ldapv3.entries import Entry, equals
from connectors.protocols.ldapv3.names import dn_key, is_below, is_dn
from workforce.errors import NotFound, Refused

FORM = {
    "url": "ldap://ldap.client.example",
    "bind_dn": "cn=stint,dc=client,dc=example",
    "bind_password": "secret",
    "people_base": "ou=people,dc=client,dc=example",
    "groups_base": "ou=groups,dc=client,dc=example",
    "disabled_base": "ou=disabled,ou=people,dc=client,dc=example",
}


def a_form(**other: object) -> LdapSettings:
    return LdapSettings(**{**FORM, **other})


@given(st.text())
def test_a_filter_holds_exactly_the_one_value_that_was_asked_for(value: str) -> None:
    condition = equals("uid", value)
    inside = re.fullmatch(r"\(uid=((?:[^()*\\\0]|\\[0-9a-f]{2})*)\)", condition, re.DOTALL)
    assert inside is not None
    assert re.sub(r"\\([0-9a-f]{2})", lambda m: chr(int(m.group(1), 16)), inside.group(1)) == value


@given(st.text())
def test_no_text_is_taken_for_a_group_unless_it_lies_below_the_groups(text: str) -> None:
    settings = a_form()
    try:
        group = LdapV3Directory(LdapClient(settings))._group(text)
    except NotFound:
        return
    assert is_below(group, settings.groups_base)


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).filter(lambda t: t.strip() == t))
def test_a_name_that_is_escaped_into_a_dn_never_leaves_its_place(name: str) -> None:
    dn = f"cn={ldap.dn.escape_dn_chars(name)},{FORM['groups_base']}"
    assert len(dn_key(dn)) == 4
    assert is_below(dn, FORM["groups_base"])


@pytest.mark.parametrize("text", ["", "ada", "cn=a,,dc=b", "cn=\0,dc=b", "\ud800"])
def test_what_is_no_dn_is_told_apart(text: str) -> None:
    assert not is_dn(text)


def test_dns_compare_without_case_and_space() -> None:
    assert dn_key("CN=Ada , OU=People,dc=client") == dn_key("cn=ada,ou=people, DC=client")
    assert is_below("uid=x,OU=People,dc=client,dc=example", "ou=people, dc=client, dc=example")
    assert not is_below("ou=people,dc=client,dc=example", "ou=people,dc=client,dc=example")
    assert not is_below("uid=x,ou=xpeople,dc=client,dc=example", "ou=people,dc=client,dc=example")


def test_dns_compare_as_servers_compare_them() -> None:
    assert dn_key("cn=Zo\u00eb  Smith,dc=client") == dn_key("cn=zoe\u0308 smith,dc=client")
    assert dn_key(r"cn=a\+sn=b,dc=client") != dn_key("cn=a+sn=b,dc=client")
    assert not is_below("what a broken server shows", "dc=client")


def test_an_account_whose_id_is_hidden_is_refused_rather_than_adopted_without_one() -> None:
    with pytest.raises(Refused) as caught:
        LdapV3Directory(LdapClient(a_form()))._read_entry(Entry("uid=ada,dc=client,dc=example", {"uid": [b"ada"]}))
    assert caught.value.cause == "no_id"


def test_a_broken_string_is_refused_before_it_is_sent() -> None:
    with pytest.raises(Refused) as caught:
        equals("uid", "\ud800")
    assert caught.value.field == "uid"


def test_accounts_are_looked_up_in_the_part_of_the_tree_that_all_bases_share() -> None:
    assert a_form().suffix == "dc=client,dc=example"
    assert a_form(disabled_base=None).account_bases == (FORM["people_base"],)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", "http://ldap.client.example"),
        ("url", "ldap://ldap.client.example/dc=x??sub?(uid=*)"),
        ("people_base", "people"),
        ("people_base", "ou=people,dc=elsewhere"),
        ("bind_password", ""),
        ("page_size", 0),
        ("protected_dns", ["boss"]),
        ("dialect", "edirectory"),
    ],
)
def test_a_form_that_cannot_work_is_rejected(field: str, value: object) -> None:
    with pytest.raises(ValidationError):
        a_form(**{field: value})


def test_the_form_shows_no_secret() -> None:
    assert "secret" not in repr(a_form())


def test_no_two_passwords_are_alike() -> None:
    assert len({random_password() for _ in range(100)}) == 100
