from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract import specs


@pytest.fixture(autouse=True)
def _clients_are_closed() -> Iterator[None]:
    """Close what ``specs.opened`` was given."""
    yield
    while specs.OPENED:
        specs.OPENED.pop().close()
