"""The place in the feed of changes.

A place is the newest instant read, and the content digests of every row delivered at or after that instant less the overlap. A poll
asks again from there and leaves out what it has delivered. So nothing is lost when rows share an instant, change twice within
one tick, or are committed late by less than the overlap; and nothing is delivered twice. A row that is dated in the future does not
move the place there, where it would hide every other until then.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from connectors.fieldglass.records import Row
from workforce.errors import Refused


@dataclass(frozen=True, slots=True)
class Cursor:
    """``at`` is the newest instant read (``None``: nothing yet); ``seen`` is digest → instant of its row."""

    at: datetime | None = None
    seen: Mapping[str, datetime] = field(default_factory=dict)

    def since(self, overlap: timedelta) -> datetime | None:
        """Where to read on, inclusive."""
        return None if self.at is None else _before(self.at, overlap)

    def unseen(self, rows: Iterable[Row]) -> list[Row]:
        """The rows that were not delivered before."""
        return [row for row in rows if row.digest not in self.seen]

    def after(self, rows: Iterable[Row], overlap: timedelta, now: datetime) -> Cursor:
        """The place once ``rows`` are delivered."""
        seen = {**self.seen, **{row.digest: row.modified for row in rows}}
        moments = [*(moment for moment in seen.values() if moment <= now), *([self.at] if self.at else [])]
        if not moments:
            return Cursor(None, seen)
        newest = max(moments)
        horizon = _before(newest, overlap)
        return Cursor(newest, {digest: moment for digest, moment in seen.items() if moment >= horizon})

    def encode(self) -> str:
        """The opaque text that a caller keeps."""
        seen = {digest: moment.isoformat() for digest, moment in self.seen.items()}
        return json.dumps({"at": self.at and self.at.isoformat(), "seen": seen}, separators=(",", ":"))

    @classmethod
    def decode(cls, text: str | None) -> Cursor:
        """The place in ``text``; the beginning for ``None``. Raises ``Refused`` (cause ``bad_cursor``)."""
        if text is None:
            return cls()
        try:
            content = json.loads(text)
            seen = {str(digest): _utc(moment) for digest, moment in content["seen"].items()}
            return cls(_utc(content["at"]) if content["at"] is not None else None, seen)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
            raise Refused(
                "cursor: not one of this connector's; start again from the beginning", cause="bad_cursor", field="cursor"
            ) from None


def _utc(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no offset")
    return moment.astimezone(UTC)


def _before(moment: datetime, span: timedelta) -> datetime:
    earliest = datetime.min.replace(tzinfo=UTC)
    return moment - span if moment - earliest > span else earliest
