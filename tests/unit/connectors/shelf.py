"""Where credentials are kept in tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from connectors.wire.rotation import InProcessCredentials
from workforce.errors import RetryLater
from workforce.ports import HeldCredential


class Shelf:
    """A store that outlives the process; ``outages`` of its commits are still to come."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.outages = 0

    @contextmanager
    def exclusively(self, seed: str) -> Iterator[HeldCredential]:
        held = InProcessCredentials()
        if seed in self.kept:
            held.replace(None, self.kept[seed])
        yield held
        if self.outages:
            self.outages -= 1
            raise RetryLater("the database cannot do this now", cause="database_unavailable")
        if (newest := held.newest()) is not None:
            self.kept[seed] = newest
