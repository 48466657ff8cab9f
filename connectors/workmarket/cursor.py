"""The place in the list of updated assignments: a reading under way, or the moment from which the next one starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from connectors.records import cursors


@dataclass(frozen=True, slots=True)
class Cursor(cursors.Cursor):
    """``since`` is where the reading begins and ``newest`` what was modified last when it did, both in ticks; ``start`` is the offset.

    ``tail`` are the items (id → modified) of the part read last; ``told`` those near ``newest`` that were delivered.
    """

    since: int = 0
    start: int = 0
    newest: int | None = None
    tail: Mapping[str, int] = field(default_factory=dict)
    told: Mapping[str, int] = field(default_factory=dict)
