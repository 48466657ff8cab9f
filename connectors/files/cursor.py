"""The place in a sequence of exports: how far full ones were read, and which two were the last; or which deltas of the inbox were read.

It grows with the deltas in the inbox and not with what files hold.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, NamedTuple

from pydantic import Field

from connectors.records import cursors


class Mark(NamedTuple):
    """An export that was read: its identity and the digest of its content."""

    identity: str
    digest: str


@dataclass(frozen=True, slots=True)
class Cursor(cursors.Cursor):
    """``last`` are the latest two full exports that count, newest first. ``read`` is identity → content digest of the inbox's read deltas.

    ``through`` is the key of the export read last: of full ones always, of deltas while the archive is read, after which it is ``None``.
    """

    read: Mapping[str, str] = field(default_factory=dict)
    last: Annotated[tuple[Mark, ...], Field(max_length=2)] = ()
    through: str | None = ""

    def marked(self, mark: Mark) -> Cursor:
        """The place with one more full export to compare with."""
        return replace(self, last=(mark, *self.last)[:2])

    def only(self, there: Collection[str]) -> Cursor:
        """The place with the files of these identities in the inbox, and the archive read to its end."""
        return replace(self, read={one: digest for one, digest in self.read.items() if one in there}, through=None)
