"""Slack's answers as typed records. Field names are the vendor's.

Message metadata and conversations.history are from the vendor's pages; the archived description has neither.
"""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, Field

from connectors.records.answers import Reading, Wire

parse = Reading("slack")

T = TypeVar("T", bound=BaseModel)


class Identified(Wire):
    """A user or a conversation."""

    id: str = Field(min_length=1)
    name: str | None = None


class UserFound(Wire):
    """users.lookupByEmail."""

    user: Identified


class Opened(Wire):
    """conversations.open."""

    channel: Identified


class _Next(Wire):
    next_cursor: str = ""


class Page(Wire):
    """What every list has. ``cursor`` leads on; it is empty at the end."""

    response_metadata: _Next | None = None

    @property
    def cursor(self) -> str:
        """The next page's, or nothing."""
        return self.response_metadata.next_cursor if self.response_metadata else ""


class ChannelPage(Page):
    """conversations.list."""

    channels: tuple[Identified, ...]


class History(Page):
    """conversations.history, youngest first. A message is whatever its app made of it, ours or another."""

    messages: tuple[object, ...]
