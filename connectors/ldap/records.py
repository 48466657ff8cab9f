"""Entries of the directory, typed: attribute lists of bytes become account states here, and values become bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NewType

from workforce.errors import Refused
from workforce.markers import is_marker

Filter = NewType("Filter", str)
"""A search filter (RFC 4515) whose values are escaped."""

PERMANENT_LOCK = "000001010000Z"
"""``pwdAccountLockedTime`` of an account that only an administrator unlocks (slapo-ppolicy(5))."""
NEVER = "21000101000000Z"
"""``pwdStartTime`` of an account that is blocked. Unlike the lock it survives a change of password.

Not the end of time: slapd 2.5.13 takes 99991231235959Z and does not enforce it (measured).
"""

MARKER = "employeeNumber"
LOGIN = "uid"
ACCOUNT_ATTRIBUTES = ("entryUUID", MARKER, LOGIN, "pwdAccountLockedTime", "pwdStartTime", "pwdEndTime")

_GENERALIZED_TIME = re.compile(r"(\d{10})(\d{2})?(\d{2})?(?:[.,](\d+))?(Z|[+-]\d{4})")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as a search gave it: its DN just now, and the attributes that were asked for."""

    dn: str
    values: Mapping[str, Sequence[bytes]]

    def first(self, attribute: str) -> str | None:
        """The first value as text, or ``None``."""
        values = self.values.get(attribute)
        return values[0].decode("utf-8", "replace") if values else None


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """An account's entry. ``locked`` is the administrator's permanent lock, not the short one after wrong passwords."""

    dn: str
    entry_uuid: str
    marker: str | None
    login: str
    locked: bool
    starts_at: datetime | None
    ends_at: datetime | None

    @classmethod
    def of(cls, entry: Entry) -> AccountEntry:
        """Read an entry that was searched with ``ACCOUNT_ATTRIBUTES``."""
        marker = entry.first(MARKER)
        return cls(
            dn=entry.dn,
            entry_uuid=entry.first("entryUUID") or "",
            marker=marker if marker and is_marker(marker) else None,
            login=entry.first(LOGIN) or "",
            locked=entry.first("pwdAccountLockedTime") == PERMANENT_LOCK,
            starts_at=instant(entry.first("pwdStartTime")),
            ends_at=instant(entry.first("pwdEndTime")),
        )

    def enabled_at(self, now: datetime) -> bool:
        """Whether sign-in is allowed, expiry apart."""
        return not self.locked and (self.starts_at is None or self.starts_at <= now)


def instant(text: str | None) -> datetime | None:
    """A GeneralizedTime (RFC 4517 §3.3.13) as an aware instant; ``None`` for none or for one that no calendar has."""
    match = _GENERALIZED_TIME.fullmatch(text) if text else None
    if match is None:
        return None
    hours, minutes, seconds, _fraction, zone = match.groups()
    try:
        moment = datetime.strptime(f"{hours}{minutes or '00'}{seconds or '00'}{zone.replace('Z', '+0000')}", "%Y%m%d%H%M%S%z")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def generalized_time(moment: datetime) -> str:
    """An aware instant as GeneralizedTime in whole seconds, rounded up, so that nobody is cut off early."""
    whole = moment.astimezone(UTC)
    if whole.microsecond:
        whole = whole.replace(microsecond=0) + timedelta(seconds=1)
    return whole.strftime("%Y%m%d%H%M%SZ")


def encoded(attribute: str, value: object) -> list[bytes]:
    """A mapped value as LDAP values: text, a number, or a list of such. ``None``, ``""`` and ``[]`` are no value at all.

    LDAP holds no empty strings. Raises ``Refused`` for a value that is no text.
    """
    items = list(value) if isinstance(value, list | tuple | set | frozenset) else [value]
    return [_encoded_one(attribute, item) for item in items if item not in (None, "")]


def _encoded_one(attribute: str, value: object) -> bytes:
    if isinstance(value, bool):
        return b"TRUE" if value else b"FALSE"  # RFC 4517 §3.3.3
    if not isinstance(value, str | int):
        raise Refused(f"ldap: {attribute}: the mapping gives no text", cause="unusable_value", field=attribute)
    try:
        return str(value).encode()
    except UnicodeEncodeError:
        raise Refused(f"ldap: {attribute}: the value is not valid Unicode", cause="unusable_value", field=attribute) from None
