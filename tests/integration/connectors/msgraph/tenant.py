"""Accounts that are made in a tenant of Entra, and how its tests connect to one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from connectors.msgraph.directory import MsGraphDirectory
from workforce.access import DesiredAccount
from workforce.markers import new_marker

END = datetime(2031, 3, 31, 22, 0, tzinfo=UTC)


class Connect(Protocol):
    """Gives a directory on the sandbox with ``form`` instead of the sandbox's own settings, and with ``other`` ones besides."""

    def __call__(self, form: Mapping[str, Any] | None = None, **other: object) -> MsGraphDirectory: ...


def an_account(login: str = "ada@client.example") -> DesiredAccount:
    """A contractor's account."""
    attributes = {"displayName": "Ada", "mailNickname": "ada", "usageLocation": "DE"}
    return DesiredAccount(new_marker(), login, attributes, frozenset(), END)
