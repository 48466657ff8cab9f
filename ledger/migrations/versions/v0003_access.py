"""Access in life: grants with reasons, endings, approvals, holds, findings of reconciliation, brakes, reviews.

Revision ID: 0003
"""

from __future__ import annotations

from ledger.migrations.revisions import refuse_downgrade, run_beside

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None
downgrade = refuse_downgrade


def upgrade() -> None:
    """Add the tables and columns. What was granted before is told by the effects, which stay."""
    run_beside(__file__)
