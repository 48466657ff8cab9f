"""The place in the feed of changes.

A pass reads everything from a floor on, page by page; when it is through, the floor moves up to the moment, by Salesforce's own clock, at
which the pass began, less the overlap. What was delivered above the new floor is remembered by its digest, so that the next pass tells
only what is new there: changes of transactions that were committed late, and second changes within one tick of SystemModstamp.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from connectors.salesforce.records import QueryAnswer, Row, instant_text
from workforce.errors import Refused

MAX_SEEN = 5000
"""Beyond it the oldest are forgotten and told once more, which is harmless; a cursor stays below some 300 kB."""


@dataclass(frozen=True, slots=True)
class Place:
    """``seen`` is digest → instant. The rest is of the pass that is under way: when it began, how far it is, where it goes on."""

    floor: datetime | None = None
    seen: Mapping[str, datetime] = field(default_factory=dict)
    began_at: datetime | None = None
    reached: datetime | None = None
    next: str | None = None

    @property
    def since(self) -> datetime | None:
        """From where a query reads, inclusive: a pass whose query Salesforce has forgotten goes on where it was."""
        return self.reached or self.floor

    def unseen(self, rows: Iterable[Row]) -> list[Row]:
        """The rows that were not told before."""
        return [row for row in rows if row.digest not in self.seen]

    def after(self, rows: Iterable[Row], *, next_page: str | None, told_at: datetime | None, overlap: timedelta) -> Place:
        """The place once ``rows`` are told. Where Salesforce does not tell the time, the floor stays.

        The newest change could not stand for it: the rows of a pass's first page may change again while its last one is read.
        """
        told = {row.digest: row.modified for row in rows}
        began_at = self.began_at or told_at
        reached = max([*told.values(), *([self.reached] if self.reached else [])], default=None)
        horizon = _later(self.floor, began_at - overlap if began_at else None)
        kept = {**self.seen, **told}
        if next_page is not None:
            bounds = [bound for bound in (horizon, reached) if bound]
            return Place(self.floor, _newest(kept, min(bounds, default=None)), began_at, reached, next_page)
        return Place(horizon, _newest(kept, horizon))

    def encode(self) -> str:
        """The opaque text that a caller keeps."""
        by_instant: dict[str, list[str]] = {}
        for digest, moment in self.seen.items():
            by_instant.setdefault(instant_text(moment), []).append(digest)
        instants = {name: instant_text(moment) for name in _INSTANTS if (moment := getattr(self, name)) is not None}
        return json.dumps({**instants, "next": self.next, "seen": by_instant}, separators=(",", ":"))

    @classmethod
    def decode(cls, text: str | None) -> Place:
        """The place in ``text``; the beginning for ``None``. Raises ``Refused`` (cause ``bad_cursor``)."""
        if text is None:
            return cls()
        try:
            kept = json.loads(text)
            seen = {str(digest): _utc(moment) for moment, digests in kept["seen"].items() for digest in digests}
            instants = {name: _utc(kept[name]) if name in kept else None for name in _INSTANTS}
            address = QueryAnswer(done=kept["next"] is None, records=(), nextRecordsUrl=kept["next"]).next_records_url
            return cls(seen=seen, next=address, **instants)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
            raise Refused(
                "cursor: not one of this connector's; start again from the beginning", cause="bad_cursor", field="cursor"
            ) from None


_INSTANTS = ("floor", "began_at", "reached")


def _newest(seen: Mapping[str, datetime], bound: datetime | None) -> dict[str, datetime]:
    within = sorted(((moment, digest) for digest, moment in seen.items() if bound is None or moment >= bound), reverse=True)
    return {digest: moment for moment, digest in within[:MAX_SEEN]}


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((moment for moment in (one, other) if moment is not None), default=None)


def _utc(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no offset")
    return moment.astimezone(UTC)
