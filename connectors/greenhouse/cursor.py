"""The place in the reading of changes.

One reading walks three lists one after the other (applications, offers, candidates), because a moved start date or a corrected name does not
touch the application. Greenhouse sorts by nothing that is known, so the next reading starts from when this one began, less an overlap, and
what was delivered meanwhile is left out by its digest. The vendor's own page cursor is kept between pages.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from workforce.errors import Refused

STREAMS = ("applications", "offers", "candidates")
MAX_KEPT = 5_000


@dataclass(frozen=True, slots=True)
class Delivered:
    """What was told of an application: whether as hired, its version, and the digest of its values."""

    application_id: int
    hired: bool
    version: str
    digest: str


@dataclass(frozen=True, slots=True)
class Place:
    """``since`` bounds this reading, ``began`` is when it did, ``page`` the vendor's cursor in the list number ``stream``.

    ``seen`` is application → version and digest of what may come up again. ``hired`` are the applications last told as hired, oldest first:
    an application among them that is not hired any more was un-hired. Of both the oldest are forgotten beyond 5,000: one that was seen may
    be told again, one that was hired is told by webhooks still.
    """

    since: AwareDatetime | None = None
    began: AwareDatetime | None = None
    stream: int = 0
    page: str | None = None
    seen: dict[int, tuple[str, str]] = field(default_factory=dict)
    hired: list[int] = field(default_factory=list)

    def is_news(self, told: Delivered) -> bool:
        """Whether this has not been delivered just so."""
        return self.seen.get(told.application_id) != (told.version, told.digest)

    def with_delivered(self, told: Iterable[Delivered]) -> Place:
        """The place once these are delivered."""
        news = list(told)
        ids = {one.application_id for one in news}
        hired = [one for one in self.hired if one not in ids] + [one.application_id for one in news if one.hired]
        seen = [(one, what) for one, what in self.seen.items() if one not in ids]
        seen += [(one.application_id, (one.version, one.digest)) for one in news]
        return replace(self, seen=dict(seen[-MAX_KEPT:]), hired=hired[-MAX_KEPT:])

    def after(self, page: str | None, served_at: datetime, overlap: timedelta) -> Place:
        """The next page, else the next list, else the start of the next reading."""
        began = self.began or served_at
        if page is not None:
            return replace(self, began=began, page=page)
        if self.since is not None and self.stream + 1 < len(STREAMS):  # without a bound the applications were everything
            return replace(self, began=began, page=None, stream=self.stream + 1)
        since = began - overlap
        kept = {one: what for one, what in self.seen.items() if what[0] >= version_of(since)}
        return Place(since=since, seen=kept, hired=self.hired)

    @property
    def is_at_rest(self) -> bool:
        """Whether a reading has just been finished."""
        return self.began is None

    def encode(self) -> str:
        """The opaque text that a caller keeps."""
        return _PLACE.dump_json(self, exclude_defaults=True).decode()

    @classmethod
    def decode(cls, text: str | None, *, changed_since: datetime | None = None) -> Place:
        """The place in ``text``; the beginning for ``None``. Raises ``Refused`` (cause ``bad_cursor``)."""
        if text is None:
            return cls(since=changed_since)
        try:
            place = _PLACE.validate_json(text)
        except ValidationError:
            place = None
        if place is None or not 0 <= place.stream < len(STREAMS):
            raise Refused(
                "cursor: not one of this connector's; start again from the beginning", cause="bad_cursor", field="cursor"
            )
        return place


_PLACE: TypeAdapter[Place] = TypeAdapter(Place)


def version_of(instant: datetime) -> str:
    """An instant in UTC at a fixed width, so that a later one compares greater as text."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
