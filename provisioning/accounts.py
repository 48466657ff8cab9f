"""Applying access to one directory: each change is an effect; the account is found again by our marker."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from provisioning.effects import Holder, Write, gone_is_done, perform
from provisioning.plan import Change, plan_access, plan_removal
from provisioning.readback import blocking_faults, read_account
from provisioning.updates import MAX_LIVES, Updates, undone_too_often
from provisioning.writing import DesiredRecord, WritePlan
from workforce.access import DesiredAccount, Entitlement
from workforce.effects import REVOKING, Effect, EffectKind
from workforce.errors import Misconfigured, Refused, RetryLater, error_unless_fenced
from workforce.ports import AppRoles, Directory, EffectLog, Licensing, Restoring

SYNCED = "synced_account"
"""The cause of a refusal by a directory that is only a copy of another one."""


@dataclass(frozen=True)
class AccountApplier:
    """Changes one worker's account in one directory for one engagement. ``base`` carries tenant, engagement, target, epoch."""

    directory: Directory
    base: Effect
    log: EffectLog

    def create(self, desired: DesiredAccount, details: Mapping[str, object]) -> str:
        """Create the account, or adopt the one that an earlier attempt or stint left; its immutable id."""
        account_id, _ = self._create(desired, details)
        return account_id

    def provide(
        self,
        account: DesiredAccount,
        desired: DesiredRecord,
        details: Mapping[str, object],
        *,
        known: str | None = None,
        life: int = 1,
    ) -> tuple[str, WritePlan]:
        """Create or adopt the account, unless its id is ``known``, and see that it has its attributes; its id and what was written.

        Of an account that is there only what differs from what the directory shows is written. Where it does not show an attribute, what
        was written last decides. ``life`` counts the accounts that the engagement made here: the one before was deleted.
        """
        account_id, made = (known, False) if known else self._create(account, details, life)
        plan = desired.whole() if made else self._update(account_id, desired, details)
        return account_id, self._read_back(account_id, plan)

    def conclude(self, account_id: str, unfinished: Iterable[Effect]) -> None:
        """Conclude updates whose replies were lost, now that the account is as it should be."""
        self._updates(EffectKind.UPDATE_ACCOUNT).conclude(account_id, unfinished)

    def grant(
        self,
        account_id: str,
        desired: DesiredAccount,
        *,
        given: Collection[Entitlement] = (),
        asked: Collection[Entitlement] = (),
    ) -> list[Change]:
        """Bring the account to ``desired``, and take away what of ``given`` is not in it; the changes that were needed.

        ``asked`` is taken away although it does not show, as in ``remove``. A licence that went with a group is given directly.
        """
        changes = plan_access(desired, read_account(self.directory, account_id), given=given, asked=asked)
        self._apply_all(changes, account_id, desired)
        if desired.licences and any(change.kind is EffectKind.REMOVE_MEMBER for change in changes):
            more = plan_access(desired, read_account(self.directory, account_id))
            missing = [change for change in more if change.kind is EffectKind.ASSIGN_LICENCE]
            self._apply_all(missing, account_id, desired)
            changes += missing
        return changes

    def restore(self, account_id: str) -> None:
        """Bring a deleted account back, disabled. Raises ``NotFound`` once it is gone for good, ``Misconfigured``."""
        directory = self.directory
        if not isinstance(directory, Restoring):
            raise Misconfigured(f"{self.base.target} keeps no deleted accounts", cause="cannot_restore")
        self._again(Change(EffectKind.RESTORE_ACCOUNT, account_id), lambda: directory.restore(account_id))

    def block(self, account_id: str, *, signed_out_since: datetime | None) -> None:
        """Block sign-in, then sign out, until the directory shows both.

        An account that is enabled again after it was disabled (a grant that was under way, a hand at the console) is blocked
        again: that is a new life of the effect. Raises ``RetryLater`` while the directory does not show it yet.
        """
        disable = gone_is_done(lambda: self.directory.disable(account_id))
        sign_out = gone_is_done(lambda: self.directory.revoke_sessions(account_id))
        for lifecycle in range(1, MAX_LIVES + 1):
            disabled = self._disable(disable, sign_out, account_id, lifecycle)
            signed_out = self._do(EffectKind.REVOKE_SESSIONS, sign_out, account_id, life=lifecycle)
            faults = blocking_faults(read_account(self.directory, account_id), signed_out_since)
            if not faults:
                return
            if disabled or signed_out:
                raise RetryLater(f"account {account_id}: {'; '.join(faults)}", cause="read_back_mismatch")
        raise undone_too_often(f"account {account_id} was enabled again", "enabled_again")

    def _disable(self, disable: Callable[[], None], sign_out: Callable[[], None], account_id: str, life: int) -> bool:
        """Disable; an account that only another directory can disable is signed out here all the same."""
        try:
            return self._do(EffectKind.DISABLE_ACCOUNT, disable, account_id, life=life)
        except Refused as error:
            if error.cause == SYNCED:
                self._do(EffectKind.REVOKE_SESSIONS, sign_out, account_id, life=life)
            raise

    def remove(
        self, account_id: str, *, marker: str, gone: Collection[Entitlement], asked: Collection[Entitlement] = ()
    ) -> list[Change]:
        """Take away what of ``gone`` the account still holds, and ``asked``: what may have been asked for and does not show yet.

        The changes that were needed. One that fails keeps no other from being made; the first error is raised then.
        """
        changes = plan_removal(read_account(self.directory, account_id), marker=marker, gone=gone, asked=asked)
        errors = [error for change in changes if (error := error_unless_fenced(partial(self._apply, change, account_id)))]
        if errors:
            raise errors[0]
        return changes

    def retire(self, account_id: str) -> None:
        """Move the account to the place for disabled ones."""
        move = gone_is_done(lambda: self.directory.move_to_disabled(account_id))
        self._do(EffectKind.MOVE_TO_DISABLED, move, account_id)

    def _update(self, account_id: str, desired: DesiredRecord, details: Mapping[str, object]) -> WritePlan:
        """Write the attributes that have to change."""
        plan = desired.plan(read_account(self.directory, account_id).attributes or {})
        if not plan.is_empty:

            def update() -> None:
                self.directory.update(account_id, plan.values())

            told = {**details, "fields": plan.changed}
            self._updates(EffectKind.UPDATE_ACCOUNT).needed(update, desired.fingerprint(plan), details=told)
        return plan

    def _read_back(self, account_id: str, plan: WritePlan) -> WritePlan:
        """The plan with the directory's own way of writing, where it shows one by now. Without it the next run tells what differs."""
        if plan.is_empty:
            return plan
        try:
            return plan.read_back(read_account(self.directory, account_id).attributes or {})
        except RetryLater:
            return plan

    def _create(self, desired: DesiredAccount, details: Mapping[str, object], life: int = 1) -> tuple[str, bool]:
        """The account's id, and whether this call made it with its attributes."""
        made: list[str] = []

        def create() -> str:
            made.append(self.directory.create(desired))
            return made[0]

        def look_up() -> list[Holder]:
            holders = [Holder(account.account_id, ours=True) for account in self.directory.find(desired.marker)]
            if holders:
                return holders
            taken = self.directory.find_by_login(desired.login)
            return [Holder(taken.account_id, ours=taken.marker == desired.marker)] if taken else []

        effect = replace(self.base, kind=EffectKind.CREATE_ACCOUNT, lifecycle=life)
        write = Write(effect, create, look_up, details=details)
        account_id = perform(write, log=self.log).vendor_id
        assert account_id is not None, "a created account has an id"  # noqa: S101 - the port says so
        return account_id, bool(made)

    def _apply_all(self, changes: Iterable[Change], account_id: str, desired: DesiredAccount) -> None:
        for change in changes:
            self._apply(change, account_id, expires_at=desired.expires_at)

    def _apply(self, change: Change, account_id: str, *, expires_at: datetime | None = None) -> None:
        if change.kind is EffectKind.SET_EXPIRY and expires_at is not None:
            self._again(change, lambda: self.directory.set_expiry(account_id, expires_at))
            return
        call = self._calls(change.detail, account_id)[change.kind]
        self._again(change, gone_is_done(call) if change.kind in REVOKING else call)

    def _calls(self, detail: str, account_id: str) -> Mapping[EffectKind, Callable[[], None]]:
        """How each kind of change is made."""
        directory = self.directory
        return {
            EffectKind.ENABLE_ACCOUNT: lambda: directory.enable(account_id),
            EffectKind.DISABLE_ACCOUNT: lambda: directory.disable(account_id),
            EffectKind.REVOKE_SESSIONS: lambda: directory.revoke_sessions(account_id),
            EffectKind.ADD_MEMBER: lambda: directory.add_member(detail, account_id),
            EffectKind.REMOVE_MEMBER: lambda: directory.remove_member(detail, account_id),
            EffectKind.ASSIGN_LICENCE: lambda: self._licensing().assign_licence(account_id, detail),
            EffectKind.RECLAIM_LICENCE: lambda: self._licensing().reclaim_licence(account_id, detail),
            EffectKind.ASSIGN_APP_ROLE: lambda: self._app_roles().assign_app_role(account_id, detail),
            EffectKind.REMOVE_APP_ROLE: lambda: self._app_roles().remove_app_role(account_id, detail),
        }

    def _licensing(self) -> Licensing:
        if isinstance(self.directory, Licensing):
            return self.directory
        raise Misconfigured(f"{self.base.target} keeps no licences; take them out of the access package", cause="no_licences")

    def _app_roles(self) -> AppRoles:
        if isinstance(self.directory, AppRoles):
            return self.directory
        raise Misconfigured(
            f"{self.base.target} has no application roles; take them out of the access package", cause="no_app_roles"
        )

    def _again(self, change: Change, call: Callable[[], None]) -> None:
        self._updates(change.kind).needed(call, change.detail)

    def _do(self, kind: EffectKind, call: Callable[[], None], detail: str = "", *, life: int = 1) -> bool:
        """Perform an idempotent change; whether this call did it."""
        return self._updates(kind).once(call, detail, life=life)

    def _updates(self, kind: EffectKind) -> Updates:
        return Updates(replace(self.base, kind=kind), self.log)
