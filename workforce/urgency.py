"""Whether the work at hand takes access away. Revocation wins: what slows other work down lets it pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_REVOKING: ContextVar[bool] = ContextVar("revoking", default=False)


@contextmanager
def revoking() -> Iterator[None]:
    """Within the block every outside call of this thread belongs to a revocation: it may use what is kept back for that."""
    before = _REVOKING.set(True)
    try:
        yield
    finally:
        _REVOKING.reset(before)


def is_revoking() -> bool:
    """Whether we are within ``revoking``."""
    return _REVOKING.get()
