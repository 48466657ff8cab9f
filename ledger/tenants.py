"""The client companies that the hub serves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from ledger.database import Tx
from workforce.errors import Refused

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class Tenant:
    """A client company."""

    tenant: str
    title: str
    created_at: datetime


def create(tx: Tx, tenant: str, title: str = "") -> bool:
    """Make a tenant; false if it exists. ``tx`` is a system transaction. Raises ``Refused`` for an impossible name."""
    if not _NAME.fullmatch(tenant):
        raise Refused(
            f"tenant: {tenant!r} is not a name; use 1 to 63 of a-z, 0-9, - and _, beginning with a letter or digit",
            cause="bad_tenant",
            field="tenant",
        )
    statement = "INSERT INTO tenants (tenant, title) VALUES (%(tenant)s, %(title)s) ON CONFLICT DO NOTHING"
    return tx.execute(statement, tenant=tenant, title=title or tenant) == 1


def exists(tx: Tx, tenant: str) -> bool:
    """Whether there is such a tenant."""
    return tx.one("SELECT 1 FROM tenants WHERE tenant = %(tenant)s", tenant=tenant) is not None


def list_all(tx: Tx) -> list[Tenant]:
    """Every tenant, by name."""
    return [Tenant(**row) for row in tx.all("SELECT tenant, title, created_at FROM tenants ORDER BY tenant")]
