"""LDAP result codes (RFC 4511 appendix A, and libldap's own negative ones) in our taxonomy. No ``LDAPError`` leaves the connector."""

from __future__ import annotations

import re

import ldap

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
    ldap.INSUFFICIENT_ACCESS: "bind_dn lacks the right; grant it in the server's access rules",
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
_NON_UNIQUE = re.compile(r"^non-unique attributes found with .*?\((\w+)=", re.DOTALL)  # OpenLDAP 2.5, overlay unique


def translated(error: ldap.LDAPError, doing: str, *, writing: bool) -> HubError:
    """The error of our taxonomy for what a server or libldap said while ``doing`` something.

    For a write that was sent, a lost connection or a timeout is ``OutcomeUnknown``; for a read it is ``RetryLater``. The server's
    diagnostic text may hold personal data and is never passed on.
    """
    cause = type(error).__name__.lower()
    if isinstance(error, (*LOST, ldap.OTHER, ldap.OPERATIONS_ERROR)):
        said = f"ldap: {doing}: {cause}"
        return OutcomeUnknown(said, cause=cause) if writing else RetryLater(said, cause=cause)
    if isinstance(error, _LATER):
        return RetryLater(f"ldap: {doing}: the server says {cause}", cause=cause)
    if isinstance(error, ldap.NO_SUCH_ATTRIBUTE):
        return RetryLater(f"ldap: {doing}: the entry was changed in the meantime", cause="changed_meanwhile")
    if type(error) in _OURS_TO_MEND:
        field, words = _OURS_TO_MEND[type(error)]
        return Misconfigured(f"ldap: {doing}: {words}", cause=cause, field=field)
    return _refusal(error, doing, cause)


def _refusal(error: ldap.LDAPError, doing: str, cause: str) -> HubError:
    if isinstance(error, ldap.NO_SUCH_OBJECT):
        return NotFound(f"ldap: {doing}: no such entry")
    taken = _taken_field(error)
    if taken:
        return AlreadyTaken(f"ldap: {doing}: {taken} is in use by another entry; look up its holder", field=taken)
    return Refused(f"ldap: {doing}: {_REFUSALS.get(type(error), f'the server says {cause}')}", cause=cause)


def _taken_field(error: ldap.LDAPError) -> str | None:
    if isinstance(error, ldap.ALREADY_EXISTS):
        return "employeeNumber"  # our DNs are made of it
    if isinstance(error, ldap.CONSTRAINT_VIOLATION):
        found = _NON_UNIQUE.match(_info(error))
        return found.group(1) if found else None
    return None


def _info(error: ldap.LDAPError) -> str:
    details = error.args[0] if error.args else None
    return str(details.get("info", "")) if isinstance(details, dict) else ""
