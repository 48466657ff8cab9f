"""What reconciliation saw of an account is not compared with what it saw before: what stood wrong before may stand wrong again.

Revision ID: 0004
"""

from __future__ import annotations

from ledger.migrations.revisions import refuse_downgrade, run

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None
downgrade = refuse_downgrade


def upgrade() -> None:
    """Drop the digests."""
    run("ALTER TABLE seen_accounts DROP COLUMN digest")
