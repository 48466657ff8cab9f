"""Where the vendors' own API descriptions lie, and clients that are closed when a test ends."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, TypeVar

import pytest

from connectors.suite.description import VendorSpec as Description
from connectors.suite.trial import Exchange, RecordingApp

__all__ = ["OPENED", "SPECS", "Exchange", "RecordingApp", "VendorSpec", "opened"]

SPECS = Path(__file__).resolve().parents[3] / "shared" / "vendor-specs"


class _Closable(Protocol):
    def close(self) -> None: ...


C = TypeVar("C", bound=_Closable)
OPENED: list[_Closable] = []


def opened(client: C) -> C:
    """``client``, to be closed when the test ends."""
    OPENED.append(client)
    return client


class VendorSpec(Description):
    """A description that is looked for beside the repository."""

    @classmethod
    def load(cls, file: str, *, prefix: str = "") -> Description:
        """The description at ``file``; skips the test, visibly, where the descriptions are absent. ``prefix`` is cut off paths."""
        path = SPECS / file
        if not path.exists():
            pytest.skip(f"the vendor's API description is not here: shared/vendor-specs/{file}")
        return cls.read(path, prefix=prefix)
