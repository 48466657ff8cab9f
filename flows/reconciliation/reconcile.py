"""Reconciliation: a directory, read page by page, is held against what the ledger says that it should show.

Nobody ever holds all accounts. An account that deviates is read once more by itself before it is put on the list, because
pages lag and leave things out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from uuid import UUID

import structlog

from config.hub import Hub
from config.tenant import TenantDocument
from flows.alarms import raise_alarm
from flows.ending.sweeper import subject_of_enabled
from flows.mapping.ownership import kept_targets
from flows.reconciliation.expected import expected_of
from flows.reconciliation.mending import Mending
from ledger import failures
from ledger.database import Tx
from ledger.reconciliation import findings, reconciliations
from ledger.reconciliation.findings import Finding, Sighting
from ledger.reconciliation.reconciliations import Person, Reconciliation, Scope
from ledger.writing import writes
from provisioning.policies import Drift, ReconciliationPolicy
from provisioning.readback import is_there
from provisioning.reconcile import Evidence, Expected, Found, Trigger, account_missing, classify, is_ours
from provisioning.writing import DesiredRecord
from workforce.access import AccountState, LastChange
from workforce.errors import NotFound, Refused
from workforce.period import local_instant
from workforce.ports import Directory, TellsWhoChanged

log = structlog.get_logger(__name__)

HOURLY = timedelta(hours=1)
ATTRIBUTES_OF_AT_MOST = 1000
"""So many accounts without a deviation are read whole in one run for what was written into their attributes."""
_AT_A_TIME = 500


def reconcile(hub: Hub, tenant: str, directory: str, scope: Scope) -> Reconciliation:
    """Read the directory, list what deviates, and mend what the policy allows; what the run came to.

    ``CHANGED`` reads what the directory says has changed since the last run, and everything where there was none. Raises ``RetryLater``,
    ``Misconfigured`` and ``Refused`` when the directory cannot be read; what was found by then stands.
    """
    with hub.database.transaction(tenant) as tx:
        cursor = reconciliations.cursor(tx, directory) if scope is Scope.CHANGED else None
        scope = Scope.FULL if scope is Scope.CHANGED and not cursor else scope
        run_id = reconciliations.begin(tx, directory, scope, cursor=cursor)
    sweep = Sweep(hub, tenant, directory, run_id)
    if scope is Scope.RECENTLY_ENDED:
        sweep.recently_ended()
    else:
        sweep.pages(cursor)
    if scope is Scope.FULL:
        sweep.absent()
    mended, held = Mending(hub, tenant, directory, str(run_id), sweep.look).mend()
    with hub.database.transaction(tenant) as tx:
        done = reconciliations.finish(tx, run_id, findings=findings.count_open(tx, directory), mended=mended, held=held)
    log.info(
        "directory.reconciled", tenant=tenant, directory=directory, scope=scope, read=done.accounts_read, findings=done.findings
    )
    return done


def due_reconciliations(hub: Hub, tenant: str, now: datetime) -> list[tuple[str, Scope]]:
    """(directory, scope) of the runs that are due: everything at night, by the tenant's calendar; every hour those who left, and what changed."""
    document = hub.tenant(tenant).document
    with hub.database.transaction(tenant) as tx:
        return [(name, scope) for name in document.systems.directories for scope in _due(tx, document, name, now)]


def last_night(document: TenantDocument, now: datetime) -> datetime:
    """The last instant (UTC) at which a nightly run was due."""
    at, calendar = time.fromisoformat(document.access.reconciliation.nightly_at), document.calendar
    today = calendar.local_day(now)
    this_night = local_instant(today, at, calendar.time_zone)
    return this_night if this_night <= now else local_instant(today - timedelta(days=1), at, calendar.time_zone)


def _due(tx: Tx, document: TenantDocument, directory: str, now: datetime) -> list[Scope]:
    full = reconciliations.newest(tx, directory, Scope.FULL)
    if full is None or full.started_at < last_night(document, now):
        return [Scope.FULL]
    hourly = [Scope.RECENTLY_ENDED, Scope.CHANGED]
    runs = {scope: reconciliations.newest(tx, directory, scope) for scope in hourly}
    return [scope for scope in hourly if now - max(run.started_at for run in (runs[scope], full) if run) >= HOURLY]


@dataclass
class Sweep:
    """One run over one directory."""

    hub: Hub
    tenant: str
    name: str
    run_id: UUID
    port: Directory = field(init=False)
    policy: ReconciliationPolicy = field(init=False)
    _whole: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Find the directory and the policy of the run. Raises ``Misconfigured``."""
        config = self.hub.tenant(self.tenant)
        self.document = config.document
        self.port, self.policy = config.instance(self.name).directory(), config.document.access.reconciliation

    def pages(self, cursor: str | None) -> None:
        """Everything from the beginning; behind a ``cursor`` what changed, and that more closely."""
        changed_only = cursor is not None
        while True:
            page = self.port.accounts(cursor)
            for start in range(0, len(page.accounts), _AT_A_TIME):  # a page is much larger where many were made within a second
                self._judge(page.accounts[start : start + _AT_A_TIME], closely=changed_only)
            if page.gone:
                self._gone(page.gone)
            cursor = page.cursor
            with self.hub.database.transaction(self.tenant) as tx:
                reconciliations.advance(tx, self.run_id, read=len(page.accounts), cursor=cursor)
            if page.complete:
                return

    def recently_ended(self) -> None:
        """The accounts of those whose ending began within the policy's days, each by itself."""
        since = self.hub.clock.now() - timedelta(days=self.policy.recently_ended_days)
        self._people(lambda tx, after: reconciliations.recently_ended(tx, self.name, since, after=after, limit=_AT_A_TIME))

    def absent(self) -> None:
        """What a reading from the beginning did not show: accounts that were there before, and accounts that should be."""
        while gone := self._not_seen():
            self._gone(gone)
        self._people(
            lambda tx, after: reconciliations.without_account_seen(tx, self.name, self.run_id, after=after, limit=_AT_A_TIME)
        )

    def look(self, account_id: str, worker_id: UUID | None) -> list[Found]:
        """Read one account whole, judge it by what the ledger says now, and put that on the list.

        One that cannot be read at all waits for a person, and the others go on. Raises ``RetryLater``, ``Misconfigured``.
        """
        try:
            account = self.port.read(account_id)
            changed = self.port.last_change(account_id) if isinstance(self.port, TellsWhoChanged) else None
        except NotFound:
            self._gone([account_id])
            return []
        except Refused as error:
            with self.hub.database.transaction(self.tenant) as tx:
                subject = f"reconcile:{self.name}:{account_id}"
                raise_alarm(tx, failures.park(tx, cause=error.cause, message=str(error), field=error.field, subject=subject))
            return []
        with self.hub.database.transaction(self.tenant) as tx:
            expected = self._expected(tx, account, worker_id)
            evidence = self._evidence(tx, account, expected, changed)
            found = classify(account, expected, self.policy, now=self.hub.clock.now(), evidence=evidence)
            self._list(tx, account_id, expected, found)
        return found

    def _people(self, next_ids: Callable[[Tx, UUID | None], Sequence[UUID]]) -> None:
        """The accounts of people, some at a time. ``next_ids`` gives those behind an id."""
        after: UUID | None = None
        while True:
            with self.hub.database.transaction(self.tenant) as tx:
                ids = next_ids(tx, after)
                people = reconciliations.persons(tx, self.name, ids)
            for person in people:
                self._accounts_of(person)
            if len(ids) < _AT_A_TIME:
                return
            after = ids[-1]

    def _judge(self, accounts: Sequence[AccountState], *, closely: bool) -> None:
        suspects: list[tuple[str, UUID | None]] = []
        seen: dict[str, UUID | None] = {}
        now = self.hub.clock.now()
        with self.hub.database.transaction(self.tenant) as tx:
            told = self._told(tx, accounts, now)
            listed = findings.with_open(tx, self.name, list(told))
        for account_id, (account, expected) in sorted(told.items()):
            worker_id = expected.worker_id if expected else None
            seen[account_id] = worker_id
            if account_id in listed or classify(account, expected, self.policy, now=now) or (closely and self._may_read_whole()):
                suspects.append((account_id, worker_id))
        for account_id, worker_id in suspects:
            self.look(account_id, worker_id)
        with self.hub.database.transaction(self.tenant) as tx:
            reconciliations.see(tx, self.name, self.run_id, seen)

    def _told(
        self, tx: Tx, accounts: Sequence[AccountState], now: datetime
    ) -> Mapping[str, tuple[AccountState, Expected | None]]:
        """The accounts of a page that are ours, by the stored link first and by the marker then, with whom the ledger expects."""
        by_id = {account.account_id: account for account in accounts}
        people = reconciliations.of_accounts(tx, self.name, by_id, {account.marker for account in accounts if account.marker})
        linked = {person.account_id: person for person in people if person.account_id}
        marked = {person.marker: person for person in people}
        owners = {account_id: linked.get(account_id) or marked.get(account.marker or "") for account_id, account in by_id.items()}
        return {
            account_id: (account, expected_of(owner, now=now) if (owner := owners[account_id]) else None)
            for account_id, account in by_id.items()
            if is_ours(account) or owners[account_id]
        }

    def _may_read_whole(self) -> bool:
        self._whole += 1
        return self._whole <= ATTRIBUTES_OF_AT_MOST

    def _expected(self, tx: Tx, account: AccountState, worker_id: UUID | None) -> Expected | None:
        if worker_id is not None:
            people = reconciliations.persons(tx, self.name, [worker_id])
        else:
            people = reconciliations.of_accounts(tx, self.name, [account.account_id], [account.marker] if account.marker else [])
        return expected_of(people[0], now=self.hub.clock.now()) if people else None

    def _evidence(self, tx: Tx, account: AccountState, expected: Expected | None, changed: LastChange | None) -> Evidence:
        """What else is known of the account."""
        tells = isinstance(self.port, TellsWhoChanged)
        if expected is None or not expected.has_standing:
            return Evidence(last_change=changed, tells_who=tells)
        return Evidence(
            expiry_written=reconciliations.written_expiry(tx, self.name, expected.worker_id),
            attributes=self._changed_attributes(tx, account, expected),
            last_change=changed,
            tells_who=tells,
        )

    def _changed_attributes(self, tx: Tx, account: AccountState, expected: Expected) -> tuple[str, ...]:
        """Attributes that show something else than what we wrote last."""
        standing = writes.newest(tx, expected.owner, self.name) if expected.owner and account.attributes is not None else None
        if standing is None:
            return ()
        kept = kept_targets(self.document, self.name, standing.fields)
        plan = DesiredRecord(standing.fields, standing=standing, kept=kept).plan(account.attributes or {})
        return tuple(conflict.target for conflict in plan.conflicts)

    def _accounts_of(self, person: Person) -> None:
        """Every account that carries the person's marker or is linked to them; that there is none is a finding of its own."""
        ids = {account.account_id for account in self.port.find(person.marker)}
        if person.account_id and person.account_id not in ids and is_there(self.port, person.account_id):
            ids.add(person.account_id)
        for account_id in sorted(ids):
            self.look(account_id, person.worker_id)
        with self.hub.database.transaction(self.tenant) as tx:
            reconciliations.advance(tx, self.run_id, read=len(ids))
        if not ids:
            self._no_account(person)

    def _no_account(self, person: Person) -> None:
        found = account_missing(expected_of(person, now=self.hub.clock.now()), now=self.hub.clock.now())
        with self.hub.database.transaction(self.tenant) as tx:
            standing = [findings.see(tx, _sighting(self.name, "", found)).id] if found else []
            findings.close_others(tx, self.name, "", standing, worker_id=person.worker_id)

    def _not_seen(self) -> list[str]:
        with self.hub.database.transaction(self.tenant) as tx:
            return reconciliations.not_seen(tx, self.name, self.run_id, limit=_AT_A_TIME)

    def _gone(self, account_ids: Sequence[str]) -> None:
        """These accounts are there no more: nothing can be wrong with them, but somebody may lack theirs."""
        with self.hub.database.transaction(self.tenant) as tx:
            reconciliations.forget(tx, self.name, account_ids)
            for account_id in account_ids:
                self._close(tx, findings.close_others(tx, self.name, account_id, (), because="the account is gone"))
            people = reconciliations.of_accounts(tx, self.name, account_ids, ())
        for person in people:
            if not self.port.find(person.marker):
                self._no_account(person)

    def _list(self, tx: Tx, account_id: str, expected: Expected | None, found: Sequence[Found]) -> None:
        standing = [findings.see(tx, _sighting(self.name, account_id, each)) for each in found]
        for finding in standing:
            if finding.drift == Drift.ORPHAN:
                _queue_for_a_person(tx, finding)
        self._close(tx, findings.close_others(tx, self.name, account_id, [finding.id for finding in standing]))
        if expected is not None:
            findings.close_others(tx, self.name, "", (), worker_id=expected.worker_id)

    def _close(self, tx: Tx, closed: Sequence[Finding]) -> None:
        for finding in closed:
            if finding.drift == Drift.ORPHAN:
                failures.resolve(tx, _orphan(finding))
            if finding.drift == Drift.TOMBSTONED_ENABLED:
                failures.resolve(tx, subject_of_enabled(finding.directory, finding.account_id))


def _sighting(directory: str, account_id: str, found: Found) -> Sighting:
    return Sighting(directory, account_id, found.drift, found.subject, found.worker_id, found.engagement_id, found.details)


def _queue_for_a_person(tx: Tx, finding: Finding) -> None:
    """An orphan is nobody's to mend: a person decides whose it is. People are told once of all that share a likely cause."""
    likely = finding.details["likely"]
    message = f"{finding.directory}: account {finding.account_id} {_why_orphan(Trigger(likely))}"
    group = f"orphan/{finding.directory}/{likely}"
    raise_alarm(tx, failures.park(tx, cause="orphan_account", message=message, subject=_orphan(finding), group_key=group))


def _why_orphan(likely: Trigger) -> str:
    if likely is Trigger.MADE_ELSEWHERE:
        return (
            "lies where Stint makes the accounts, and carries no marker of ours. It is not touched: have it moved or removed,"
            " or list it as protected"
        )
    return (
        f"carries our marker and has no engagement; most likely {likely}."
        " Nothing is deleted: block it there, or bring its work order"
    )


def _orphan(finding: Finding) -> str:
    return f"orphan:{finding.directory}:{finding.account_id}"
