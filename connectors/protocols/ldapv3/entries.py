"""Entries of the directory, typed: attribute lists of bytes become values here, and values become bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NewType, TypeAlias

from ldap.filter import escape_filter_chars

from workforce.errors import Refused
from workforce.markers import is_marker

Filter = NewType("Filter", str)
"""A search filter (RFC 4515) whose values are escaped."""

Mods: TypeAlias = Sequence[tuple[int, str, list[bytes] | None]]
"""One modify request in python-ldap's terms: what to do (``ldap.MOD_…``), with which attribute, with which values (``None``: all)."""

MARKER = "employeeNumber"

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

    def number(self, attribute: str) -> int | None:
        """The first value as a whole number, or ``None``."""
        text = self.first(attribute)
        return int(text) if text and re.fullmatch(r"-?\d{1,19}", text) else None

    def held(self, attribute: str) -> str | list[str] | None:
        """The one value as text, or several as a list; ``None`` where there is none. Raises ``UnicodeDecodeError``."""
        values = [value.decode() for value in self.values.get(attribute, ())]
        return values if len(values) > 1 else next(iter(values), None)

    def texts(self, attribute: str) -> list[str]:
        """Every value as text, in the server's order."""
        return [value.decode("utf-8", "replace") for value in self.values.get(attribute, ())]

    @property
    def marker(self) -> str | None:
        """Our marker, if the entry carries one."""
        held = self.first(MARKER)
        return held if held and is_marker(held) else None


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """An account's entry as its server's dialect reads it.

    ``blocked`` tells whether sign-in is blocked, expiry apart; ``locked`` whether by a lock that a change of password would lift.
    ``untouchable`` accounts are protected by the directory itself. ``groups`` is ``None`` where the entry does not tell them.
    ``aliases`` are earlier logins that still lead to the account.
    """

    entry: Entry
    account_id: str
    login: str
    blocked: bool
    ends_at: datetime | None
    locked: bool = False
    untouchable: bool = False
    groups: frozenset[str] | None = None
    aliases: tuple[str, ...] = ()
    last_sign_in: datetime | None = None

    @property
    def dn(self) -> str:
        """Where the entry is just now."""
        return self.entry.dn

    @property
    def marker(self) -> str | None:
        """Our marker, if the account carries one."""
        return self.entry.marker


def equals(attribute: str, value: str) -> Filter:
    """The filter ``(attribute=value)``. Whatever ``value`` holds, it stays one value (RFC 4515 §3). Raises ``Refused`` for a broken string."""
    encoded(attribute, value)
    return Filter(f"({attribute}={escape_filter_chars(value)})")


def any_of(conditions: Sequence[Filter]) -> Filter:
    """The filter that one of ``conditions`` is met."""
    return Filter(f"(|{''.join(conditions)})")


def all_of(*conditions: Filter) -> Filter:
    """The filter that all ``conditions`` are met."""
    return Filter(f"(&{''.join(conditions)})")


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


def whole_second(moment: datetime) -> datetime:
    """An aware instant in UTC and whole seconds, rounded up, so that nobody is cut off early."""
    whole = moment.astimezone(UTC)
    return whole.replace(microsecond=0) + timedelta(seconds=1) if whole.microsecond else whole


def generalized_time(moment: datetime) -> str:
    """An aware instant as GeneralizedTime in whole seconds, rounded up."""
    return whole_second(moment).strftime("%Y%m%d%H%M%SZ")


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
