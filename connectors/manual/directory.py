"""The directory that people keep. Every change is a ticket; an account is what evidence has shown of it.

Asking again is the same ticket, for as long as it is open: then the call says so with ``RetryLater`` (cause ``ticket_open``). A refusal to
give stands for a while; a refusal to take away ends nothing, and the ticket stays open.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from connectors.manual.accounts import Account, Case
from connectors.manual.client import ManualClient
from connectors.manual.tickets import NAME, NOTHING_MORE, TAKES_AWAY, Action, Content
from connectors.manual.wording import bare, sheet_of
from connectors.protocols.desks.cases import EARLIEST, Number, Status, subject_of
from connectors.protocols.desks.desk import View
from connectors.records import cursors
from connectors.records.accounts import require_marker
from workforce.access import AccountPage, AccountState, DesiredAccount
from workforce.errors import AlreadyTaken, HubError, NotFound, Refused, RetryLater, outcome_of_each
from workforce.markers import is_marker

PAGE = 100
SIGNED_OUT_LATELY = timedelta(minutes=15)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class Cursor(cursors.Cursor):
    """``after`` is the id of the last account of a page."""

    after: str = ""


class ManualDirectory:
    """The ``Directory`` capability. An account's id is the marker of the person; a group's id is what people give, as they call it."""

    def __init__(self, client: ManualClient) -> None:
        self._desk, self._settings = client.desk, client.settings

    def find(self, marker: str) -> Sequence[AccountState]:
        """The account that carries ``marker``. One that was asked for and may be there by now is told as it was asked for."""
        account = self._account(self._desk.look(), marker)
        return [account.state_at_most()] if account.is_shown or account.open_ones(Action.CREATE) else []

    def find_by_login(self, login: str) -> AccountState | None:
        """The account of ours that has ``login``, or for which it was asked. Those of others are not known here: people refuse them."""
        view, subject = self._desk.look(), _login_subject(login)
        for number in view.tickets:
            if number.action == Action.CREATE and number.subject == subject:
                account = self._account(view, number.marker)
                if account.open_ones(Action.CREATE) or account.held.is_made:
                    return account.state_at_most()
        return None

    def read(self, account_id: str) -> AccountState:
        """The account as evidence shows it. Raises ``NotFound`` while there is none, ``Refused`` (cause ``changed_ticket``)."""
        account = self._account(self._desk.look(), account_id)
        if not account.is_shown:
            raise NotFound("manual: nobody has proven this account yet")
        return account.state()

    def create(self, account: DesiredAccount) -> str:
        """Ask for the account; its id, which is the marker. Asked for already: nothing is written."""
        require_marker("manual", account.marker, field="marker")
        if account.guest:
            raise Refused("manual: this directory has no guests; give an account of its own", cause="no_guests")
        view = self._desk.look()
        known = self._account(view, account.marker)
        if known.held.is_made:
            raise AlreadyTaken("manual: there is an account of this person; it is looked up", field="marker")
        holder = self.find_by_login(account.login)
        if holder is not None and holder.account_id != account.marker:
            raise AlreadyTaken("manual: the login belongs to another account here", field="login")
        if not known.open_ones(Action.CREATE):
            told = {name: text for name, text in _texts(account.attributes).items() if text}
            ends_at = account.expires_at.astimezone(UTC)
            wanted = Content(account.login, account.enabled, ends_at, attributes=told)
            self._ask(view, known, Action.CREATE, _login_subject(account.login), wanted)
        return account.marker

    def update(self, account_id: str, attributes: Mapping[str, object]) -> None:
        """Ask for other attributes, all at once: what was asked for and is not answered goes into the same ticket."""
        view, account = self._made(account_id)
        pending = account.open_ones(Action.UPDATE)
        asked = {name: text for case in pending if case.asked for name, text in case.asked.attributes.items()}
        wanted, held = {**asked, **_texts(attributes)}, account.held.attributes
        if pending or any((held.get(name) or "") != text for name, text in wanted.items()):
            subject = subject_of(*(part for name in sorted(wanted) for part in (name, wanted[name])))
            self._ask(view, account, Action.UPDATE, subject, Content(attributes=wanted), instead_of=pending)

    def set_expiry(self, account_id: str, expires_at: datetime) -> None:
        """Ask for another end. Nothing where the system holds none."""
        view, account = self._made(account_id)
        wanted, pending = expires_at.astimezone(UTC), account.open_ones(Action.EXPIRY)
        if self._settings.keeps_expiry and (pending or account.held.expires_at != wanted):
            self._ask(
                view, account, Action.EXPIRY, subject_of(wanted.isoformat()), Content(expires_at=wanted), instead_of=pending
            )

    def enable(self, account_id: str) -> None:
        """Ask to let the person in."""
        view, account = self._made(account_id, enabled=True)
        blocks = account.open_ones(Action.BLOCK)
        if blocks or not account.held.enabled:
            self._ask(view, account, Action.ENABLE, instead_of=blocks)

    def disable(self, account_id: str) -> None:
        """Ask to block the account and to sign it out, in one ticket. What was to be given to it is not to be given any more."""
        view = self._desk.look()
        self._block(view, self._known(view, account_id))

    def revoke_sessions(self, account_id: str) -> None:
        """Ask to sign the person out. A ticket to block the account, open or done, is one to sign it out as well."""
        view = self._desk.look()
        account = self._known(view, account_id)
        last = account.newest(Action.SIGN_OUT)
        lately = last is not None and last.status is Status.DONE and last.done_at > self._desk.now() - SIGNED_OUT_LATELY
        if account.may_sign_in and not lately and not account.open_ones(Action.BLOCK):
            self._ask(view, account, Action.SIGN_OUT)

    def add_member(self, group_id: str, account_id: str) -> None:
        """Ask to give something. Raises ``NotFound`` for what is not among those that people give."""
        if self._settings.gives and group_id not in self._settings.gives:
            raise NotFound(
                "manual: nobody gives a thing of this name; mend the access package, or the setting gives", field="gives"
            )
        view, account = self._made(account_id)
        subject = subject_of(group_id)
        taking = account.open_ones(Action.REMOVE, subject=subject)
        if taking or group_id not in account.held.groups:
            self._ask(view, account, Action.ADD, subject, Content(thing=group_id), instead_of=taking)

    def remove_member(self, group_id: str, account_id: str) -> None:
        """Ask to take something back, also what is only on its way."""
        view, subject = self._desk.look(), subject_of(group_id)
        account = self._known(view, account_id)
        giving = account.open_ones(Action.ADD, subject=subject)
        if giving or group_id in account.held.groups:
            self._ask(view, account, Action.REMOVE, subject, Content(thing=group_id), instead_of=giving)

    def move_to_disabled(self, account_id: str) -> None:
        """People have no such place."""

    def accounts(self, cursor: str | None) -> AccountPage:
        """The accounts that evidence shows, in the order of their ids; each reading gives all of them."""
        place, view = Cursor.decode(cursor), self._desk.look()
        left = [account_id for account_id in view.markers if account_id > place.after]
        page, is_last = left[:PAGE], len(left) <= PAGE
        accounts = [self._account(view, account_id) for account_id in page]
        after = Cursor() if is_last else Cursor(page[-1])
        return AccountPage([account.state() for account in accounts if account.is_shown], after.encode(), complete=is_last)

    def block_all(self, account_ids: Sequence[str]) -> Mapping[str, HubError | None]:
        """``disable`` for each, which signs it out as well."""
        view = self._desk.look()
        return outcome_of_each(account_ids, lambda account_id: self._block(view, self._known(view, account_id)))

    def sign_in_works(self, account_id: str) -> bool | None:
        """Nothing is tried."""
        del account_id
        return None

    def _account(self, view: View, account_id: str) -> Account:
        return Account(account_id, self._desk.cases(view, account_id), self._settings.keeps_expiry)

    def _known(self, view: View, account_id: str) -> Account:
        account = self._account(view, account_id) if is_marker(account_id) else None
        if account is None or not account.cases:
            raise NotFound("manual: nobody was ever asked for this account")
        return account

    def _block(self, view: View, account: Account) -> None:
        giving = [case for case in account.open_ones() if case.number.action not in TAKES_AWAY]
        if account.may_sign_in or giving or account.open_ones(Action.BLOCK):
            self._ask(view, account, Action.BLOCK, instead_of=giving)

    def _made(self, account_id: str, *, enabled: bool = False) -> tuple[View, Account]:
        """An account to which something may be given. One that was never made is asked for again first.

        Raises ``RetryLater`` (cause ``ticket_open``) then, and ``Refused`` (cause ``ticket_refused``) while a refusal to make it stands.
        """
        view = self._desk.look()
        account = self._known(view, account_id)
        if not account.held.is_made:
            asked = account.last_creation
            if asked is not None and asked.asked is not None and not asked.is_open:
                self._ask(view, account, Action.CREATE, asked.number.subject, replace(asked.asked, enabled=enabled))
            raise RetryLater("manual: the account is still to be made", cause="ticket_open")
        return view, account

    def _ask(
        self,
        view: View,
        account: Account,
        action: Action,
        subject: str = "",
        content: Content = NOTHING_MORE,
        *,
        instead_of: Sequence[Case] = (),
    ) -> None:
        """Open a ticket, the first or the next of its kind, and withdraw others.

        Raises ``RetryLater`` (cause ``ticket_open``) while it is open, ``Refused`` (cause ``ticket_refused``) once people have said no.
        """
        instead_of = [case for case in instead_of if (case.number.action, case.number.subject) != (action, subject)]
        last = account.newest(action, subject)
        if last is not None and last.is_open:
            self._desk.withdraw(view, instead_of)
            raise _refused(last) if last.is_refused else _open(last)
        if last is not None and last.status is Status.REFUSED and self._stands(last):
            raise _refused(last)
        turn = last.number.turn + 1 if last is not None else 1
        number = Number(self._settings.prefix, account.account_id, action, subject, turn)
        self._open(account, number, replace(content, login=content.login or account.login), instead_of)
        self._desk.withdraw(view, instead_of)

    def _open(self, account: Account, number: Number, content: Content, instead_of: Sequence[Case]) -> None:
        """Whatever somebody is called, what they have is taken from them."""
        fields = sheet_of(
            number,
            content,
            self._settings,
            now=self._desk.now(),
            person=content.attributes.get(NAME) or account.name,
            ends_at=content.expires_at or account.state_at_most().expires_at,
            instead_of=[case.number for case in instead_of],
        )
        try:
            self._desk.open(number, fields)
        except Refused:
            if number.action not in TAKES_AWAY:
                raise
            self._desk.open(number, bare(fields, number))

    def _stands(self, case: Case) -> bool:
        refused_at = case.last.at if case.last else EARLIEST
        return self._desk.now() < refused_at + timedelta(hours=self._settings.ask_again_after_hours)


def _open(case: Case) -> RetryLater:
    return RetryLater(
        f"manual: ticket {case.number} is open; it closes once somebody answers it with evidence", cause="ticket_open"
    )


def _refused(case: Case) -> Refused:
    message = f"manual: ticket {case.number} was refused, its answer says why; have it answered with done once it can be"
    return Refused(message, cause="ticket_refused")


def _login_subject(login: str) -> str:
    return subject_of(login.casefold())


def _texts(attributes: Mapping[str, object]) -> dict[str, str]:
    """Attributes as texts; ``""`` for what shall be empty. Raises ``Refused`` naming what is no text, or has no plain name."""
    for name, value in attributes.items():
        if isinstance(value, Mapping | list | tuple | set) or not _NAME.fullmatch(name):
            message = f"manual: {name} is not one text under a name of small letters, digits and _; mend the mapping"
            raise Refused(message, cause="not_a_text", field=name)
    return {name: "" if value is None else str(value) for name, value in attributes.items()}
