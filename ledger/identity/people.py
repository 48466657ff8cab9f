"""The addresses of people who decide: whose they may not be, and how the audit trail names them without holding them."""

from __future__ import annotations

import hashlib

from ledger.database import Tx
from ledger.identity import identities
from workforce.engagement import Engagement


def own_addresses(tx: Tx, engagement: Engagement, email_domain: str) -> frozenset[str]:
    """The contractor's own addresses, case folded: nobody decides about their own access."""
    worker = engagement.worker
    logins = filter(None, [identities.login_of(tx, worker.id), *identities.aliases_of(tx, worker.id)])
    company = {f"{login}@{email_domain}".casefold() for login in logins}
    return frozenset({worker.profile.personal_email.casefold(), *company})


def address_digest(address: str) -> str:
    """SHA-256 of the address, case folded: whoever has the address can tell that it was this one."""
    return hashlib.sha256(address.strip().casefold().encode()).hexdigest()
