"""What the operations of every port are made of: a stage, where scenes are set, and a scene, one operation made ready."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from connectors.contract import Instance
from connectors.suite.trial import Opened, Trial
from workforce.access import AccountPage, AccountState
from workforce.events import SourceEvent
from workforce.ports import ChangePage, Directory, EventPage, MissedEvents, RecordSource, SourceRecord

MAX_PAGES = 10_000

P = TypeVar("P", AccountPage, ChangePage, EventPage)


@dataclass(frozen=True, slots=True)
class Scene:
    """One operation made ready. ``run`` does it; ``is_right`` judges what it gave, and what can be read afterwards.

    ``is_found`` looks a lost creation up, as recovery does; ``None`` where the operation is simply issued again.
    """

    run: Callable[[], Any]
    is_right: Callable[[Any], bool] = lambda _result: True
    is_found: Callable[[], bool] | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """Where scenes are set: a connector's trial, its opened sandbox, and an instance. ``n`` tells samples apart."""

    trial: Trial[Any]
    opened: Opened[Any]
    instance: Instance
    n: int

    @property
    def sandbox(self) -> Any:
        """The vendor."""
        return self.opened.sandbox


def every_page(ask: Callable[[str | None], P], cursor: str | None = None) -> Iterator[P]:
    """Each page until one is complete; the cursor of one asks for the next."""
    for _ in range(MAX_PAGES):
        page = ask(cursor)
        yield page
        cursor = page.cursor
        if page.complete:
            return
    raise AssertionError("the pages never complete")


def every_account(directory: Directory, cursor: str | None = None) -> tuple[list[AccountState], str]:
    """The accounts on all pages from ``cursor`` on, and the cursor that follows them."""
    pages = list(every_page(directory.accounts, cursor))
    return [account for page in pages for account in page.accounts], pages[-1].cursor


def every_record(source: RecordSource, cursor: str | None = None) -> tuple[list[SourceRecord], str]:
    """The same of records."""
    pages = list(every_page(source.changes, cursor))
    return [record for page in pages for record in page.records], pages[-1].cursor


def every_event(backfill: MissedEvents, cursor: str | None = None) -> tuple[list[SourceEvent], str]:
    """The same of events."""
    pages = list(every_page(backfill.missed, cursor))
    return [event for page in pages for event in page.events], pages[-1].cursor
