"""Reading all accounts of a directory in pieces, without holding a connection or a server-side cursor from one piece to the next.

A page is a span of stamps (``modifyTimestamp`` in seconds, or another number that grows with every change): everything whose latest
change lies in it. Spans are halved while one holds more than a page, and doubled again afterwards. An entry that changes meanwhile
moves to a later span, so it is read again and never missed. The cursor is text that any process may continue from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from connectors.protocols.ldapv3.client import LdapV3Client
from connectors.protocols.ldapv3.entries import Entry, all_of
from connectors.records.cursors import Cursor


@dataclass(frozen=True, slots=True)
class Position(Cursor):
    """Where a reading stands: every entry stamped before ``low`` was read. ``width`` is that of the next span (0: to the end).

    ``server`` is whose stamps they are and which part of the tree is read, ``top`` the highest stamp that was seen, and ``top_since``
    when a reading that saw it first was complete, in seconds by our clock (0: none was yet).
    """

    server: str
    low: int = 0
    width: int = 0
    top: int = 0
    top_since: int = 0

    @classmethod
    def of(cls, cursor: str | None, server: str, latest: int) -> Position:
        """The position that a cursor tells. Raises ``Refused``.

        It is the beginning where the stamps are another server's, or the server has not come as far (it was restored from a backup).
        """
        if cursor is None:
            return cls(server)
        held = cls.decode(cursor)
        is_usable = held.server == server and 0 <= held.low <= latest and held.width >= 0
        return held if is_usable else cls(server)


@dataclass(frozen=True, slots=True)
class Listed:
    """One page of entries, and where to go on."""

    entries: Sequence[Entry]
    position: Position
    complete: bool


def next_page(client: LdapV3Client, cursor: str | None) -> Listed:
    """The next entries of accounts. Raises the four errors; never gives a part of a span."""
    server, latest = client.clock()
    position = Position.of(cursor, server, latest)
    while True:
        end = position.low + position.width - 1
        last = end if position.width and end < latest else None
        entries = _span(client, position.low, last, latest)
        if entries is None:
            position = replace(position, width=max(1, (position.width or latest - position.low) // 2))
            continue
        top = max([position.top, *map(client.dialect.stamp, entries)])
        position = replace(position, top=top, top_since=position.top_since if top == position.top else 0)
        if last is None:
            return Listed(entries, _finished(client, position, latest), complete=True)
        position = replace(position, low=last + 1, width=position.width * 2)
        if entries:
            return Listed(entries, position, complete=False)


def _span(client: LdapV3Client, low: int, last: int | None, latest: int) -> Sequence[Entry] | None:
    """What was stamped from ``low`` to ``last``; ``None`` when it is more than a page and can be divided."""
    dialect = client.dialect
    where = (client.settings.suffix, all_of(dialect.people, dialect.stamped(low, last)), dialect.attributes)
    entries, is_all = client.first_page(*where)
    if is_all:
        return entries
    is_one_stamp = (latest if last is None else last) <= low  # one second's work of a bulk import, or what changed just now
    shows_stamps = any(map(dialect.stamp, entries))  # where access rules hide them, no filter by stamp finds anything
    return None if shows_stamps and not is_one_stamp else client.search(*where)


def _finished(client: LdapV3Client, position: Position, latest: int) -> Position:
    """Where to look for changes. A stamp of the future (a clock that was wrong once) must not hide those until then.

    What may still arrive with a stamp as old as the overlap is looked for again, until the highest stamp has been known for so long
    that it would have arrived: then everything up to that stamp is told for good. Only stamps that were seen count, not how far the
    spans went: our own clock may be ahead of the directory's.
    """
    overlap = client.dialect.stamp_overlap
    now, top = latest + overlap, position.top
    since = position.top_since or now
    is_settled = 0 < top < latest and now - since >= overlap > 0
    low = top + 1 if is_settled else min(top, now) - overlap
    return Position(position.server, low=max(0, low), top=top, top_since=since)
