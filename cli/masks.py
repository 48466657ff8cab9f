"""Values that are not for every eye: hidden unless somebody asks for them, which is audited."""

from __future__ import annotations

from cli.actor import person
from config.hub import Hub
from ledger.trail import audit

MASK = "•••"


def note_shown(hub: Hub, tenant: str, mapping_id: str, *, version: str, records: str) -> None:
    """Tell the audit trail who had sensitive values shown, of which ``records``, as a version maps them; never the values."""
    with hub.database.transaction(tenant) as tx:
        audit.note(
            tx,
            "mapping.sensitive_shown",
            target=("mapping", mapping_id),
            actor=person(),
            version=version,
            records=records,
        )
