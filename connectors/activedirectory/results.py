"""How Active Directory, and Samba in its place, say what is wrong: a code at the beginning of the diagnostic text."""

from __future__ import annotations

import re

import ldap

from connectors.protocols.ldapv3.results import ResultCodes, diagnostic
from workforce.errors import HubError, Misconfigured, Refused, RetryLater

_CODE = re.compile(r"([0-9A-Fa-f]{8}):")
_TAKEN_BY_CODE = {"000021C8": "userPrincipalName", "00000524": "sAMAccountName"}
_PASSWORD_POLICY, _INSECURE = "0000052D", "0000001F"
_SAMBA_TAKEN = (re.compile(r"samldb: .*\(implied by (\w+)\)"), re.compile(r"samldb: (\w+) .* already in use"))  # 4.17
_HINTS = {
    ldap.INSUFFICIENT_ACCESS: "bind_dn lacks the right; delegate it, or lift the entry's protection from deletion",
}

_BIND_CODE = re.compile(r"\bdata ([0-9a-f]{3,}),")
_LATER_BINDS = {
    "530": ("logon_hours", "bind_dn may not sign in at this hour; lift its logon hours"),
    "775": ("bind_locked", "bind_dn is locked out after wrong passwords; unlock it, and check bind_password"),
}
_BAD_BINDS = {
    "525": ("bind_dn", "there is no such account"),
    "531": ("bind_dn", "the account may not sign in from this machine"),
    "532": ("bind_password", "the password has expired; set a new one"),
    "533": ("bind_dn", "the account is disabled"),
    "701": ("bind_dn", "the account has expired"),
    "773": ("bind_password", "the password has to be changed first; set one that lasts"),
}


class DomainResults(ResultCodes):
    """A domain controller's result codes and its own ones."""

    def __init__(self) -> None:
        super().__init__(taken=_SAMBA_TAKEN, hints=_HINTS)

    def of_bind(self, error: ldap.LDAPError) -> HubError:
        """The reason that ``data`` tells, for a bind of our own account."""
        found = _BIND_CODE.search(diagnostic(error)) if isinstance(error, ldap.INVALID_CREDENTIALS) else None
        code = found.group(1) if found else ""
        if code in _LATER_BINDS:
            cause, words = _LATER_BINDS[code]
            return RetryLater(f"ldap: bind: {words}", cause=cause)
        if code in _BAD_BINDS:
            field, words = _BAD_BINDS[code]
            return Misconfigured(f"ldap: {field}: {words}", cause="invalid_credentials", field=field)
        return super().of_bind(error)

    def taken_attribute(self, error: ldap.LDAPError) -> str | None:
        """By Samba's words, or by the code."""
        found = super().taken_attribute(error) or _TAKEN_BY_CODE.get(_code(error))
        return "sAMAccountName" if found == "samAccountName" else found  # as Samba spells it

    def told(self, error: ldap.LDAPError, doing: str) -> HubError | None:
        """A line that is too weak for passwords, and a policy that random ones do not meet."""
        code = _code(error)
        if code == _INSECURE:
            message = f"ldap: {doing}: the server takes passwords over a stronger encryption only"
            return Misconfigured(message, cause=type(error).__name__.lower(), field="url")
        if code == _PASSWORD_POLICY:
            message = f"ldap: {doing}: the domain's password policy forbids random passwords of 47 characters"
            return Refused(message, cause="password_policy")
        return None


def _code(error: ldap.LDAPError) -> str:
    found = _CODE.match(diagnostic(error))
    return found.group(1).upper() if found else ""
