"""Active Directory. Tried on a Samba domain controller (4.17); no domain controller of Microsoft's was at hand."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import ldap

from connectors.activedirectory.results import DomainResults
from connectors.protocols.ldapv3.dialect import Attributes, ServerDialect, random_password
from connectors.protocols.ldapv3.entries import MARKER, AccountEntry, Entry, Filter, Mods, any_of, encoded, equals, whole_second
from connectors.protocols.ldapv3.results import diagnostic
from workforce.access import DesiredAccount
from workforce.errors import Refused

ACCOUNTDISABLE = 0x2
PASSWD_NOTREQD = 0x20
NORMAL_ACCOUNT = 0x200
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_NEVER = frozenset({0, 0x7FFFFFFFFFFFFFFF})
_SAM_ACCOUNT_NAME = re.compile(r'[^"/\\\[\]:;|=,+*?<>@\x00-\x1f\x7f]{1,20}(?<!\.)')
_SMTP = "smtp:"
"""Before an address in ``proxyAddresses``; in capitals before the primary one."""
_DOMAIN_SCOPE = "1.2.840.113556.1.4.1339"  # LDAP_SERVER_DOMAIN_SCOPE_OID: no references to other partitions in the answer


class ActiveDirectory(ServerDialect):
    """Blocked by ``ACCOUNTDISABLE`` in ``userAccountControl``; the native expiry is ``accountExpires``; ids are objectGUIDs.

    An account's CN and, unless the mapping gives one, its ``sAMAccountName`` are our marker: the domain keeps the latter unique, so one
    marker makes one account wherever it was moved to. Its login is the ``userPrincipalName``; earlier ones stay in ``proxyAddresses``. A
    new entry is disabled and marked as one without a password (546) until it has one, which the server only takes over TLS; then it is
    enabled (512), or stays disabled (514) until its start. ``userAccountControl`` is always changed by deleting the value that was read
    and adding the new one, so that nobody's change in between is lost; Samba does not insist on it.

    Active Directory ends no sessions. The nearest equal is to reset the password twice, so that neither hash of the history is worth
    anything; Kerberos tickets that are out live on, by default for up to ten hours. Accounts with ``adminCount=1`` are protected by the
    directory (AdminSDHolder) and never touched. Memberships come from ``memberOf``, which does not hold the primary group.
    """

    key = "activedirectory"
    login = "userPrincipalName"
    attributes = (
        "objectGUID", "employeeNumber", "userPrincipalName", "sAMAccountName", "userAccountControl", "accountExpires", "pwdLastSet",
        "lockoutTime", "adminCount", "memberOf", "uSNChanged", "proxyAddresses", "lastLogonTimestamp", "lastLogon",
    )  # fmt: skip
    people = Filter("(&(objectCategory=person)(objectClass=user))")
    reserved = re.compile(
        r"(cn|name|userAccountControl|unicodePwd|dBCSPwd|userPassword|accountExpires|lockoutTime|member(Of)?|primaryGroupID|sIDHistory|"
        r"servicePrincipalName|altSecurityIdentities|adminCount|nTSecurityDescriptor)$|pwd|msDS-|object(?!Class$)|uSN",
        re.IGNORECASE,
    )
    search_controls = (_DOMAIN_SCOPE,)
    results = DomainResults()
    root_attributes = ("dsServiceName",)
    stamp_overlap = 0
    last_changed = ("whenChanged",)  # who it was is in the domain controller's security log alone (event 4738)

    def instead(self, root: Entry) -> str | None:
        """Every domain controller names its service."""
        return None if root.first("dsServiceName") else "use the connector ldap"

    def by_id(self, account_id: str) -> Filter | None:
        """By objectGUID, whose first three parts are stored with their bytes reversed."""
        try:
            stored = UUID(account_id).bytes_le
        except ValueError:
            return None
        return Filter("(objectGUID=" + "".join(f"\\{byte:02x}" for byte in stored) + ")")

    def by_login(self, login: str) -> Filter:
        """Whoever holds it as either of the two sign-in names, or as an address."""
        return any_of([equals(self.login, login), equals("sAMAccountName", login), equals("proxyAddresses", f"smtp:{login}")])

    def account(self, entry: Entry, now: datetime) -> AccountEntry:
        """Locked out after wrong passwords is not blocked: that passes by itself."""
        del now
        guid, control = entry.values.get("objectGUID"), entry.number("userAccountControl")
        return AccountEntry(
            entry,
            account_id=str(UUID(bytes_le=bytes(guid[0]))) if guid else "",
            login=entry.first(self.login) or entry.first("sAMAccountName") or "",
            blocked=bool((control or 0) & ACCOUNTDISABLE),
            ends_at=_from_filetime(entry.number("accountExpires")),
            untouchable=control is None or entry.first("adminCount") == "1",
            groups=frozenset(value.decode() for value in entry.values.get("memberOf", ())),
            aliases=tuple(one[len(_SMTP) :] for one in entry.texts("proxyAddresses") if one.startswith(_SMTP)),
            last_sign_in=_latest(entry.number("lastLogonTimestamp"), entry.number("lastLogon")),
        )

    def new_entry(self, account: DesiredAccount, mapped: Mapping[str, list[bytes]], people_base: str) -> tuple[str, Attributes]:
        """A disabled user without a password, with the expiry."""
        _require_principal(account.login)
        ours = {
            "objectclass": [b"user", *mapped.get("objectclass", [])],
            MARKER.lower(): encoded(MARKER, account.marker),
            self.login.lower(): encoded(self.login, account.login),
            "samaccountname": mapped.get("samaccountname") or [account.marker.encode()],
            "useraccountcontrol": [b"%d" % (NORMAL_ACCOUNT | ACCOUNTDISABLE | PASSWD_NOTREQD)],
            "accountexpires": [_filetime(account.expires_at)],
        }
        return f"CN={account.marker},{people_base}", [(k, v) for k, v in {**mapped, **ours}.items() if v]

    def require_usable(self, mapped: Mapping[str, list[bytes]]) -> None:
        """Refuse a ``sAMAccountName`` that Windows would not take; Samba would."""
        for name in mapped.get("samaccountname", []):
            if not _SAM_ACCOUNT_NAME.fullmatch(name.decode()):
                raise Refused(
                    'ldap: sAMAccountName holds 1 to 20 characters, none of "/\\[]:;|=,+*?<>@, and does not end with a dot',
                    cause="bad_login",
                    field="sAMAccountName",
                )

    def blocking(self, account: AccountEntry) -> Sequence[Mods]:
        """Set the bit, unless it is set."""
        return [_switched(account, _disabled)] if not account.blocked else []

    def finishing(self, account: AccountEntry, *, enabled: bool) -> Sequence[Mods]:
        """The first password, without which the server enables nobody; then no more than is wanted."""
        return [*self._password_if_none(account), _switched(account, _enabled if enabled else _with_password)]

    def enabling(self, account: AccountEntry) -> Sequence[Mods]:
        """Give a password to an account that never had one, clear the bits and the lockout."""
        changes = [*_switched(account, _enabled)] if account.blocked else []
        if account.entry.number("lockoutTime"):
            changes.append((ldap.MOD_REPLACE, "lockoutTime", [b"0"]))
        return [*self._password_if_none(account), *([changes] if changes else [])]

    def _password_if_none(self, account: AccountEntry) -> Sequence[Mods]:
        """A password that was handed over and is still to be changed has ``pwdLastSet`` 0 as well, but not the bit."""
        is_without = _control(account) & PASSWD_NOTREQD and account.entry.number("pwdLastSet") == 0
        return [self.new_password(account, random_password())] if is_without else []

    def renaming(self, account: AccountEntry, login: str) -> Sequence[Mods]:
        """Change ``userPrincipalName``, and ``sAMAccountName`` where it was made of it; the old one stays in ``proxyAddresses``."""
        _require_principal(login)
        old = account.entry.first(self.login)
        if old == login:
            return []
        changes = [(ldap.MOD_DELETE, self.login, [old.encode()])] if old else []
        changes.append((ldap.MOD_ADD, self.login, [login.encode()]))
        former, name = (one.partition("@")[0] for one in (old or "", login))
        was_made_of_it = former and (account.entry.first("sAMAccountName") or "").casefold() == former.casefold()
        if was_made_of_it and _SAM_ACCOUNT_NAME.fullmatch(name):
            changes.append((ldap.MOD_REPLACE, "sAMAccountName", [name.encode()]))
        if old:
            addresses = _addresses(account.entry.texts("proxyAddresses"), old, login)
            changes.append((ldap.MOD_REPLACE, "proxyAddresses", [one.encode() for one in addresses]))
        return [changes]

    def handing_over(self, account: AccountEntry, password: str) -> Sequence[Mods]:
        """Reset the password; ``pwdLastSet`` 0 has it changed at the next sign-in."""
        changes: list[tuple[int, str, list[bytes] | None]] = [(ldap.MOD_REPLACE, "pwdLastSet", [b"0"])]
        if _control(account) & PASSWD_NOTREQD:
            changes += _switched(account, _with_password)
        return [self.new_password(account, password), changes]

    def expiring(self, expires_at: datetime) -> Mods:
        """Replace ``accountExpires``: the account is valid until that instant."""
        return [(ldap.MOD_REPLACE, "accountExpires", [_filetime(expires_at)])]

    def new_password(self, account: AccountEntry, password: str) -> Mods:
        """Reset ``unicodePwd`` as an administrator."""
        del account
        return [(ldap.MOD_REPLACE, "unicodePwd", [f'"{password}"'.encode("utf-16-le")])]

    def signing_out(self, account: AccountEntry) -> Sequence[Mods]:
        """Reset the password twice."""
        return [self.new_password(account, random_password()) for _ in range(2)]

    def is_member_already(self, error: ldap.LDAPError) -> bool:
        """Active Directory says 68 (00000562)."""
        return isinstance(error, ldap.ALREADY_EXISTS | ldap.TYPE_OR_VALUE_EXISTS)

    def is_no_member(self, error: ldap.LDAPError) -> bool:
        """Active Directory says 53 with 00000561 in its text, Samba 53 with a text of its own."""
        said = diagnostic(error)
        is_told = said.startswith("00000561") or "already deleted for target" in said or "doesn't exist for target" in said
        return isinstance(error, ldap.UNWILLING_TO_PERFORM) and is_told

    def stamp(self, entry: Entry) -> int:
        """The domain controller's own update sequence number."""
        return entry.number("uSNChanged") or 0

    def stamped(self, first: int, last: int | None) -> Filter:
        """The same as a filter."""
        return Filter(f"(uSNChanged>={first})" if last is None else f"(&(uSNChanged>={first})(uSNChanged<={last}))")


def _require_principal(login: str) -> None:
    if "@" not in login:
        message = "ldap: a login is a userPrincipalName, such as ada@client.example"
        raise Refused(message, cause="bad_login", field=ActiveDirectory.login)


def _addresses(held: Sequence[str], old: str, new: str) -> list[str]:
    """``proxyAddresses`` after a change of login: the old one is an alias; where it was the primary address, the new one is."""
    ours = {f"{_SMTP}{one}".casefold() for one in (old, new)}
    was_primary = any(one.startswith(_SMTP.upper()) and one.casefold() == f"{_SMTP}{old}".casefold() for one in held)
    rest = [one for one in held if one.casefold() not in ours]
    return [*rest, *([f"{_SMTP.upper()}{new}"] if was_primary else []), f"{_SMTP}{old}"]


def _control(account: AccountEntry) -> int:
    return account.entry.number("userAccountControl") or 0


def _enabled(control: int) -> int:
    return control & ~(ACCOUNTDISABLE | PASSWD_NOTREQD)


def _disabled(control: int) -> int:
    return control | ACCOUNTDISABLE


def _with_password(control: int) -> int:
    return control & ~PASSWD_NOTREQD


def _switched(account: AccountEntry, change: Callable[[int], int]) -> Mods:
    held = _control(account)
    old, new = b"%d" % held, b"%d" % change(held)
    return [(ldap.MOD_DELETE, "userAccountControl", [old]), (ldap.MOD_ADD, "userAccountControl", [new])]


def _filetime(moment: datetime) -> bytes:
    """An aware instant as tenths of microseconds since 1601, in whole seconds, rounded up."""
    return b"%d" % (int((whole_second(moment) - _EPOCH).total_seconds()) * 10**7)


def _latest(*values: int | None) -> datetime | None:
    return max(filter(None, map(_from_filetime, values)), default=None)


def _from_filetime(value: int | None) -> datetime | None:
    if value is None or value in _NEVER:
        return None
    try:
        return _EPOCH + timedelta(microseconds=value // 10)
    except OverflowError:
        return None
