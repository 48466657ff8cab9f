"""Many modifications at once on one connection: LDAP lets a client send on while answers are due (RFC 4511 §3.1)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TypeAlias

import ldap

from connectors.protocols.ldapv3.connection import Connection, ConnectionPool
from connectors.protocols.ldapv3.entries import Mods
from connectors.protocols.ldapv3.results import LOST, ResultCodes
from workforce.errors import HubError

UNDER_WAY = 50
"""How many requests are sent ahead of their answers."""

Change: TypeAlias = tuple[str, Mods]


def modify_all(pool: ConnectionPool, results: ResultCodes, changes: Sequence[Change]) -> list[HubError | None]:
    """Each change's error or ``None``. A connection that is lost takes with it what is under way; the rest goes over another."""
    batch = _Batch(results, changes)
    while batch.waiting:
        try:
            with pool.borrow(alive=True) as connection:
                batch.send_on(connection)
        except HubError as error:  # there is no connection to be had
            batch.give_up(error)
        except ldap.LDAPError:
            continue
    return batch.outcomes


class _Batch:
    """Changes, which of them ``waiting`` is still to be sent, and what became of the others."""

    def __init__(self, results: ResultCodes, changes: Sequence[Change]) -> None:
        self._results, self._changes = results, changes
        self.waiting = deque(range(len(changes)))
        self.outcomes: list[HubError | None] = [None] * len(changes)

    def send_on(self, connection: Connection) -> None:
        """Send what is waiting and take the answers. Raises ``ldap.LDAPError`` when the connection is lost."""
        sent: deque[tuple[int, int]] = deque()
        try:
            while self.waiting or sent:
                while self.waiting and len(sent) < UNDER_WAY:
                    dn, mods = self._changes[self.waiting[0]]
                    sent.append((self.waiting[0], connection.modify_ext(dn, list(mods))))
                    self.waiting.popleft()
                self._take_answer(connection, *sent[0])
                sent.popleft()
        except ldap.LDAPError as error:
            # One that could not even be sent counts as sent where it was the only one, so that there is an end.
            for index in [index for index, _ in sent] or [self.waiting.popleft()]:
                self._fail(index, error)
            raise

    def give_up(self, error: HubError) -> None:
        """Nothing more is sent."""
        while self.waiting:
            self.outcomes[self.waiting.popleft()] = error

    def _take_answer(self, connection: Connection, index: int, request: int) -> None:
        try:
            connection.result3(request)
        except LOST:
            raise
        except ldap.LDAPError as error:
            self._fail(index, error)

    def _fail(self, index: int, error: ldap.LDAPError) -> None:
        self.outcomes[index] = self._results.of_change(error, self._changes[index][1])
