"""A worker's login: reserved by the tenant's policy, and changed with the name where the policy wants that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from config.hub import Hub
from config.tenant import TenantConfig
from ledger.database import Tx
from ledger.identity import identities
from ledger.identity.identities import ACCOUNT, Login, Release
from ledger.trail import audit
from provisioning.logins import fingerprint, is_made_of, login_candidates
from provisioning.policies import LoginPolicy, Rename
from workforce.engagement import Worker
from workforce.ports import Renaming

LOOKED_AT = 5
"""How many of the best candidates may be taken over from somebody who left long ago; each is looked for in every directory."""


@dataclass(frozen=True, slots=True)
class WorkersLogin:
    """The login of one worker of one tenant."""

    hub: Hub
    tenant: str
    worker: Worker

    def reserve(self) -> str:
        """The worker's login, reserved on first use.

        Raises ``Refused`` (cause ``no_login_left``), and what a directory raises that is asked whether it still holds somebody's former one.
        """
        standing = self._standing()
        if standing is not None:
            return standing.login
        release = self._release()
        with self.hub.database.transaction(self.tenant) as tx:
            return identities.reserve_login(tx, self.worker.id, self._candidates(), made_for=self._name, release=release)

    def follow_the_name(self) -> str:
        """The same; another one once the name has changed, where the policy wants it to follow. The old one stays theirs, as an alias.

        A directory in which the worker has an account but which cannot rename one keeps the login as it is; that is audited.
        """
        login, standing = self.reserve(), self._standing()
        if standing is None or not self._follows_the_name(standing):
            return login
        release = self._release()
        with self.hub.database.transaction(self.tenant) as tx:
            return identities.rename_login(tx, self.worker.id, self._candidates(), made_for=self._name, release=release)

    def _standing(self) -> Login | None:
        with self.hub.database.transaction(self.tenant) as tx:
            return identities.login_in_use(tx, self.worker.id)

    def _follows_the_name(self, standing: Login) -> bool:
        """Whether the login is to be changed now; what stands for another name than it was made for is noted."""
        if self._policy.rename is Rename.NEVER or standing.made_for == self._name:
            return False
        profile = self.worker.profile
        fits = is_made_of(standing.login, profile.given_name, profile.family_name, self.worker.marker, self._policy)
        wanted = standing.made_for is not None and not fits
        stuck = self._cannot_rename() if wanted else []
        if wanted and not stuck:
            return True
        with self.hub.database.transaction(self.tenant) as tx:
            identities.note_made_for(tx, self.worker.id, self._name)
            if stuck:
                target = ("worker", str(self.worker.id))
                audit.note(tx, "login.kept", target=target, reason_code="cannot_rename", systems=stuck)
        return False

    def _cannot_rename(self) -> list[str]:
        """The directories in which the worker has an account whose login stays what it is."""
        with self.hub.database.transaction(self.tenant) as tx:
            mine = [name for name in self._config.document.systems.directories if self._has_account(tx, name)]
        return [name for name in mine if not isinstance(self._config.instance(name).directory(), Renaming)]

    def _has_account(self, tx: Tx, directory: str) -> bool:
        return identities.external_id(tx, directory, ACCOUNT, self.worker.id) is not None

    def _release(self) -> Release | None:
        """Which of the best candidates may be taken over: those whose owner left long ago and which no directory holds any more."""
        days = self._policy.reuse_after_days
        if days is None:
            return None
        with self.hub.database.transaction(self.tenant) as tx:
            old = identities.releasable(tx, list(islice(self._candidates(), LOOKED_AT)), after_days=days)
        return Release(frozenset(login for login in old if not self._is_held(login)), days)

    def _is_held(self, login: str) -> bool:
        directories = [self._config.instance(name).directory() for name in self._config.document.systems.directories]
        domain = self._config.document.email_domain
        return any(each.find_by_login(name) is not None for each in directories for name in (login, f"{login}@{domain}"))

    def _candidates(self) -> Iterator[str]:
        profile = self.worker.profile
        return login_candidates(profile.given_name, profile.family_name, self.worker.marker, self._policy)

    @property
    def _name(self) -> bytes:
        return fingerprint(self.worker.profile.given_name, self.worker.profile.family_name)

    @property
    def _policy(self) -> LoginPolicy:
        return self._config.document.access.logins

    @property
    def _config(self) -> TenantConfig:
        return self.hub.tenant(self.tenant)
