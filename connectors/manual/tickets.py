"""What a ticket asks for: an action on one account, and with what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from connectors.protocols.desks.cases import Number, subject_of
from connectors.records.instants import instant

ATTRIBUTE = "set."
"""Precedes the names of attributes in a ticket."""
NAME = "display_name"
"""The attribute by which people are told who it is about."""


class Action(StrEnum):
    """What is to be done."""

    CREATE = "create"
    UPDATE = "update"
    EXPIRY = "expiry"
    ENABLE = "enable"
    BLOCK = "block"
    SIGN_OUT = "signout"
    ADD = "add"
    REMOVE = "remove"


TAKES_AWAY = frozenset({Action.BLOCK, Action.SIGN_OUT, Action.REMOVE})
"""What a refusal does not end."""
_OF_THINGS = frozenset({Action.ADD, Action.REMOVE})


@dataclass(frozen=True, slots=True)
class Content:
    """With what. Attributes are texts; ``""`` empties one. ``thing`` is what is given or taken."""

    login: str = ""
    enabled: bool = False
    expires_at: datetime | None = None
    thing: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict, repr=False)

    def fields(self) -> dict[str, str]:
        """As texts; what says nothing is left out."""
        told = {
            "login": self.login,
            "enabled": "yes" if self.enabled else "",
            "thing": self.thing,
            "expires_at": self.expires_at.isoformat() if self.expires_at else "",
        }
        attributes = {f"{ATTRIBUTE}{name}": text for name, text in self.attributes.items()}
        return {name: text for name, text in told.items() if text} | attributes

    @classmethod
    def read(cls, number: Number, fields: Mapping[str, str]) -> Content:
        """What the ticket asks for. Raises ``ValueError`` where it is not as we wrote it."""
        thing, expires_at = fields.get("thing", ""), fields.get("expires_at")
        if number.action in _OF_THINGS and subject_of(thing) != number.subject:
            raise ValueError("another thing than its number says")
        return cls(
            fields.get("login", ""),
            fields.get("enabled") == "yes",
            instant(expires_at) if expires_at else None,
            thing,
            {name.removeprefix(ATTRIBUTE): text for name, text in fields.items() if name.startswith(ATTRIBUTE)},
        )


NOTHING_MORE = Content()
"""For what the action itself says."""
