"""Links between a worker and their account in a directory that do not hold any more."""

from __future__ import annotations

from uuid import UUID

from ledger.database import Tx
from ledger.trail import audit


def forget(tx: Tx, system: str, worker_id: UUID, account_id: str, *, because: str) -> bool:
    """Keep no longer that ``account_id`` is the worker's account in ``system``, audited; whether it was. Its effects tell of it for ever."""
    gone = tx.execute(
        """
        DELETE FROM external_identities
        WHERE system = %(system)s AND kind = 'account' AND internal_id = %(worker_id)s AND external_id = %(account_id)s
        """,
        system=system,
        worker_id=worker_id,
        account_id=account_id,
    )
    if gone:
        target = ("account", str(worker_id))
        audit.note(tx, "identity.unlinked", target=target, system=system, reason_code=because, external_id=account_id)
    return bool(gone)
