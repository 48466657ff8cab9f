"""Accounts: what the tickets of one person tell together. Only what was answered counts; a later change of the same thing counts more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeAlias

from connectors.manual.tickets import NAME, Action, Content
from connectors.protocols.desks import cases
from connectors.protocols.desks.cases import Status
from workforce.access import AccountState
from workforce.errors import Refused

Case: TypeAlias = cases.Case[Content]


@dataclass
class Held:
    """What is held once tickets were done, one after the other."""

    is_made: bool = False
    enabled: bool = False
    expires_at: datetime | None = None
    attributes: dict[str, str | None] = field(default_factory=dict)
    groups: set[str] = field(default_factory=set)

    def take(self, action: str, asked: Content) -> None:
        """One more ticket was done."""
        if action == Action.CREATE:
            self.is_made, self.enabled = True, asked.enabled
        elif action in {Action.ENABLE, Action.BLOCK}:
            self.enabled = action == Action.ENABLE
        elif action == Action.ADD:
            self.groups.add(asked.thing)
        elif action == Action.REMOVE:
            self.groups.discard(asked.thing)
        if action in {Action.CREATE, Action.EXPIRY}:
            self.expires_at = asked.expires_at
        self.attributes |= {name: text or None for name, text in asked.attributes.items()}


@dataclass(frozen=True)
class Account:
    """One account: all of its tickets."""

    account_id: str
    cases: Sequence[Case]
    keeps_expiry: bool

    @property
    def held(self) -> Held:
        """What is proven. Raises ``Refused`` (cause ``changed_ticket``) where a ticket cannot be believed."""
        for case in self._done():
            if case.asked is None:
                message = f"manual: the file of ticket {case.number} is not as it was written; put it back as it was"
                raise Refused(message, cause="changed_ticket")
        return _after(self._done())

    @property
    def is_shown(self) -> bool:
        """Whether anything is proven: a refusal to make the account is proof that there is none."""
        return bool(self._done()) or any(case.status is Status.REFUSED for case in self._of(Action.CREATE))

    @property
    def may_sign_in(self) -> bool:
        """Whether it is not proven that the account is blocked."""
        return _after(self._done()).enabled

    @property
    def login(self) -> str:
        """The login under which it was last asked for."""
        creation = self.last_creation
        return creation.asked.login if creation and creation.asked else ""

    @property
    def name(self) -> str:
        """The person's name as far as it is known, or else the login."""
        told = [case.asked.attributes.get(NAME) for case in sorted(self.cases, key=lambda case: case.order) if case.asked]
        return next(filter(None, reversed(told)), self.login)

    @property
    def last_creation(self) -> Case | None:
        """The latest ticket that asked for the account."""
        return max(self._of(Action.CREATE), key=lambda case: case.opened_at, default=None)

    def state(self) -> AccountState:
        """The account as it is proven to be. Raises as ``held``."""
        return self._shown_as(self.held)

    def state_at_most(self) -> AccountState:
        """The account as it may be by now: one that was only asked for is taken for made, and a ticket that cannot be believed for the worse."""
        return self._shown_as(_after(self._done() if self.is_shown else self.open_ones(Action.CREATE)))

    def newest(self, action: Action, subject: str = "") -> Case | None:
        """The latest turn of what was asked for."""
        return max(self._of(action, subject), key=lambda case: case.number.turn, default=None)

    def open_ones(self, *actions: Action, subject: str | None = None) -> list[Case]:
        """The open tickets, of these actions or of any."""
        return [
            case
            for case in self.cases
            if case.is_open and (not actions or case.number.action in actions) and subject in (None, case.number.subject)
        ]

    def _done(self) -> list[Case]:
        return sorted((case for case in self.cases if case.status is Status.DONE), key=lambda case: case.order)

    def _of(self, action: Action, subject: str | None = None) -> list[Case]:
        return [case for case in self.cases if case.number.action == action and subject in (None, case.number.subject)]

    def _shown_as(self, held: Held) -> AccountState:
        return AccountState(
            self.account_id,
            self.login,
            self.account_id,
            held.enabled,
            frozenset(held.groups),
            held.expires_at if self.keeps_expiry else None,
            keeps_expiry=self.keeps_expiry,
            attributes=held.attributes,
        )


def _after(cases: Iterable[Case]) -> Held:
    """What is held after tickets were done. One that cannot be believed has let the person in, if any of its kind can."""
    held = Held()
    for case in cases:
        held.take(case.number.action, case.asked or Content(enabled=True))
    return replace(held, groups=held.groups - {""})
