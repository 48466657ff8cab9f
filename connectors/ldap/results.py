"""LDAP result codes (RFC 4511 appendix A, and libldap's own negative ones) in our taxonomy. No ``LDAPError`` leaves the connector."""

from __future__ import annotations

import re

import ldap

from connectors.ldap.records import Mods
from workforce.errors import AlreadyTaken, HubError, Misconfigured, NotFound, OutcomeUnknown, Refused, RetryLater

LOST = (ldap.SERVER_DOWN, ldap.CONNECT_ERROR, ldap.TIMEOUT, ldap.LOCAL_ERROR, ldap.DECODING_ERROR, ldap.ENCODING_ERROR)
"""The connection is of no use any more, or nobody knows what became of the request."""

_LATER = (ldap.BUSY, ldap.UNAVAILABLE, ldap.TIMELIMIT_EXCEEDED)
_OURS_TO_MEND = {
    ldap.INVALID_CREDENTIALS: ("bind_password", "the server does not accept bind_dn with bind_password; set the right ones"),
    ldap.INAPPROPRIATE_AUTH: ("bind_dn", "the server does not let bind_dn bind with a password; use an account that has one"),
    ldap.CONFIDENTIALITY_REQUIRED: ("url", "the server asks for stronger encryption; use ldaps:// or a stronger cipher"),
    ldap.STRONG_AUTH_REQUIRED: ("url", "the server asks for stronger authentication; use ldaps://"),
}
_REFUSALS = {
    ldap.INSUFFICIENT_ACCESS: "bind_dn lacks the right; grant it in the server's access rules, or lift the entry's protection from deletion",
    ldap.SIZELIMIT_EXCEEDED: "the answer was cut off; raise the server's size limit for bind_dn (size.prtotal=unlimited)",
    ldap.ADMINLIMIT_EXCEEDED: "the answer was cut off; raise the server's limits for bind_dn",
    ldap.REFERRAL: "this server sends us to another; point url at the server that holds the tree for writing",
    ldap.PARTIAL_RESULTS: "this server sends us to another; point url at the server that holds the tree",
    ldap.UNDEFINED_TYPE: "the server's schema lacks an attribute of the mapping; load the schema or change the mapping",
    ldap.INVALID_SYNTAX: "a value does not have its attribute's syntax; mend the source record or the mapping",
    ldap.OBJECT_CLASS_VIOLATION: "the entry would break its object class; the mapping must give cn and sn, and only allowed attributes",
    ldap.CONSTRAINT_VIOLATION: "a value breaks a rule of the server (password quality, size, format)",
    ldap.INVALID_DN_SYNTAX: "not a distinguished name; write it as the directory shows it",
}
_TAKEN = (
    re.compile(r"^non-unique attributes found with .*?\((\w+)=", re.DOTALL),  # OpenLDAP 2.5, overlay unique
    re.compile(r"same attribute value already exists \(attribute: \"(\w+)"),  # 389 Directory Server 2.3, attribute uniqueness
    re.compile(r"samldb: .*\(implied by (\w+)\)"),  # Samba 4.17, this and the next
    re.compile(r"samldb: (\w+) .* already in use"),
)
_TAKEN_BY_CODE = {"000021C8": "userPrincipalName", "00000524": "sAMAccountName"}  # Active Directory
_CODE = re.compile(r"([0-9A-Fa-f]{8}):")
_PASSWORD_POLICY, _INSECURE = "0000052D", "0000001F"

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


def translated_bind(error: ldap.LDAPError) -> HubError:
    """The error of our taxonomy for a bind of our own account. Active Directory tells the reason in ``data``, others do not."""
    found = _BIND_CODE.search(_info(error)) if isinstance(error, ldap.INVALID_CREDENTIALS) else None
    code = found.group(1) if found else ""
    if code in _LATER_BINDS:
        cause, words = _LATER_BINDS[code]
        return RetryLater(f"ldap: bind: {words}", cause=cause)
    if code in _BAD_BINDS:
        field, words = _BAD_BINDS[code]
        return Misconfigured(f"ldap: {field}: {words}", cause="invalid_credentials", field=field)
    return translated(error, "bind", writing=False)


def translated(error: ldap.LDAPError, doing: str, *, writing: bool, guarded: bool = True) -> HubError:
    """The error of our taxonomy for what a server or libldap said while ``doing`` something.

    For a write that was sent, a lost connection or a timeout is ``OutcomeUnknown``; for a read it is ``RetryLater``. ``guarded`` says
    that the request deletes what was read before, so that "no such attribute" means a change in between; otherwise it is how Active
    Directory says that its schema lacks one. The server's diagnostic text may hold personal data and is never passed on.
    """
    cause = type(error).__name__.lower()
    if isinstance(error, (*LOST, ldap.OTHER, ldap.OPERATIONS_ERROR)):
        said = f"ldap: {doing}: {cause}"
        return OutcomeUnknown(said, cause=cause) if writing else RetryLater(said, cause=cause)
    if isinstance(error, _LATER):
        return RetryLater(f"ldap: {doing}: the server says {cause}", cause=cause)
    if isinstance(error, ldap.NO_SUCH_ATTRIBUTE) and guarded:
        return RetryLater(f"ldap: {doing}: the entry was changed in the meantime", cause="changed_meanwhile")
    if type(error) in _OURS_TO_MEND:
        field, words = _OURS_TO_MEND[type(error)]
        return Misconfigured(f"ldap: {doing}: {words}", cause=cause, field=field)
    return _refusal(error, doing, cause)


def translated_change(error: ldap.LDAPError, mods: Mods) -> HubError:
    """The same for one modification."""
    return translated(error, "modify an entry", writing=True, guarded=any(kind == ldap.MOD_DELETE for kind, *_ in mods))


def _refusal(error: ldap.LDAPError, doing: str, cause: str) -> HubError:
    if isinstance(error, ldap.NO_SUCH_OBJECT):
        return NotFound(f"ldap: {doing}: no such entry")
    taken = _taken_field(error)
    if taken:
        return AlreadyTaken(f"ldap: {doing}: {taken} is in use by another entry; look up its holder", field=taken)
    code = _code(error)
    if code == _INSECURE:
        return Misconfigured(
            f"ldap: {doing}: the server takes passwords over a stronger encryption only", cause=cause, field="url"
        )
    if code == _PASSWORD_POLICY:
        return Refused(
            f"ldap: {doing}: the domain's password policy forbids random passwords of 47 characters", cause="password_policy"
        )
    if isinstance(error, ldap.NO_SUCH_ATTRIBUTE):
        error, cause = ldap.UNDEFINED_TYPE(), "undefined_type"
    return Refused(f"ldap: {doing}: {_REFUSALS.get(type(error), f'the server says {cause}')}", cause=cause)


def _taken_field(error: ldap.LDAPError) -> str | None:
    if not isinstance(error, ldap.ALREADY_EXISTS | ldap.CONSTRAINT_VIOLATION):
        return None
    found = next((match.group(1) for pattern in _TAKEN if (match := pattern.search(_info(error)))), None)
    if found:
        return "sAMAccountName" if found.lower() == "samaccountname" else found
    if isinstance(error, ldap.ALREADY_EXISTS):
        return _TAKEN_BY_CODE.get(_code(error), "employeeNumber")  # our DNs are made of it
    return _TAKEN_BY_CODE.get(_code(error))


def _code(error: ldap.LDAPError) -> str:
    """Active Directory's own code, which its diagnostic text begins with."""
    found = _CODE.match(_info(error))
    return found.group(1).upper() if found else ""


def _info(error: ldap.LDAPError) -> str:
    details = error.args[0] if error.args else None
    return str(details.get("info", "")) if isinstance(details, dict) else ""
