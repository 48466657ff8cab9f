"""Versions of mappings in life: promotions, lineage of every write, failures grouped by cause.

Revision ID: 0002
"""

from __future__ import annotations

from ledger.migrations.revisions import refuse_downgrade, run_beside

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None
downgrade = refuse_downgrade


def upgrade() -> None:
    """Add the tables and columns. Nothing that is there is lost: pins of versions become labels."""
    run_beside(__file__)
