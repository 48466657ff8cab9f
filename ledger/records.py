"""The ledger's records of people and stints under one name."""

from __future__ import annotations

from ledger import engagements, failures, identities, sources, workers

__all__ = ["engagements", "failures", "identities", "sources", "workers"]
