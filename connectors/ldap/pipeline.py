"""Many modifications at once on one connection: LDAP lets a client send on while answers are due (RFC 4511 §3.1)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TypeAlias

import ldap

from connectors.ldap.connection import Connection, ConnectionPool
from connectors.ldap.records import Mods
from connectors.ldap.results import LOST, translated_change
from workforce.errors import HubError

UNDER_WAY = 50
"""How many requests are sent ahead of their answers."""

Change: TypeAlias = tuple[str, Mods]


def modify_all(pool: ConnectionPool, changes: Sequence[Change]) -> list[HubError | None]:
    """Each change's error or ``None``. A connection that is lost takes with it what is under way; the rest goes over another."""
    outcomes: list[HubError | None] = [None] * len(changes)
    waiting = deque(range(len(changes)))
    while waiting:
        try:
            with pool.borrow(alive=True) as connection:
                _send_all(connection, changes, waiting, outcomes)
        except HubError as error:  # there is no connection to be had
            for index in waiting:
                outcomes[index] = error
            break
        except ldap.LDAPError:
            continue
    return outcomes


def _send_all(connection: Connection, changes: Sequence[Change], waiting: deque[int], outcomes: list[HubError | None]) -> None:
    """Send what is waiting and take the answers. Raises ``ldap.LDAPError`` when the connection is lost."""
    sent: deque[tuple[int, int]] = deque()
    try:
        while waiting or sent:
            while waiting and len(sent) < UNDER_WAY:
                dn, mods = changes[waiting[0]]
                sent.append((waiting[0], connection.modify_ext(dn, list(mods))))
                waiting.popleft()
            index, request = sent[0]
            outcomes[index] = _answer(connection, request, changes[index][1])
            sent.popleft()
    except ldap.LDAPError as error:
        # One that could not even be sent counts as sent where it was the only one, so that there is an end.
        for index in [index for index, _ in sent] or [waiting.popleft()]:
            outcomes[index] = translated_change(error, changes[index][1])
        raise


def _answer(connection: Connection, request: int, mods: Mods) -> HubError | None:
    try:
        connection.result3(request)
    except LOST:
        raise
    except ldap.LDAPError as error:
        return translated_change(error, mods)
    return None
