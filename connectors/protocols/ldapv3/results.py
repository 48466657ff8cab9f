"""LDAP result codes (RFC 4511 appendix A, and libldap's own negative ones) in our taxonomy. No ``LDAPError`` leaves a connector."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import ldap

from connectors.protocols.ldapv3.entries import MARKER, Mods
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
    ldap.SIZELIMIT_EXCEEDED: "the answer was cut off; raise the server's size limit for bind_dn",
    ldap.ADMINLIMIT_EXCEEDED: "the answer was cut off; raise the server's limits for bind_dn",
    ldap.REFERRAL: "this server sends us to another; point url at the server that holds the tree for writing",
    ldap.PARTIAL_RESULTS: "this server sends us to another; point url at the server that holds the tree",
    ldap.UNDEFINED_TYPE: "the server's schema lacks an attribute of the mapping; load the schema or change the mapping",
    ldap.INVALID_SYNTAX: "a value does not have its attribute's syntax; mend the source record or the mapping",
    ldap.OBJECT_CLASS_VIOLATION: "the entry would break its object class; the mapping must give what it needs, and only allowed attributes",
    ldap.CONSTRAINT_VIOLATION: "a value breaks a rule of the server (password quality, size, format)",
    ldap.INVALID_DN_SYNTAX: "not a distinguished name; write it as the directory shows it",
}


@dataclass(frozen=True)
class ResultCodes:
    """What a server's result codes mean, and what one kind of server tells besides.

    ``taken`` are the ways in which its diagnostic text names an attribute whose value another entry holds (group 1). ``hints`` take the
    place of our own words for a refusal. The text itself may hold personal data and is never passed on.
    """

    taken: tuple[re.Pattern[str], ...] = ()
    hints: Mapping[type[ldap.LDAPError], str] = field(default_factory=dict)

    def of_bind(self, error: ldap.LDAPError) -> HubError:
        """The error of our taxonomy for a bind of our own account."""
        return self.translated(error, "bind", writing=False)

    def of_change(self, error: ldap.LDAPError, mods: Mods) -> HubError:
        """The error of our taxonomy for a modification."""
        is_guarded = any(kind == ldap.MOD_DELETE for kind, *_ in mods)
        return self.translated(error, "modify an entry", writing=True, guarded=is_guarded)

    def translated(self, error: ldap.LDAPError, doing: str, *, writing: bool, guarded: bool = True) -> HubError:
        """The error of our taxonomy for what a server or libldap said while ``doing`` something.

        For a write that was sent, a lost connection or a timeout is ``OutcomeUnknown``; for a read it is ``RetryLater``. ``guarded`` says
        that the request deletes what was read before, so that "no such attribute" means a change in between; otherwise it is another way
        of saying that the schema lacks one.
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
            setting, words = _OURS_TO_MEND[type(error)]
            return Misconfigured(f"ldap: {doing}: {words}", cause=cause, field=setting)
        return self._refusal(error, doing, cause)

    def taken_attribute(self, error: ldap.LDAPError) -> str | None:
        """The attribute whose value another entry holds, where the server names it."""
        said = diagnostic(error)
        return next((match.group(1) for pattern in self.taken if (match := pattern.search(said))), None)

    def told(self, error: ldap.LDAPError, doing: str) -> HubError | None:
        """What the server tells beyond the result code of a refusal; ``None`` for nothing."""
        del error, doing
        return None

    def _refusal(self, error: ldap.LDAPError, doing: str, cause: str) -> HubError:
        if isinstance(error, ldap.NO_SUCH_OBJECT):
            return NotFound(f"ldap: {doing}: no such entry")
        if isinstance(error, ldap.ALREADY_EXISTS | ldap.CONSTRAINT_VIOLATION):
            our_own = MARKER if isinstance(error, ldap.ALREADY_EXISTS) else None  # our DNs are made of it
            if taken := self.taken_attribute(error) or our_own:
                return AlreadyTaken(f"ldap: {doing}: {taken} is in use by another entry; look up its holder", field=taken)
        if told := self.told(error, doing):
            return told
        if isinstance(error, ldap.NO_SUCH_ATTRIBUTE):
            error, cause = ldap.UNDEFINED_TYPE(), "undefined_type"
        words = {**_REFUSALS, **self.hints}.get(type(error), f"the server says {cause}")
        return Refused(f"ldap: {doing}: {words}", cause=cause)


def diagnostic(error: ldap.LDAPError) -> str:
    """The server's diagnostic text (RFC 4511 §4.1.9). For looking codes up in it; it may hold personal data."""
    details = error.args[0] if error.args else None
    return str(details.get("info", "")) if isinstance(details, dict) else ""
