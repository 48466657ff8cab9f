"""Access in life: grants with reasons, endings, approvals, holds, findings of reconciliation, brakes, reviews.

Revision ID: 0003
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables and columns. What was granted before is told by the effects, which stay."""
    connection = op.get_bind().connection.driver_connection
    if connection is None:
        raise RuntimeError("revisions run online only: the statements need a connection")
    connection.execute(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    """Refuse: the trail is append-only, so the way back is a restore."""
    raise NotImplementedError("a revision is never undone; restore a backup instead")
