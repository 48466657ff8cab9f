"""Active Directory's dialect: its times, its ids, its bits, and its own way of saying things."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import ldap
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.activedirectory.dialect import ActiveDirectory
from connectors.activedirectory.ranges import completed
from connectors.protocols.ldapv3.entries import AccountEntry, Entry
from workforce.access import DesiredAccount
from workforce.errors import AlreadyTaken, HubError, Misconfigured, Refused, RetryLater
from workforce.markers import new_marker

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
GUID = UUID("803bbdb6-a035-4896-aa37-7aab95eeb97e")
DIALECT = ActiveDirectory()
BASE = "OU=People,DC=client,DC=example"


def _all_below(kind: type[Exception]) -> set[type[Exception]]:
    return {sub for direct in kind.__subclasses__() for sub in {direct, *_all_below(direct)}}


def an_account(**values: str | bytes) -> AccountEntry:
    held = {"objectGUID": GUID.bytes_le, "userAccountControl": "512", "pwdLastSet": "134397835414000720", **values}
    stored = {name: [value.encode() if isinstance(value, str) else value] for name, value in held.items()}
    return DIALECT.account(Entry(f"CN=x,{BASE}", stored), NOW)


def wanted(expires_at: datetime = NOW, login: str = "ada@client.example") -> DesiredAccount:
    return DesiredAccount(new_marker(), login, {}, frozenset(), expires_at)


def test_an_id_is_stored_with_its_first_parts_reversed() -> None:
    assert an_account().account_id == str(GUID)
    assert DIALECT.by_id(str(GUID)) == r"(objectGUID=\b6\bd\3b\80\35\a0\96\48\aa\37\7a\ab\95\ee\b9\7e)"
    assert DIALECT.by_id("ada") is None


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2900, 1, 1), timezones=st.timezones()))  # noqa: DTZ001 - bounds
def test_an_account_is_valid_until_the_end_to_the_second_and_never_shorter(moment: datetime) -> None:
    ((_, name, values),) = DIALECT.expiring(moment)
    assert name == "accountExpires"
    assert values is not None
    shown = an_account(accountExpires=values[0]).ends_at
    assert shown is not None
    assert timedelta(0) <= shown - moment < timedelta(seconds=1)


def test_a_filetime_counts_tenths_of_microseconds_since_1601() -> None:
    ((_, _, values),) = DIALECT.expiring(datetime(2031, 3, 31, 22, 0, tzinfo=UTC))
    assert values == [b"135772344000000000"]
    assert int(values[0]) == (int(datetime(2031, 3, 31, 22, 0, tzinfo=UTC).timestamp()) + 11644473600) * 10**7


@pytest.mark.parametrize("value", ["0", "9223372036854775807", "9223372036854775806", "soon"])
def test_what_never_ends_or_lies_beyond_every_calendar_has_no_end(value: str) -> None:
    assert an_account(accountExpires=value).ends_at is None


@pytest.mark.parametrize(
    ("control", "blocked"), [("512", False), ("514", True), ("546", True), ("66048", False), ("66050", True)]
)
def test_only_the_disable_bit_blocks(control: str, blocked: bool) -> None:
    assert an_account(userAccountControl=control, lockoutTime="134397835414000720").blocked is blocked


def test_control_bits_are_switched_by_replacing_exactly_the_value_that_was_read() -> None:
    assert DIALECT.blocking(an_account(userAccountControl="66048")) == [
        [(ldap.MOD_DELETE, "userAccountControl", [b"66048"]), (ldap.MOD_ADD, "userAccountControl", [b"66050"])]
    ]
    assert DIALECT.enabling(an_account(userAccountControl="66050")) == [
        [(ldap.MOD_DELETE, "userAccountControl", [b"66050"]), (ldap.MOD_ADD, "userAccountControl", [b"66048"])]
    ]
    assert DIALECT.blocking(an_account(userAccountControl="514")) == []
    assert DIALECT.enabling(an_account()) == []


def test_an_account_that_never_had_a_password_gets_one_before_it_is_enabled() -> None:
    password, control = DIALECT.enabling(an_account(userAccountControl="546", pwdLastSet="0"))
    assert [name for _, name, _ in password] == ["unicodePwd"]
    assert [(name, values) for _, name, values in control] == [
        ("userAccountControl", [b"546"]),
        ("userAccountControl", [b"512"]),
    ]


def test_a_password_that_was_handed_over_outlives_the_enabling() -> None:
    (control,) = DIALECT.enabling(an_account(userAccountControl="514", pwdLastSet="0"))
    assert {name for _, name, _ in control} == {"userAccountControl"}


@pytest.mark.parametrize(("enabled", "control"), [(True, b"512"), (False, b"514")])
def test_a_new_account_gets_its_password_before_anything_else(enabled: bool, control: bytes) -> None:
    password, switched = DIALECT.finishing(an_account(userAccountControl="546", pwdLastSet="0"), enabled=enabled)
    assert [name for _, name, _ in password] == ["unicodePwd"]
    assert switched[-1] == (ldap.MOD_ADD, "userAccountControl", [control])


def test_a_first_password_has_to_be_changed_and_counts_as_one() -> None:
    password, changes = DIALECT.handing_over(an_account(userAccountControl="546"), "Typed-once-1")
    assert password == [(ldap.MOD_REPLACE, "unicodePwd", ['"Typed-once-1"'.encode("utf-16-le")])]
    assert changes[0] == (ldap.MOD_REPLACE, "pwdLastSet", [b"0"])
    assert changes[-1] == (ldap.MOD_ADD, "userAccountControl", [b"514"])
    assert len(DIALECT.handing_over(an_account(), "Typed-once-1")[1]) == 1


def an_account_of(old: str, sam: str, *addresses: str) -> AccountEntry:
    held = {"userPrincipalName": [old], "sAMAccountName": [sam], "proxyAddresses": list(addresses)}
    stored = {name: [value.encode() for value in values] for name, values in held.items()}
    stored |= {"objectGUID": [GUID.bytes_le], "userAccountControl": [b"512"]}
    return DIALECT.account(Entry(f"CN=x,{BASE}", stored), NOW)


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ((), ["smtp:ada@x.example"]),
        (("SMTP:ada@x.example", "smtp:other@x.example"), ["smtp:other@x.example", "SMTP:grace@x.example", "smtp:ada@x.example"]),
        (("SMTP:a.l@x.example",), ["SMTP:a.l@x.example", "smtp:ada@x.example"]),
        (("smtp:grace@x.example",), ["smtp:ada@x.example"]),
    ],
)
def test_after_a_rename_the_old_login_is_an_address_and_a_primary_address_follows(
    held: tuple[str, ...], expected: list[str]
) -> None:
    (changes,) = DIALECT.renaming(an_account_of("ada@x.example", "ST0123456789ABC", *held), "grace@x.example")
    assert changes[:2] == [
        (ldap.MOD_DELETE, "userPrincipalName", [b"ada@x.example"]),
        (ldap.MOD_ADD, "userPrincipalName", [b"grace@x.example"]),
    ]
    assert changes[2:] == [(ldap.MOD_REPLACE, "proxyAddresses", [one.encode() for one in expected])]


@pytest.mark.parametrize(
    ("sam", "login", "changed"),
    [
        ("Ada", "grace@x.example", [b"grace"]),
        ("ada", f"{'g' * 21}@x.example", None),
        ("alovelace", "grace@x.example", None),
        ("ST0123456789ABC", "grace@x.example", None),
    ],
)
def test_the_old_logon_name_follows_where_it_was_made_of_the_login_and_windows_takes_it(
    sam: str, login: str, changed: list[bytes] | None
) -> None:
    (changes,) = DIALECT.renaming(an_account_of("ada@x.example", sam), login)
    assert next((values for _, name, values in changes if name == "sAMAccountName"), None) == changed


def test_a_rename_to_the_same_login_does_nothing_and_one_without_a_domain_is_refused() -> None:
    assert DIALECT.renaming(an_account_of("ada@x.example", "ada"), "ada@x.example") == []
    with pytest.raises(Refused):
        DIALECT.renaming(an_account_of("ada@x.example", "ada"), "grace")


def test_the_last_sign_in_is_the_later_of_what_this_and_all_domain_controllers_saw() -> None:
    seen = an_account(lastLogonTimestamp="135772344000000000", lastLogon="135772344010000000").last_sign_in
    assert seen == datetime(2031, 3, 31, 22, 0, 1, tzinfo=UTC)
    assert an_account(lastLogon="0").last_sign_in is None


def test_enabling_lifts_a_lockout() -> None:
    (changes,) = DIALECT.enabling(an_account(lockoutTime="134397835414000720"))
    assert changes == [(ldap.MOD_REPLACE, "lockoutTime", [b"0"])]


def test_signing_out_resets_the_password_twice_to_quoted_utf_16() -> None:
    first, second = DIALECT.signing_out(an_account())
    assert first != second
    ((_, name, values),) = first
    assert (
        (name, values[0].decode("utf-16-le")[0], values[0].decode("utf-16-le")[-1]) == ("unicodePwd", '"', '"')
        if values
        else False
    )


def test_a_new_entry_is_disabled_has_no_password_and_is_named_by_its_marker() -> None:
    account = wanted()
    dn, attributes = DIALECT.new_entry(account, {"displayname": [b"Ada"], "objectclass": [b"posixAccount"]}, BASE)
    held = dict(attributes)
    assert dn == f"CN={account.marker},{BASE}"
    assert held["useraccountcontrol"] == [b"546"]
    assert held["samaccountname"] == held["employeenumber"] == [account.marker.encode()]
    assert len(account.marker) <= 20
    assert held["objectclass"] == [b"user", b"posixAccount"]
    assert "unicodepwd" not in held


def test_a_login_without_a_domain_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        DIALECT.new_entry(wanted(login="ada"), {}, BASE)
    assert caught.value.field == "userPrincipalName"


@pytest.mark.parametrize("name", ["a" * 21, "a@b", "a*", "a/b", "ada.", 'a"b', "a\x01", "a:b", "a,b"])
def test_an_old_logon_name_that_windows_would_not_take_is_refused(name: str) -> None:
    with pytest.raises(Refused) as caught:
        DIALECT.require_usable({"samaccountname": [name.encode()]})
    assert caught.value.field == "sAMAccountName"


def test_an_old_logon_name_that_the_mapping_gives_has_its_way() -> None:
    DIALECT.require_usable({"samaccountname": [b"ada.lovelace"]})
    _, attributes = DIALECT.new_entry(wanted(), {"samaccountname": [b"ada.lovelace"]}, BASE)
    assert dict(attributes)["samaccountname"] == [b"ada.lovelace"]


@pytest.mark.parametrize(
    "name", ["cn", "CN", "name", "userAccountControl", "unicodePwd", "memberOf", "sIDHistory", "servicePrincipalName", "objectSid",
             "msDS-AllowedToDelegateTo", "pwdLastSet", "primaryGroupID", "altSecurityIdentities", "nTSecurityDescriptor", "adminCount"]
)  # fmt: skip
def test_a_mapping_cannot_set_what_gives_rights(name: str) -> None:
    assert DIALECT.reserved.match(name)


@pytest.mark.parametrize("name", ["displayName", "sn", "objectClass", "mail", "company", "department", "employeeType", "member_"])
def test_a_mapping_can_set_the_rest(name: str) -> None:
    assert not DIALECT.reserved.match(name)


def test_administrators_and_accounts_whose_state_is_not_shown_are_untouchable() -> None:
    assert an_account(adminCount="1").untouchable
    assert not an_account(adminCount="0").untouchable
    assert DIALECT.account(Entry("CN=x", {"objectGUID": [GUID.bytes_le]}), NOW).untouchable


@pytest.mark.parametrize(
    ("error", "is_done"),
    [
        (ldap.UNWILLING_TO_PERFORM({"info": "00000561: SvcErr: DSID-031A1254, problem 5003 (WILL_NOT_PERFORM), data 0"}), True),
        (ldap.UNWILLING_TO_PERFORM({"info": "Attribute member already deleted for target GUID 803bbdb6"}), True),
        (ldap.UNWILLING_TO_PERFORM({"info": "0000055E: SvcErr: DSID-031A11C4, problem 5003"}), False),
        (ldap.UNWILLING_TO_PERFORM(), False),
        (ldap.NO_SUCH_OBJECT({"info": "00000561"}), False),
    ],
)
def test_only_the_answer_that_says_no_member_counts_as_removed(error: ldap.LDAPError, is_done: bool) -> None:
    assert DIALECT.is_no_member(error) is is_done


def test_a_member_that_is_there_already_counts_as_added() -> None:
    assert DIALECT.is_member_already(
        ldap.ALREADY_EXISTS({"info": "00000562: UpdErr: DSID-031A11E2, problem 6005 (ENTRY_EXISTS)"})
    )
    assert not DIALECT.is_member_already(ldap.UNWILLING_TO_PERFORM())


def a_refused_bind(code: str) -> ldap.LDAPError:
    info = f"80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data {code}, v1db1"
    return ldap.INVALID_CREDENTIALS({"info": info})


@pytest.mark.parametrize(
    ("code", "kind", "field"),
    [
        ("52e", Misconfigured, "bind_password"),
        ("525", Misconfigured, "bind_dn"),
        ("532", Misconfigured, "bind_password"),
        ("533", Misconfigured, "bind_dn"),
        ("701", Misconfigured, "bind_dn"),
        ("773", Misconfigured, "bind_password"),
        ("530", RetryLater, None),
        ("775", RetryLater, None),
        ("999", Misconfigured, "bind_password"),
    ],
)
def test_a_refused_bind_says_what_is_to_be_mended(code: str, kind: type[HubError], field: str | None) -> None:
    error = DIALECT.results.of_bind(a_refused_bind(code))
    assert (type(error), error.field) == (kind, field)


@pytest.mark.parametrize(
    ("error", "field"),
    [
        (ldap.CONSTRAINT_VIOLATION({"info": "000021C8: AtrErr: DSID-03200BBA, #1:"}), "userPrincipalName"),
        (ldap.ALREADY_EXISTS({"info": "00000524: UpdErr: DSID-031A11E2, problem 6005 (ENTRY_EXISTS), data 0"}), "sAMAccountName"),
        (ldap.ALREADY_EXISTS({"info": "00002071: UpdErr: DSID-031B0E5E, problem 6005 (ENTRY_EXISTS), data 0"}), "employeeNumber"),
        (
            ldap.CONSTRAINT_VIOLATION({"info": "0000202F: samldb: userPrincipalName 'a@b' is already in use "}),
            "userPrincipalName",
        ),
        (ldap.ALREADY_EXISTS({"info": "00002071: samldb: samAccountName 'ST1' already in use!"}), "sAMAccountName"),
        (
            ldap.ALREADY_EXISTS(
                {"info": "00002071: samldb: sAMAccountName 'x' is already in use (implied by userPrincipalName)"}
            ),
            "userPrincipalName",
        ),
    ],
)
def test_a_name_in_use_is_told_by_its_attribute(error: ldap.LDAPError, field: str) -> None:
    found = DIALECT.results.translated(error, "add an account", writing=True)
    assert isinstance(found, AlreadyTaken)
    assert found.field == field


@given(
    kind=st.sampled_from(sorted(_all_below(ldap.LDAPError), key=lambda kind: kind.__name__)),
    said=st.one_of(st.none(), st.text(), st.from_regex(r"[0-9A-F]{8}: .*", fullmatch=True)),
)
def test_whatever_a_domain_controller_says_ends_in_our_taxonomy(kind: type[ldap.LDAPError], said: str | None) -> None:
    error = kind() if said is None else kind({"info": said})
    for found in (DIALECT.results.of_bind(error), DIALECT.results.translated(error, "add", writing=True)):
        assert isinstance(found, HubError)
        assert not said or len(said) < 12 or said not in str(found)


def test_a_password_that_the_domain_forbids_and_one_over_a_weak_line_are_told_apart() -> None:
    policy = DIALECT.results.translated(
        ldap.UNWILLING_TO_PERFORM({"info": "0000052D: SvcErr: DSID-031A12D2"}), "set", writing=True
    )
    insecure = DIALECT.results.translated(
        ldap.UNWILLING_TO_PERFORM({"info": "0000001F: SvcErr: DSID-031A12D2"}), "set", writing=True
    )
    assert (type(policy), policy.cause) == (Refused, "password_policy")
    assert (type(insecure), insecure.field) == (Misconfigured, "url")


class _InRanges:
    """A connection to a server that gives ``count`` values, ``step`` at a time."""

    def __init__(self, count: int, step: int) -> None:
        self.values = [b"CN=%d" % n for n in range(count)]
        self.step = step

    def part(self, first: int) -> tuple[str, list[bytes]]:
        last = "*" if first + self.step >= len(self.values) else str(first + self.step - 1)
        return f"member;range={first}-{last}", self.values[first : first + self.step]

    def search_s(self, dn: str, scope: int, attrlist: list[str]) -> list[tuple[str, dict[str, list[bytes]]]]:
        del scope
        first = int(attrlist[0].partition("=")[2].partition("-")[0])
        return [(dn, dict([self.part(first)] if first < len(self.values) else []))]


@given(count=st.integers(1, 100), step=st.integers(1, 30))
def test_ranges_are_put_together_whatever_their_size(count: int, step: int) -> None:
    server = _InRanges(count, step)
    whole = completed(server, "CN=g", {"cn": [b"g"], **dict([server.part(0)])})
    assert whole == {"cn": [b"g"], "member": server.values}


def test_a_list_that_is_shortened_while_it_is_read_is_read_again_later() -> None:
    server = _InRanges(10, 4)
    begun = dict([server.part(0)])
    server.values = server.values[:4]
    with pytest.raises(ldap.BUSY):
        completed(server, "CN=g", begun)


def test_what_is_no_domain_controller_is_another_connector_s() -> None:
    assert DIALECT.instead(Entry("", {"dsServiceName": [b"CN=NTDS Settings"]})) is None
    assert "ldap" in (DIALECT.instead(Entry("", {"vendorName": [b"389 Project"]})) or "")
