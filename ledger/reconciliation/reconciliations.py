"""Runs of reconciliation: how far a directory was read, what was last seen of each account, and whom the ledger expects there.

Whoever is expected is read for a page of accounts at a time, so that nobody ever holds all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from ledger.database import Row, Tx
from ledger.identity.identities import ACCOUNT
from ledger.ids import uuid7
from workforce.access import Entitlement, EntitlementKind
from workforce.effects import EffectKind
from workforce.states import EngagementState


class Scope(StrEnum):
    """How much of a directory a run reads: all of it, what changed since the last run, or the accounts of those who left lately."""

    FULL = "full"
    CHANGED = "changed"
    RECENTLY_ENDED = "recently_ended"


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """One run. ``cursor`` is where the directory's changes go on from; ``finished_at`` is ``None`` while it runs, or after a crash."""

    id: UUID
    directory: str
    scope: Scope
    cursor: str | None
    started_at: datetime
    finished_at: datetime | None
    accounts_read: int
    findings: int
    mended: int
    held: bool


@dataclass(frozen=True, slots=True)
class PersonsEngagement:
    """An engagement as far as it decides about access. ``starts_on`` is a day in ``time_zone``."""

    id: UUID
    state: EngagementState
    starts_on: date
    time_zone: str
    end_at: datetime
    tombstoned_at: datetime | None
    suspended_at: datetime | None


@dataclass(frozen=True, slots=True)
class PersonsGrant:
    """A life of an entitlement of which it is not proven that it is over."""

    engagement_id: UUID
    entitlement: Entitlement
    wanted_at: datetime
    granted_at: datetime | None
    unwanted_at: datetime | None


@dataclass(frozen=True, slots=True)
class Person:
    """A worker whom the ledger knows, with every engagement (the newest last) and what is open in one directory.

    ``account_id`` is the stored link to the account; ``had_access``: the engagements that ever wanted something here.
    """

    worker_id: UUID
    marker: str
    account_id: str | None
    engagements: Sequence[PersonsEngagement]
    grants: Sequence[PersonsGrant]
    had_access: frozenset[UUID]


def begin(tx: Tx, directory: str, scope: Scope, *, cursor: str | None = None) -> UUID:
    """A new run; its id."""
    run_id = uuid7()
    tx.execute(
        """
        INSERT INTO reconciliations (tenant, id, directory, scope, cursor)
        VALUES (%(tenant)s, %(id)s, %(directory)s, %(scope)s, %(cursor)s)
        """,
        tenant=tx.tenant,
        id=run_id,
        directory=directory,
        scope=scope,
        cursor=cursor,
    )
    return run_id


def advance(tx: Tx, run_id: UUID, *, read: int, cursor: str | None = None) -> None:
    """The run has read ``read`` more accounts, and got to ``cursor``."""
    tx.execute(
        "UPDATE reconciliations SET accounts_read = accounts_read + %(read)s, cursor = coalesce(%(cursor)s, cursor) WHERE id = %(id)s",
        read=read,
        cursor=cursor,
        id=run_id,
    )


def finish(tx: Tx, run_id: UUID, *, findings: int, mended: int, held: bool) -> Reconciliation:
    """The run is over."""
    row = tx.the(
        """
        UPDATE reconciliations
        SET finished_at = clock_timestamp(), findings = %(findings)s, mended = %(mended)s, held = %(held)s
        WHERE id = %(id)s RETURNING *
        """,
        findings=findings,
        mended=mended,
        held=held,
        id=run_id,
    )
    return _run(row)


def newest(tx: Tx, directory: str, scope: Scope, *, finished: bool = False) -> Reconciliation | None:
    """The run of this scope that began last; of those that were finished, where asked."""
    row = tx.one(
        """
        SELECT * FROM reconciliations
        WHERE directory = %(directory)s AND scope = %(scope)s AND (NOT %(finished)s OR finished_at IS NOT NULL)
        ORDER BY started_at DESC LIMIT 1
        """,
        directory=directory,
        scope=scope,
        finished=finished,
    )
    return None if row is None else _run(row)


def cursor(tx: Tx, directory: str) -> str | None:
    """Where the directory's changes go on from: behind the last reading that was finished."""
    row = tx.one(
        """
        SELECT cursor FROM reconciliations
        WHERE directory = %(directory)s AND scope IN ('full', 'changed') AND finished_at IS NOT NULL
        ORDER BY started_at DESC LIMIT 1
        """,
        directory=directory,
    )
    return None if row is None else row["cursor"]


def see(tx: Tx, directory: str, run_id: UUID, accounts: Mapping[str, UUID | None]) -> None:
    """Keep that the run saw these accounts: each with the worker that it is expected to be of."""
    tx.execute(
        """
        INSERT INTO seen_accounts (tenant, directory, account_id, worker_id, run_id)
        SELECT %(tenant)s, %(directory)s, account_id, worker_id, %(run_id)s
        FROM unnest(%(ids)s::text[], %(workers)s::uuid[]) AS told (account_id, worker_id)
        ON CONFLICT (tenant, directory, account_id) DO UPDATE
        SET worker_id = excluded.worker_id, run_id = excluded.run_id, seen_at = clock_timestamp()
        """,
        tenant=tx.tenant,
        directory=directory,
        run_id=run_id,
        ids=list(accounts),
        workers=list(accounts.values()),
    )


def forget(tx: Tx, directory: str, account_ids: Collection[str]) -> None:
    """These accounts are gone."""
    tx.execute(
        "DELETE FROM seen_accounts WHERE directory = %(directory)s AND account_id = ANY(%(ids)s)",
        directory=directory,
        ids=list(account_ids),
    )


def not_seen(tx: Tx, directory: str, run_id: UUID, *, limit: int) -> list[str]:
    """Accounts that were there before and that a full run did not see."""
    rows = tx.all(
        "SELECT account_id FROM seen_accounts WHERE directory = %(directory)s AND run_id <> %(run_id)s LIMIT %(limit)s",
        directory=directory,
        run_id=run_id,
        limit=limit,
    )
    return [row["account_id"] for row in rows]


def of_accounts(tx: Tx, directory: str, account_ids: Collection[str], markers: Collection[str]) -> list[Person]:
    """Whose accounts these are: by the stored link, and by the marker that they carry."""
    rows = tx.all(
        """
        SELECT internal_id AS id FROM external_identities
        WHERE system = %(directory)s AND kind = %(kind)s AND external_id = ANY(%(ids)s)
        UNION SELECT id FROM workers WHERE marker = ANY(%(markers)s)
        """,
        directory=directory,
        kind=ACCOUNT,
        ids=list(account_ids),
        markers=list(markers),
    )
    return persons(tx, directory, [row["id"] for row in rows])


def without_account_seen(tx: Tx, directory: str, run_id: UUID, *, after: UUID | None, limit: int) -> list[UUID]:
    """The next workers behind ``after`` who should have an account and of whom a full run saw none."""
    rows = tx.all(
        """
        SELECT DISTINCT grants.worker_id FROM grants
        JOIN engagements ON engagements.tenant = grants.tenant AND engagements.id = grants.engagement_id
        WHERE grants.directory = %(directory)s AND grants.unwanted_at IS NULL AND grants.kind = %(sign_in)s
          AND engagements.tombstoned_at IS NULL AND engagements.state IN ('cleared', 'active')
          AND (%(after)s::uuid IS NULL OR grants.worker_id > %(after)s)
          AND NOT EXISTS (
              SELECT 1 FROM seen_accounts AS account
              WHERE account.tenant = grants.tenant AND account.directory = grants.directory
                AND account.worker_id = grants.worker_id AND account.run_id = %(run_id)s
          )
        ORDER BY grants.worker_id LIMIT %(limit)s
        """,
        directory=directory,
        sign_in=EntitlementKind.SIGN_IN,
        run_id=run_id,
        after=after,
        limit=limit,
    )
    return [row["worker_id"] for row in rows]


def recently_ended(tx: Tx, directory: str, since: datetime, *, after: UUID | None, limit: int) -> list[UUID]:
    """The next workers behind ``after`` of whom an engagement with access here began to end at ``since`` or later."""
    rows = tx.all(
        """
        SELECT DISTINCT engagements.worker_id FROM engagements
        WHERE engagements.tombstoned_at >= %(since)s AND (%(after)s::uuid IS NULL OR engagements.worker_id > %(after)s)
          AND EXISTS (
              SELECT 1 FROM grants
              WHERE grants.tenant = engagements.tenant AND grants.engagement_id = engagements.id AND grants.directory = %(directory)s
          )
        ORDER BY engagements.worker_id LIMIT %(limit)s
        """,
        directory=directory,
        since=since,
        after=after,
        limit=limit,
    )
    return [row["worker_id"] for row in rows]


def with_access(tx: Tx, directory: str) -> int:
    """How many people should have access to the directory."""
    row = tx.the(
        """
        SELECT count(DISTINCT grants.worker_id) AS number FROM grants
        JOIN engagements ON engagements.tenant = grants.tenant AND engagements.id = grants.engagement_id
        WHERE grants.directory = %(directory)s AND grants.unwanted_at IS NULL
          AND engagements.tombstoned_at IS NULL AND engagements.state IN ('cleared', 'active')
        """,
        directory=directory,
    )
    return int(row["number"])


def persons(tx: Tx, directory: str, worker_ids: Collection[UUID]) -> list[Person]:
    """These workers as the ledger knows them now, by id."""
    if not worker_ids:
        return []
    ids = list(worker_ids)
    workers = tx.all(
        """
        SELECT workers.id, workers.marker, link.external_id AS account_id
        FROM workers LEFT JOIN external_identities AS link
          ON link.tenant = workers.tenant AND link.system = %(directory)s AND link.kind = %(kind)s AND link.internal_id = workers.id
        WHERE workers.id = ANY(%(ids)s) ORDER BY workers.id
        """,
        directory=directory,
        kind=ACCOUNT,
        ids=ids,
    )
    engagements, open_grants, had = _engagements(tx, ids), _grants(tx, directory, ids), _had_access(tx, directory, ids)
    return [
        Person(
            row["id"],
            row["marker"],
            row["account_id"],
            engagements.get(row["id"], ()),
            open_grants.get(row["id"], ()),
            frozenset(had.get(row["id"], ())),
        )
        for row in workers
    ]


def written_expiry(tx: Tx, directory: str, worker_id: UUID) -> datetime | None:
    """The native expiry that we wrote last; ``None`` where only the creation of the account did."""
    row = tx.one(
        """
        SELECT effects.detail FROM effects
        JOIN engagements ON engagements.tenant = effects.tenant AND engagements.id = effects.engagement_id
        WHERE engagements.worker_id = %(worker_id)s AND effects.target = %(directory)s AND effects.kind = %(kind)s
          AND effects.state = 'done'
        ORDER BY effects.changed_at DESC LIMIT 1
        """,
        worker_id=worker_id,
        directory=directory,
        kind=EffectKind.SET_EXPIRY,
    )
    return None if row is None else datetime.fromisoformat(row["detail"])


def _engagements(tx: Tx, ids: Sequence[UUID]) -> Mapping[UUID, list[PersonsEngagement]]:
    rows = tx.all(
        """
        SELECT worker_id, id, state, terms ->> 'starts_on' AS starts_on, terms ->> 'time_zone' AS time_zone, end_at, tombstoned_at,
               suspended_at
        FROM engagements WHERE worker_id = ANY(%(ids)s) ORDER BY created_at, id
        """,
        ids=ids,
    )
    found: dict[UUID, list[PersonsEngagement]] = {}
    for row in rows:
        own = {**row, "state": EngagementState(row["state"]), "starts_on": date.fromisoformat(row["starts_on"])}
        found.setdefault(own.pop("worker_id"), []).append(PersonsEngagement(**own))
    return found


def _grants(tx: Tx, directory: str, ids: Sequence[UUID]) -> Mapping[UUID, list[PersonsGrant]]:
    rows = tx.all(
        """
        SELECT worker_id, engagement_id, kind, entitlement, wanted_at, granted_at, unwanted_at FROM grants
        WHERE worker_id = ANY(%(ids)s) AND directory = %(directory)s AND revoked_at IS NULL ORDER BY id
        """,
        ids=ids,
        directory=directory,
    )
    found: dict[UUID, list[PersonsGrant]] = {}
    for row in rows:
        entitlement = Entitlement(EntitlementKind(row["kind"]), row["entitlement"])
        grant = PersonsGrant(row["engagement_id"], entitlement, row["wanted_at"], row["granted_at"], row["unwanted_at"])
        found.setdefault(row["worker_id"], []).append(grant)
    return found


def _had_access(tx: Tx, directory: str, ids: Sequence[UUID]) -> Mapping[UUID, set[UUID]]:
    rows = tx.all(
        "SELECT DISTINCT worker_id, engagement_id FROM grants WHERE worker_id = ANY(%(ids)s) AND directory = %(directory)s",
        ids=ids,
        directory=directory,
    )
    found: dict[UUID, set[UUID]] = {}
    for row in rows:
        found.setdefault(row["worker_id"], set()).add(row["engagement_id"])
    return found


def _run(row: Row) -> Reconciliation:
    names = ("id", "directory", "cursor", "started_at", "finished_at", "accounts_read", "findings", "mended", "held")
    return Reconciliation(scope=Scope(row["scope"]), **{name: row[name] for name in names})
