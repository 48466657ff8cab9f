"""Who somebody is elsewhere: ids in other systems, and the login that is theirs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from ledger.database import Tx
from ledger.trail import audit
from workforce.errors import AlreadyTaken, Refused

_BATCHES = (1, 8, 64, 512)
"""How many candidates are looked up at once; the last number goes on."""

ACCOUNT = "account"
"""The kind under which a directory's id for a worker's account is kept."""


@dataclass(frozen=True, slots=True)
class Login:
    """A login in use. ``made_for`` tells the name that it was made of (``provisioning.logins.fingerprint``), where that was kept."""

    login: str
    made_for: bytes | None


@dataclass(frozen=True, slots=True)
class Release:
    """Logins of others that no directory holds any more, to be given up once their owner has had no engagement for ``after_days``."""

    logins: frozenset[str]
    after_days: int


def link(tx: Tx, system: str, kind: str, internal_id: UUID, external_id: str) -> None:
    """Keep that ``internal_id`` is ``external_id`` in ``system``. The same pair again is no change.

    Raises ``AlreadyTaken`` when either side is linked to something else.
    """
    statement = """
        INSERT INTO external_identities (tenant, system, kind, internal_id, external_id)
        VALUES (%(tenant)s, %(system)s, %(kind)s, %(internal_id)s, %(external_id)s)
        ON CONFLICT DO NOTHING
    """
    ids = {"tenant": tx.tenant, "system": system, "kind": kind, "internal_id": internal_id, "external_id": external_id}
    if tx.execute(statement, **ids):
        audit.note(tx, "identity.linked", target=(kind, str(internal_id)), system=system, external_id=external_id)
    elif by_external(tx, system, kind, external_id) != internal_id:
        raise AlreadyTaken(
            f"{system}: the {kind} {external_id} or its counterpart {internal_id} is linked to another; decide which link is right",
            cause="identity_conflict",
            field="external_id",
        )


def external_id(tx: Tx, system: str, kind: str, internal_id: UUID) -> str | None:
    """The id in ``system`` of something of ours."""
    row = tx.one(
        """
        SELECT external_id FROM external_identities
        WHERE system = %(system)s AND kind = %(kind)s AND internal_id = %(internal_id)s
        """,
        system=system,
        kind=kind,
        internal_id=internal_id,
    )
    return None if row is None else str(row["external_id"])


def by_external(tx: Tx, system: str, kind: str, external_id: str) -> UUID | None:
    """Our id of something in ``system``."""
    row = tx.one(
        """
        SELECT internal_id FROM external_identities
        WHERE system = %(system)s AND kind = %(kind)s AND external_id = %(external_id)s
        """,
        system=system,
        kind=kind,
        external_id=external_id,
    )
    return None if row is None else UUID(str(row["internal_id"]))


def login_of(tx: Tx, worker_id: UUID) -> str | None:
    """The login that the worker uses."""
    known = login_in_use(tx, worker_id)
    return None if known is None else known.login


def login_in_use(tx: Tx, worker_id: UUID) -> Login | None:
    """The same, and the name that it was made for."""
    row = tx.one(
        "SELECT login, made_for FROM logins WHERE worker_id = %(worker_id)s AND alias_since IS NULL AND released_at IS NULL",
        worker_id=worker_id,
    )
    return None if row is None else Login(row["login"], row["made_for"])


def aliases_of(tx: Tx, worker_id: UUID) -> list[str]:
    """The logins that the worker had before and still keeps, oldest first."""
    rows = tx.all(
        """
        SELECT login FROM logins WHERE worker_id = %(worker_id)s AND alias_since IS NOT NULL AND released_at IS NULL
        ORDER BY alias_since, login
        """,
        worker_id=worker_id,
    )
    return [row["login"] for row in rows]


def reserve_login(
    tx: Tx, worker_id: UUID, candidates: Iterable[str], *, made_for: bytes | None = None, release: Release | None = None
) -> str:
    """The worker's login: the one it has, else the first candidate that nobody in the tenant has (case aside).

    One of somebody else's is taken only where ``release`` allows it. Raises ``Refused`` (cause ``no_login_left``).
    """
    known = login_of(tx, worker_id)
    return known if known is not None else _take(tx, worker_id, candidates, made_for, release)


def rename_login(tx: Tx, worker_id: UUID, candidates: Iterable[str], *, made_for: bytes, release: Release | None = None) -> str:
    """Give the worker another login, the first candidate that is free or an alias of theirs; the old one becomes an alias.

    Raises ``Refused`` (cause ``no_login_left``).
    """
    tx.execute(
        """
        UPDATE logins SET alias_since = clock_timestamp()
        WHERE worker_id = %(worker_id)s AND alias_since IS NULL AND released_at IS NULL
        """,
        worker_id=worker_id,
    )
    login = _take(tx, worker_id, candidates, made_for, release)
    audit.note(tx, "login.renamed", target=("worker", str(worker_id)), aliases=len(aliases_of(tx, worker_id)))
    return login


def note_made_for(tx: Tx, worker_id: UUID, made_for: bytes) -> None:
    """Keep which name the login in use stands for from now on."""
    tx.execute(
        """
        UPDATE logins SET made_for = %(made_for)s
        WHERE worker_id = %(worker_id)s AND alias_since IS NULL AND released_at IS NULL
        """,
        made_for=made_for,
        worker_id=worker_id,
    )


def releasable(tx: Tx, logins: Collection[str], *, after_days: int) -> list[str]:
    """Those of ``logins`` whose owner has had no engagement for ``after_days``, so that they may be given to somebody else.

    An alias is not among them while its owner has an account anywhere. Whether a directory still holds the name is for the caller to ask.
    """
    return list(_owners_long_gone(tx, logins, after_days))


def _owners_long_gone(tx: Tx, logins: Collection[str], after_days: int) -> dict[str, UUID]:
    """The same, each with its owner: whoever takes it over meanwhile has not left."""
    rows = tx.all(
        """
        SELECT lower(login) AS login, worker_id FROM logins
        WHERE lower(login) = ANY(%(logins)s) AND released_at IS NULL
          AND reserved_at < now() - make_interval(days => %(days)s)
          AND NOT EXISTS (
              SELECT 1 FROM engagements
              WHERE engagements.worker_id = logins.worker_id
                AND (state NOT IN ('ended', 'declined', 'cancelled')
                     OR greatest(end_at, revoked_verified_at) > now() - make_interval(days => %(days)s))
          )
          AND (alias_since IS NULL OR NOT EXISTS (
              SELECT 1 FROM external_identities WHERE kind = 'account' AND internal_id = logins.worker_id
          ))
        ORDER BY login
        """,
        logins=[login.lower() for login in logins],
        days=after_days,
    )
    return {row["login"]: row["worker_id"] for row in rows}


def _take(tx: Tx, worker_id: UUID, candidates: Iterable[str], made_for: bytes | None, release: Release | None) -> str:
    gone = _owners_long_gone(tx, release.logins, release.after_days) if release else {}
    for batch in _batches(candidates):
        owners = _owners(tx, batch)
        for candidate in batch:
            owner = owners.get(candidate.lower())
            if owner == worker_id:
                return _taken_back(tx, worker_id, candidate, made_for)
            if owner is not None and gone.get(candidate.lower()) == owner:
                _release(tx, owner, candidate)
            elif owner is not None:
                continue
            if _inserted(tx, worker_id, candidate, made_for):
                return candidate
            known = login_of(tx, worker_id)  # the conflict may be our own reservation, made by another runner just now
            if known is not None:
                return known
    raise Refused(f"worker {worker_id}: every candidate login is taken; give a longer list", cause="no_login_left", field="login")


def _batches(candidates: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(candidates)
    for size in _BATCHES:
        if batch := list(islice(rest, size)):
            yield batch
    while batch := list(islice(rest, _BATCHES[-1])):
        yield batch


def _owners(tx: Tx, logins: Collection[str]) -> dict[str, UUID]:
    rows = tx.all(
        "SELECT lower(login) AS login, worker_id FROM logins WHERE lower(login) = ANY(%(logins)s) AND released_at IS NULL",
        logins=[login.lower() for login in logins],
    )
    return {row["login"]: row["worker_id"] for row in rows}


def _inserted(tx: Tx, worker_id: UUID, login: str, made_for: bytes | None) -> bool:
    statement = """
        INSERT INTO logins (tenant, login, worker_id, made_for) VALUES (%(tenant)s, %(login)s, %(worker_id)s, %(made_for)s)
        ON CONFLICT DO NOTHING
    """
    inserted = tx.execute(statement, tenant=tx.tenant, login=login, worker_id=worker_id, made_for=made_for) == 1
    if inserted:
        audit.note(tx, "login.reserved", target=("worker", str(worker_id)))
    return inserted


def _taken_back(tx: Tx, worker_id: UUID, login: str, made_for: bytes | None) -> str:
    """An alias of the worker's own is their login again."""
    row = tx.the(
        """
        UPDATE logins SET alias_since = NULL, made_for = %(made_for)s
        WHERE worker_id = %(worker_id)s AND lower(login) = lower(%(login)s) AND released_at IS NULL
        RETURNING login
        """,
        made_for=made_for,
        worker_id=worker_id,
        login=login,
    )
    return str(row["login"])


def _release(tx: Tx, owner: UUID, login: str) -> None:
    statement = """
        UPDATE logins SET released_at = clock_timestamp()
        WHERE lower(login) = lower(%(login)s) AND worker_id = %(owner)s AND released_at IS NULL
    """
    if tx.execute(statement, login=login, owner=owner):
        audit.note(tx, "login.released", target=("worker", str(owner)))
