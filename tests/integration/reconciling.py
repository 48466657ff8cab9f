"""People with accounts in a directory, as the joiner leaves them, for tests of reconciliation."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import uuid4

from flows.reconciliation.reconcile import reconcile
from ledger import engagements
from ledger.access import grants
from ledger.database import Tx
from ledger.identity import identities
from ledger.queueing.jobs import JobName
from ledger.reconciliation import findings
from ledger.reconciliation.findings import Finding
from ledger.reconciliation.reconciliations import Reconciliation, Scope
from tests.integration.installed import TENANT, Installed
from tests.integration.ledger_cases import a_work_order
from workforce.access import SIGN_IN, DesiredAccount, Entitlement, EntitlementKind
from workforce.engagement import Engagement
from workforce.ports import Directory
from workforce.states import EngagementState

_NUMBERS = count(1)


@dataclass(frozen=True)
class Employed:
    """A person with an engagement and an account."""

    engagement: Engagement
    account_id: str


@dataclass(frozen=True)
class Premises:
    """One directory of an installed company."""

    installed: Installed
    name: str

    @property
    def port(self) -> Directory:
        return self.installed.hub.tenant(TENANT).instance(self.name).directory()

    @property
    def groups(self) -> list[str]:
        return self.installed.world.groups[self.name]

    def employ(self, *, groups: Collection[str] = (), starts_on: str = "2026-01-05", has_account: bool = True) -> Employed:
        """Somebody whose access was given and read back."""
        engagement = self.engage(starts_on=starts_on)
        entitlements = {SIGN_IN, *(Entitlement(EntitlementKind.GROUP, group) for group in groups)}
        account_id = self.account(engagement, groups=groups) if has_account else f"gone-{uuid4()}"
        with self.installed.hub.database.transaction(TENANT) as tx:
            grants.want(tx, engagement, self.name, {each: {"package": "test"} for each in entitlements})
            identities.link(tx, self.name, "account", engagement.worker.id, account_id)
            grants.proven(tx, engagement.id, self.name, account_id, entitlements)
            self._long_ago(tx, engagement)
        return Employed(engagement, account_id)

    def engage(self, *, starts_on: str = "2026-01-05", state: EngagementState = EngagementState.ACTIVE) -> Engagement:
        with self.installed.hub.database.transaction(TENANT) as tx:
            order = a_work_order(f"WO-R{next(_NUMBERS)}", starts_on=starts_on, ends_on="2031-02-26")
            engagement, _ = engagements.upsert_work_order(tx, "fieldglass", order, "2026-11-20")
            path = (EngagementState.CLEARED, EngagementState.ACTIVE) if state is EngagementState.ACTIVE else (state,)
            for each in path if state is not EngagementState.REQUESTED else ():
                engagement = engagements.transition(tx, engagement.id, each)
        return engagement

    def account(self, engagement: Engagement, *, groups: Collection[str] = (), **difference: object) -> str:
        """An account as the joiner makes it."""
        marker = engagement.worker.marker
        login = f"r.{marker.lower()}" + ("@acme.example" if self.name == "entra" else "")
        named = (
            {"displayName": "Ada", "mailNickname": f"r.{marker.lower()}"} if self.name == "entra" else {"cn": "Ada", "sn": "Ada"}
        )
        desired = DesiredAccount(marker, login, named, frozenset(groups), engagement.end_at)
        account_id = self.port.create(replace(desired, **difference))  # type: ignore[arg-type]  # what a test says
        for group in groups:
            self.port.add_member(group, account_id)
        return account_id

    def end(self, employed: Employed, *, seconds_ago: int = 3600) -> None:
        """The ending began, so long ago that the leaver should have been through."""
        with self.installed.hub.database.transaction(TENANT) as tx:
            engagements.begin_ending(tx, employed.engagement.id, "test")
            grants.unwant_all(tx, employed.engagement.id, because="ending:1")
            tx.execute(
                "UPDATE engagements SET tombstoned_at = tombstoned_at - %(ago)s WHERE id = %(id)s",
                ago=timedelta(seconds=seconds_ago),
                id=employed.engagement.id,
            )
            tx.execute(
                "UPDATE grants SET unwanted_at = unwanted_at - %(ago)s WHERE engagement_id = %(id)s",
                ago=timedelta(seconds=seconds_ago),
                id=employed.engagement.id,
            )

    def run(self, scope: Scope = Scope.FULL) -> Reconciliation:
        return reconcile(self.installed.hub, TENANT, self.name, scope)

    def found(self, account_id: str) -> list[tuple[str, str]]:
        """Drift and subject of the open findings of an account."""
        return sorted((finding.drift, finding.subject) for finding in self.findings() if finding.account_id == account_id)

    def findings(self) -> list[Finding]:
        with self.installed.hub.database.transaction(TENANT) as tx:
            return findings.list_open(tx, self.name, limit=10_000)

    def waiting(self, name: JobName) -> list[str]:
        """The engagements of the jobs called ``name`` that wait; they are taken off the queue."""
        return [args["engagement_id"] for args in self.installed.waiting(name)]

    def _long_ago(self, tx: Tx, engagement: Engagement) -> None:
        tx.execute("UPDATE grants SET wanted_at = wanted_at - interval '1 day' WHERE engagement_id = %(id)s", id=engagement.id)


def found_kinds(premises: Premises, account_id: str) -> list[str]:
    return [drift for drift, _ in premises.found(account_id)]


LATER = datetime(2030, 6, 1, tzinfo=UTC)
