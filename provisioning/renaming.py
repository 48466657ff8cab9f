"""What an account is called and whose it is in one directory: its login and its manager, each changed as an effect and read back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from provisioning.readback import read_account
from provisioning.updates import Updates
from workforce.access import AccountState
from workforce.effects import Effect, EffectKind
from workforce.errors import NotFound, Refused, RetryLater
from workforce.ports import Directory, EffectLog, Managers, Renaming


@dataclass(frozen=True, slots=True)
class Renamed:
    """An account that was renamed. ``sign_in`` is what a trial found; ``None``: none was made."""

    account: AccountState
    sign_in: bool | None


@dataclass(frozen=True)
class AccountNaming:
    """Login and manager of one worker's account in one directory. ``base`` carries tenant, engagement, target, epoch."""

    directory: Directory
    base: Effect
    log: EffectLog

    def rename(self, account_id: str, login: str, *, try_sign_in: bool) -> Renamed | None:
        """See that the account's login is ``login``, and that it works as before; ``None`` where it was so already.

        The old one stays an alias. A trial sign-in replaces the password: ``try_sign_in`` only before it was handed over; else the login and
        whether it is enabled are read back alone. Raises ``Refused`` (cause ``cannot_rename``), ``AlreadyTaken``, ``RetryLater``.
        """
        before, directory = read_account(self.directory, account_id), self.directory
        if before.login.casefold() == login.casefold():
            return None
        if not isinstance(directory, Renaming):
            message = f"{self.base.target}: this directory cannot rename an account; rename it there by hand"
            raise Refused(message, cause="cannot_rename", field="login")
        self._needed(EffectKind.RENAME_ACCOUNT, lambda: directory.rename(account_id, login), login)
        return self._prove(account_id, login, enabled=before.enabled, try_sign_in=try_sign_in)

    def conclude(self, account_id: str, unfinished: Iterable[Effect]) -> None:
        """Conclude renamings whose replies were lost, now that the account has its login."""
        Updates(replace(self.base, kind=EffectKind.RENAME_ACCOUNT), self.log).conclude(account_id, unfinished)

    def set_manager(self, account_id: str, address: str) -> bool:
        """Make the account that holds ``address`` the manager; false where nobody holds it (yet), or the directory knows no managers."""
        directory, missing = self.directory, []
        if not isinstance(directory, Managers):
            return False

        def set_manager() -> None:
            try:
                directory.set_manager(account_id, address)
            except NotFound as error:  # nothing was done, and it is asked again with every run
                missing.append(error)
                raise RetryLater(str(error), cause="manager_not_found") from None

        try:
            self._needed(EffectKind.SET_MANAGER, set_manager, address)
        except RetryLater:
            if not missing:
                raise
        return not missing

    def _prove(self, account_id: str, login: str, *, enabled: bool, try_sign_in: bool) -> Renamed:
        account = read_account(self.directory, account_id)
        faults = [] if account.login.casefold() == login.casefold() else ["still has its old login"]
        if account.enabled is not enabled:
            faults.append("sign-in is blocked" if enabled else "sign-in is not blocked")
        sign_in = self.directory.sign_in_works(account_id) if try_sign_in and account.enabled and not faults else None
        if sign_in is False:
            faults.append("cannot sign in with its new login")
        if faults:
            raise RetryLater(f"account {account_id} {' and '.join(faults)}", cause="read_back_mismatch")
        return Renamed(account, sign_in)

    def _needed(self, kind: EffectKind, call: Callable[[], None], text: str) -> None:
        """Effects are told apart by a digest: neither a login nor an address belongs into the audit trail."""
        Updates(replace(self.base, kind=kind), self.log).needed(call, detail_of(text))


def detail_of(text: str) -> str:
    """What tells the effects for two logins or addresses apart (32 hex digits)."""
    return hashlib.sha256(text.casefold().encode()).hexdigest()[:32]
