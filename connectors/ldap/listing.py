"""Reading all accounts of a directory in pieces, without holding a connection or a server-side cursor from one piece to the next.

A page is a span of stamps (``modifyTimestamp`` in seconds, or Active Directory's ``uSNChanged``): everything whose latest change lies in
it. Spans are halved while one holds more than a page, and doubled again afterwards. An entry that changes meanwhile moves to a later
span, so it is read again and never missed. The cursor is text that any process may continue from.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from time import time

from connectors.ldap.client import LdapClient
from connectors.ldap.records import Entry, all_of
from workforce.errors import Refused


@dataclass(frozen=True, slots=True)
class Position:
    """Where a reading stands: every entry stamped before ``low`` was read. ``width`` is that of the next span (0: to the end).

    ``server`` is whose stamps they are, ``top`` the highest stamp that was seen.
    """

    server: str
    low: int = 0
    width: int = 0
    top: int = 0

    @classmethod
    def of(cls, cursor: str | None, server: str) -> Position:
        """The position that a cursor tells; the beginning where the stamps are another server's. Raises ``Refused``."""
        if cursor is None:
            return cls(server)
        try:
            told = json.loads(cursor)
            held = cls(str(told.pop("server")), **{name: operator.index(number) for name, number in told.items()})
        except (TypeError, ValueError, AttributeError, KeyError):
            raise Refused(
                "ldap: this is no cursor of a reading of accounts; start from the beginning", cause="bad_cursor"
            ) from None
        return held if held.server == server else cls(server)

    def __str__(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Listed:
    """One page of entries, and where to go on."""

    entries: Sequence[Entry]
    position: Position
    complete: bool


def next_page(client: LdapClient, cursor: str | None) -> Listed:
    """The next entries of accounts. Raises the four errors; never gives a part of a span."""
    server, latest = _clock(client)
    position = Position.of(cursor, server)
    while True:
        last = position.low + position.width - 1 if position.width else None
        if last is not None and last >= latest:
            last = None
        entries = _span(client, position, last, latest)
        if entries is None:
            position = replace(position, width=max(1, (position.width or latest - position.low) // 2))
            continue
        position = replace(position, top=max([position.top, *map(client.dialect.stamp, entries)]))
        if last is None:
            return Listed(entries, _finished(client, position), complete=True)
        position = replace(position, low=last + 1, width=position.width * 2)
        if entries:
            return Listed(entries, position, complete=False)


def _span(client: LdapClient, position: Position, last: int | None, latest: int) -> list[Entry] | None:
    """What was stamped from ``low`` to ``last``; ``None`` when it is more than a page and can be divided."""
    where = (
        client.settings.suffix,
        all_of(client.dialect.people, client.dialect.stamped(position.low, last)),
        client.dialect.attributes,
    )
    if (latest if last is None else last) <= position.low:  # one second's work of a bulk import, or what changed just now
        return client.search(*where)
    return client.first_page(*where)


def _finished(client: LdapClient, position: Position) -> Position:
    return Position(position.server, low=max(0, position.top - client.dialect.stamp_overlap))


def _clock(client: LdapClient) -> tuple[str, int]:
    """Whose stamps they are, and one that the server has surely reached."""
    source = client.dialect.stamp_source
    if source is None:
        return "", int(time()) - client.dialect.stamp_overlap
    root = client.entry("", source)
    if root is None or (latest := root.number(source[1])) is None:
        raise Refused(
            f"ldap: the server does not tell {source[1]}; check that dialect fits it", cause="wrong_dialect", field="dialect"
        )
    return root.first(source[0]) or "", latest
