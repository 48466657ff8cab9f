"""Directories in memory: one that can only what every directory can, and one that can everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from secrets import token_urlsafe

from pydantic import SecretStr

from provisioning.fakes.targets import Target, merged
from workforce.access import AccountPage, AccountState, CredentialKind, DesiredAccount, FirstCredential, Seats
from workforce.errors import AlreadyTaken, HubError, NotFound, Refused, outcome_of_each
from workforce.ports import Clock


@dataclass
class PlainDirectory(Target[AccountState]):
    """The ``Directory`` of ``workforce.ports``. Logins are unique; markers too unless ``marker_is_unique`` is false.

    ``groups`` are the groups that exist; of those in ``foreign_groups`` something else decides the members. ``put_away`` are the accounts
    in the place for disabled ones. ``signed_in`` is what a trial sign-in finds for an enabled account (``None``: no way to try). A single
    look shows the attributes of an account unless ``hides_attributes``.
    """

    clock: Clock = field(kw_only=True)
    groups: set[str] = field(default_factory=set)
    foreign_groups: set[str] = field(default_factory=set)
    put_away: set[str] = field(default_factory=set)
    marker_is_unique: bool = True
    signed_in: bool | None = True
    hides_attributes: bool = False
    has_guests: bool = True
    made: int = 0
    """How many accounts were ever made: an id is given once."""

    def find(self, marker: str) -> Sequence[AccountState]:
        """Every account that shows ``marker``."""
        return [account for account in self._all_shown() if account.marker == marker]

    def find_by_login(self, login: str) -> AccountState | None:
        """The account that shows ``login``."""
        return next((account for account in self._all_shown() if self._answers_to(account, login)), None)

    def read(self, account_id: str) -> AccountState:
        """The account as it shows."""
        account = self._one_shown(account_id)
        return replace(account, attributes=None) if self.hides_attributes else account

    def create(self, account: DesiredAccount) -> str:
        """Create an account without groups, enabled if it shall be."""
        return self._write(lambda: self._create(account))

    def _create(self, account: DesiredAccount) -> str:
        if account.guest and not self.has_guests:
            raise Refused("there are no guests here", cause="no_guests")
        for held in self.entries.values():
            if self._answers_to(held, account.login) or (self.marker_is_unique and held.marker == account.marker):
                raise AlreadyTaken("login or marker is in use", field="login")
        self.made += 1
        account_id = f"account-{self.made}"
        state = AccountState(account_id, account.login, account.marker, account.enabled, expires_at=account.expires_at)
        self._store("create", account_id, replace(state, attributes=dict(account.attributes), guest=account.guest))
        return account_id

    def update(self, account_id: str, attributes: Mapping[str, object]) -> None:
        """Set attributes; of a nested one, the parts that are not named stay."""
        self._change(
            "update", account_id, lambda account: replace(account, attributes=merged(account.attributes or {}, attributes))
        )

    def set_expiry(self, account_id: str, expires_at: datetime) -> None:
        """Write the native expiry."""
        self._change("set_expiry", account_id, lambda account: replace(account, expires_at=expires_at))

    def enable(self, account_id: str) -> None:
        """Allow sign-in, and bring back from the place for disabled ones."""

        def enabled(account: AccountState) -> AccountState:
            self.put_away.discard(account_id)
            return replace(account, enabled=True)

        self._change("enable", account_id, enabled)

    def disable(self, account_id: str) -> None:
        """Block sign-in; protected accounts are refused."""
        if account_id in self.entries and self.entries[account_id].protected:
            raise Refused(f"account {account_id} is protected", cause="protected_account")
        self._change("disable", account_id, lambda account: replace(account, enabled=False))

    def revoke_sessions(self, account_id: str) -> None:
        """Make every session that is older than now invalid, told in whole seconds."""
        now = self.clock.now().replace(microsecond=0)
        self._change("revoke_sessions", account_id, lambda account: replace(account, sessions_valid_from=now))

    def add_member(self, group_id: str, account_id: str) -> None:
        """Add to a group that exists and takes members."""
        if group_id in self.foreign_groups:
            raise Refused(f"something else decides who is in {group_id}", cause="group_not_ours")
        if group_id not in self.groups:
            raise NotFound(f"there is no group {group_id}")
        self._change("add_member", account_id, lambda account: replace(account, groups=account.groups | {group_id}))

    def remove_member(self, group_id: str, account_id: str) -> None:
        """Remove from a group."""
        self._change("remove_member", account_id, lambda account: replace(account, groups=account.groups - {group_id}))

    def move_to_disabled(self, account_id: str) -> None:
        """Put away."""

        def moved(account: AccountState) -> AccountState:
            self.put_away.add(account_id)
            return account

        self._change("move_to_disabled", account_id, moved)

    def accounts(self, cursor: str | None) -> AccountPage:
        """Everything in one page, each time."""
        del cursor
        return AccountPage(self._all_shown(), cursor="")

    def block_all(self, account_ids: Sequence[str]) -> Mapping[str, HubError | None]:
        """Disable and sign out, one after the other."""

        def block(account_id: str) -> None:
            self.disable(account_id)
            self.revoke_sessions(account_id)

        return outcome_of_each(account_ids, block)

    def sign_in_works(self, account_id: str) -> bool | None:
        """What a trial sign-in finds now."""
        return None if self.signed_in is None else self._truth(account_id).enabled and self.signed_in

    def _answers_to(self, account: AccountState, login: str) -> bool:
        return account.login == login

    def _change(self, operation: str, account_id: str, change: Callable[[AccountState], AccountState]) -> None:
        self._write(lambda: self._store(operation, account_id, change(self._truth(account_id))))


@dataclass
class InMemoryDirectory(PlainDirectory):
    """A directory that can everything: ``Licensing``, ``AppRoles``, ``Managers``, ``Renaming``, ``Restoring`` and ``Credentials``.

    ``licences`` are the seats of each licence, ``group_licences`` what the members of a group hold through it, ``app_roles`` the roles
    that exist. ``managers`` are the accounts of managers, ``aliases`` earlier logins, both by account. ``bin`` are deleted accounts.
    """

    licences: dict[str, int] = field(default_factory=dict)
    group_licences: dict[str, set[str]] = field(default_factory=dict)
    app_roles: set[str] = field(default_factory=set)
    managers: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, set[str]] = field(default_factory=dict)
    bin: dict[str, AccountState] = field(default_factory=dict)

    def seats(self, licence: str) -> Seats:
        """The seats bought, and those of accounts that hold the licence in whatever way."""
        if licence not in self.licences:
            raise NotFound(f"the company has no {licence}")
        held = [account.licences | account.inherited_licences for account in self.entries.values()]
        return Seats(self.licences[licence], sum(1 for licences in held if licence in licences))

    def assign_licence(self, account_id: str, licence: str) -> None:
        """Give a licence directly, while there is a seat."""

        def given(account: AccountState) -> AccountState:
            if licence not in account.licences | account.inherited_licences and not self.seats(licence).free:
                raise Refused(f"no seat of {licence} is free", cause="no_seat_left")
            return replace(account, licences=account.licences | {licence})

        self._change("assign_licence", account_id, given)

    def reclaim_licence(self, account_id: str, licence: str) -> None:
        """Take a licence that is held directly."""

        def taken(account: AccountState) -> AccountState:
            if licence in account.inherited_licences - account.licences:
                raise Refused(f"{licence} comes through a group", cause="inherited_licence")
            return replace(account, licences=account.licences - {licence})

        self._change("reclaim_licence", account_id, taken)

    def assign_app_role(self, account_id: str, app_role: str) -> None:
        """Give a role that exists."""
        if app_role not in self.app_roles:
            raise NotFound(f"there is no role {app_role}")
        self._change("assign_app_role", account_id, lambda account: replace(account, app_roles=account.app_roles | {app_role}))

    def remove_app_role(self, account_id: str, app_role: str) -> None:
        """Take a role."""
        self._change("remove_app_role", account_id, lambda account: replace(account, app_roles=account.app_roles - {app_role}))

    def set_manager(self, account_id: str, address: str) -> None:
        """Make the account whose login or ``mail`` is ``address`` the manager."""
        known = (one for one in self.entries.values() if address in {one.login, (one.attributes or {}).get("mail")})
        manager = next(known, None)
        if manager is None:
            raise NotFound("nobody has the manager's address", field="manager")

        def managed(account: AccountState) -> AccountState:
            self.managers[account_id] = manager.account_id
            return account

        self._change("set_manager", account_id, managed)

    def rename(self, account_id: str, login: str) -> None:
        """Change the login; the old one keeps leading to the account."""
        if any(self._answers_to(held, login) for one, held in self.entries.items() if one != account_id):
            raise AlreadyTaken("the login is in use", field="login")

        def renamed(account: AccountState) -> AccountState:
            self.aliases[account_id] = (self.aliases.get(account_id, set()) | {account.login}) - {login}
            return replace(account, login=login)

        self._change("rename", account_id, renamed)

    def delete(self, account_id: str) -> None:
        """Delete by hand: the account is kept in ``bin``, where only a look for deleted ones finds it."""
        self.bin[account_id] = self.entries.pop(account_id)
        self._versions.pop(account_id)

    def deleted(self, marker: str) -> Sequence[str]:
        """The ids of those in ``bin`` that carry ``marker``."""
        return [one for one, account in self.bin.items() if account.marker == marker]

    def restore(self, account_id: str) -> None:
        """Bring back from ``bin``, disabled."""

        def restored() -> None:
            if account_id in self.bin:
                self._store("restore", account_id, replace(self.bin.pop(account_id), enabled=False))
            self._truth(account_id)

        self._write(restored)

    def first_credential(self, account_id: str) -> FirstCredential:
        """A new random password, kept nowhere."""
        self._change("first_credential", account_id, lambda account: account)
        return FirstCredential(CredentialKind.PASSWORD, SecretStr(token_urlsafe(16)))

    def _answers_to(self, account: AccountState, login: str) -> bool:
        return account.login == login or login in self.aliases.get(account.account_id, ())

    def _store(self, operation: str, entry_id: str, entry: AccountState) -> None:
        """What comes through groups follows the groups."""
        through_groups = frozenset[str]().union(*(self.group_licences.get(group, set()) for group in entry.groups))
        super()._store(operation, entry_id, replace(entry, inherited_licences=through_groups))
