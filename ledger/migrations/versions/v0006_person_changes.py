"""Work orders that name another person than before: what is asked about them, and what a person answered.

Revision ID: 0006
"""

from __future__ import annotations

from ledger.migrations.revisions import refuse_downgrade, run_beside

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None
downgrade = refuse_downgrade


def upgrade() -> None:
    """Run the statements beside this file."""
    run_beside(__file__)
