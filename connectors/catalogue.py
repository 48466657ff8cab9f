"""The catalogue: every package in this folder that declares a ``CONNECTOR``. It is known by its settings form, which each one has."""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from typing import Any

import connectors
from connectors.contract import Connector
from workforce.errors import Misconfigured


def known_keys() -> list[str]:
    """The keys of all connectors, sorted. Imports none of them."""
    return sorted(form.parent.name for place in connectors.__path__ for form in Path(place).glob("*/settings.py"))


@cache
def load(key: str) -> Connector[Any, Any]:
    """The connector called ``key``, imported on first use so that a process pays only for what it needs.

    Raises ``Misconfigured`` naming the known keys.
    """
    if key not in known_keys():
        raise Misconfigured(
            f"there is no connector {key!r}; known connectors: {', '.join(known_keys())}",
            cause="unknown_connector",
            field="connector",
        )
    connector: Connector[Any, Any] = importlib.import_module(f"connectors.{key}").CONNECTOR
    return connector
