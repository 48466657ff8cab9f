"""The place in a sequence of exports: how far full ones were read, and which two were the last; or which deltas of the inbox were read.

It grows with the deltas in the inbox and not with what files hold.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from workforce.errors import Refused


@dataclass(frozen=True, slots=True)
class Mark:
    """An export that was read: its identity and the digest of its content."""

    identity: str
    digest: str


@dataclass(frozen=True, slots=True)
class Cursor:
    """``last`` are the latest two full exports that count, newest first. ``read`` is identity → content digest of the inbox's read deltas.

    ``through`` is the key of the export read last: of full ones always, of deltas while the archive is read, after which it is ``None``.
    """

    read: Mapping[str, str] = field(default_factory=dict)
    last: tuple[Mark, ...] = ()
    through: str | None = ""

    def marked(self, mark: Mark) -> Cursor:
        """The place with one more full export to compare with."""
        return replace(self, last=(mark, *self.last)[:2])

    def only(self, there: Collection[str]) -> Cursor:
        """The place with the files of these identities in the inbox, and the archive read to its end."""
        return replace(self, read={one: digest for one, digest in self.read.items() if one in there}, through=None)

    def encode(self) -> str:
        """The opaque text that a caller keeps."""
        last = [[mark.identity, mark.digest] for mark in self.last]
        return json.dumps({"read": dict(self.read), "last": last, "through": self.through}, separators=(",", ":"))

    @classmethod
    def decode(cls, text: str | None) -> Cursor:
        """The place in ``text``; the beginning for ``None``. Raises ``Refused`` (cause ``bad_cursor``)."""
        if text is None:
            return cls()
        try:
            content = json.loads(text)
            read = {str(identity): str(digest) for identity, digest in content["read"].items()}
            last = tuple(Mark(str(identity), str(digest)) for identity, digest in content["last"])
            through = content["through"]
            if len(last) <= 2 and (through is None or isinstance(through, str)):
                return cls(read, last, through)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            pass
        raise Refused("cursor: not one of this connector's; start again from the beginning", cause="bad_cursor", field="cursor")
