"""Where a reading is: the opaque text that a caller keeps between polls, and the place in a feed of changes that is polled.

A feed is read in passes. A pass reads every record that was stamped at or after a floor, in one answer or page by page. When it is through,
the floor moves up to an instant of the vendor's clock at which the pass is known to have seen whatever was stamped before, less an overlap for
what is committed late. What was told from the new floor on is remembered by its digest, and the next pass leaves it out.

So nothing is lost and nothing is told twice while records change: not when they share an instant, change twice within one tick of the clock,
or show late by less than the overlap. A record whose stamp is the vendor's present tick waits for the next pass: under the same stamp it may
change once more, and a version that does not move is no news to anybody.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal, Protocol, Self, TypeVar, cast

from pydantic import ConfigDict, TypeAdapter

from connectors.records.answers import Instant
from connectors.records.instants import instant_text
from workforce.errors import Refused
from workforce.ports import SourceRecord

FORMAT = 1
"""Precedes each place, so that no other text, such as an empty object, is taken for one of which every field is at its beginning."""
MAX_SEEN = 5_000
"""Beyond it the oldest are forgotten and told once more, which is harmless; a cursor stays below some 300 kB."""
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Base of the places that a caller keeps. A place is a frozen dataclass whose fields pydantic can write as JSON and check."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    def encode(self) -> str:
        """The opaque text that a caller keeps."""
        return _form(type(self)).dump_json((FORMAT, self), exclude_defaults=True).decode()

    @classmethod
    def decode(cls, text: str | None) -> Self:
        """The place in ``text``; the beginning for ``None``. Raises ``Refused`` (cause ``bad_cursor``)."""
        if text is None:
            return cls()
        try:
            _, place = _form(cls).validate_json(text, strict=True)
        except ValueError:
            message = "cursor: not one of this connector's; start again from the beginning"
            raise Refused(message, cause="bad_cursor", field="cursor") from None
        return cast("Self", place)


def _form(shape: type[Cursor]) -> TypeAdapter[Any]:
    return TypeAdapter(tuple[Literal[1], shape])  # type: ignore[valid-type]  # it takes the class that it is given


class Stamped(Protocol):
    """One state of one record: ``modified`` is the vendor's stamp, ``digest`` tells the state from every other of every record."""

    @property
    def modified(self) -> datetime:
        """In UTC."""
        ...

    @property
    def digest(self) -> str:
        """See ``digest_of``."""
        ...


S = TypeVar("S", bound=Stamped)


@dataclass(frozen=True, slots=True)
class Change:
    """A record as a feed tells it: a ``Stamped`` for vendors whose stamp orders the record's versions."""

    record: SourceRecord
    modified: datetime
    digest: str

    @classmethod
    def of(cls, external_id: str, modified: datetime, values: Mapping[str, Any]) -> Change:
        """The state of the record ``external_id`` that was stamped ``modified``."""
        record = SourceRecord(external_id, instant_text(modified, "microseconds"), values)
        return cls(record, modified, digest_of([external_id, values]))


@dataclass(frozen=True, slots=True)
class Feed(Cursor):
    """The place in a feed. ``seen`` is digest → stamp of what was told from ``floor`` on; the rest is of the pass that is under way.

    ``began`` is up to when it has seen everything, ``reached`` the latest stamp it met, ``next`` where the vendor goes on. A feed that is
    not ``is_sorted`` by stamps, oldest first, has to remember all of the pass until its end.
    """

    is_sorted: ClassVar[bool] = True

    floor: Instant | None = None
    seen: Mapping[str, Instant] = field(default_factory=dict)
    began: Instant | None = None
    reached: Instant | None = None
    next: str | None = None

    @property
    def since(self) -> datetime | None:
        """From where a sorted feed is read, inclusive: a pass whose ``next`` the vendor has forgotten goes on where it was."""
        return self.reached or self.floor

    def news(self, states: Iterable[S], clock: datetime, *, grain: timedelta | None = None) -> list[S]:
        """Those that were not told and can be by now. ``clock`` is the vendor's, or the nearest to it.

        ``grain`` is the step of its stamps. Where it is not known, one without a fraction is taken to be of whole seconds, and one with a
        fraction for exact. A later page may show what was there when the pass began, so what was of the present then waits as well.
        """
        clocks = [clock] if self.began is None else [clock, self.began]
        unseen = (one for one in states if one.digest not in self.seen)
        return [one for one in unseen if all(_is_settled(one.modified, moment, grain) for moment in clocks)]

    def after(
        self,
        states: Iterable[Stamped],
        told: Iterable[Stamped],
        *,
        seen_until: datetime | None,
        overlap: timedelta,
        next_page: str | None = None,
        is_through: bool = True,
        keep: int = MAX_SEEN,
    ) -> Self:
        """The place once the news among ``states``, ``told``, are told.

        ``seen_until`` is up to when this answer shows everything, by the vendor's clock: the first one's counts for the pass. Where it is not
        known, the floor stays: the latest stamp could not stand for it, since what a first page told may change while the last is read.
        """
        began = self.began or seen_until
        kept = {**self.seen, **{one.digest: one.modified for one in told}}
        floor = self.floor if began is None else max(self.floor or _EARLIEST, _earlier(began.replace(microsecond=0), overlap))
        if is_through:
            return replace(self, floor=floor, seen=_newest(kept, floor, keep), began=None, reached=None, next=None)
        reached = max([one.modified for one in states] + [self.reached or _EARLIEST])
        lowest = min(floor or _EARLIEST, reached) if self.is_sorted else None
        return replace(self, seen=_newest(kept, lowest, keep), began=began, reached=reached, next=next_page)


_EARLIEST = datetime.min.replace(tzinfo=UTC)


def digest_of(content: object) -> str:
    """Tells one content, of what JSON can hold, from every other: 64 bits as text."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _is_settled(modified: datetime, clock: datetime, grain: timedelta | None) -> bool:
    """A stamp of the future is settled as well: it is wrong, and would be for as long as one waits."""
    tick = grain or (_SECOND if modified.microsecond == 0 else timedelta(0))
    return abs(clock - modified) >= tick


def _earlier(moment: datetime, span: timedelta) -> datetime:
    try:
        return moment - span
    except OverflowError:
        return _EARLIEST


def _newest(seen: Mapping[str, datetime], floor: datetime | None, most: int) -> dict[str, datetime]:
    within = sorted(((moment, digest) for digest, moment in seen.items() if floor is None or moment >= floor), reverse=True)
    return {digest: moment for moment, digest in within[:most]}
