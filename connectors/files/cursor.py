"""The place in a sequence of exports: which files of the inbox were read, and which two were the last.

It grows with the files in the inbox and not with what they hold.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from connectors.files.client import Export
from workforce.errors import Refused


@dataclass(frozen=True, slots=True)
class Mark:
    """An export that was read: its identity, the digest of its content, its key."""

    identity: str
    digest: str
    key: str


@dataclass(frozen=True, slots=True)
class Cursor:
    """``read`` is identity → content digest of the inbox's files that were read; ``last`` are the latest two, newest first.

    While the archive is read from its beginning, ``replayed`` is the key of the last file read there; then it is ``None``.
    """

    read: Mapping[str, str] = field(default_factory=dict)
    last: tuple[Mark, ...] = ()
    replayed: str | None = ""

    def after(self, export: Export, digest: str, *, from_archive: bool) -> Cursor:
        """The place once ``export`` is delivered."""
        mark = Mark(export.identity, digest, export.key)
        is_later = not self.last or mark.key > self.last[0].key
        read = self.read if from_archive else {**self.read, export.identity: digest}
        return Cursor(read, (mark, *self.last)[:2] if is_later else self.last, export.key if from_archive else None)

    def without(self, gone: Iterable[str]) -> Cursor:
        """The place once the files of these identities have left the inbox, which ends the reading of the archive."""
        left = set(gone)
        return replace(self, read={one: digest for one, digest in self.read.items() if one not in left}, replayed=None)

    def encode(self) -> str:
        """The opaque text that a caller keeps."""
        last = [[mark.identity, mark.digest, mark.key] for mark in self.last]
        return json.dumps({"read": dict(self.read), "last": last, "replayed": self.replayed}, separators=(",", ":"))

    @classmethod
    def decode(cls, text: str | None) -> Cursor:
        """The place in ``text``; the beginning for ``None``. Raises ``Refused`` (cause ``bad_cursor``)."""
        if text is None:
            return cls()
        try:
            content = json.loads(text)
            read = {str(identity): str(digest) for identity, digest in content["read"].items()}
            last = tuple(Mark(str(identity), str(digest), str(key)) for identity, digest, key in content["last"])
            replayed = content["replayed"]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            replayed, read, last = 0, {}, ()
        if not (replayed is None or isinstance(replayed, str)) or len(last) > 2:
            raise Refused(
                "cursor: not one of this connector's; start again from the beginning", cause="bad_cursor", field="cursor"
            )
        return cls(read, last, replayed)
