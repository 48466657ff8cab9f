"""Which tenants there are, as asked by addresses that anybody can type."""

from __future__ import annotations

from config.hub import Hub
from ledger import tenants


def is_known(hub: Hub, tenant: str) -> bool:
    """Whether there is such a tenant. A name with NUL is answered here: PostgreSQL has no text that holds one."""
    if "\0" in tenant:
        return False
    with hub.database.system() as tx:
        return tenants.exists(tx, tenant)
