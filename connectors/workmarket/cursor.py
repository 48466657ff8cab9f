"""The place in the list of updated assignments: a reading under way, or the moment from which the next one starts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from workforce.errors import Refused


@dataclass(frozen=True, slots=True)
class Cursor:
    """``since`` is where the reading begins and ``newest`` what was modified last when it did, both in ticks; ``start`` is the offset.

    ``tail`` are the items (id → modified) of the part read last; ``told`` those near ``newest`` that were delivered.
    """

    since: int = 0
    start: int = 0
    newest: int | None = None
    tail: Mapping[str, int] = field(default_factory=dict)
    told: Mapping[str, int] = field(default_factory=dict)

    def encode(self) -> str:
        """The opaque text that a caller keeps."""
        content = [self.since, self.start, self.newest, dict(self.tail), dict(self.told)]
        return json.dumps(content, separators=(",", ":"))

    @classmethod
    def decode(cls, text: str | None) -> Cursor:
        """The place in ``text``; the beginning for ``None``. Raises ``Refused`` (cause ``bad_cursor``)."""
        if text is None:
            return cls()
        try:
            since, start, newest, tail, told = json.loads(text)
            maps = [{str(one): int(modified) for one, modified in each.items()} for each in (tail, told)]
            return cls(int(since), int(start), None if newest is None else int(newest), *maps)
        except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
            raise Refused(
                "cursor: not one of this connector's; start again from the beginning", cause="bad_cursor", field="cursor"
            ) from None
