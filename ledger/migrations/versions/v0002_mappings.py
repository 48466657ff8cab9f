"""Versions of mappings in life: promotions, lineage of every write, failures grouped by cause.

Revision ID: 0002
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables and columns. Nothing that is there is lost: pins of versions become labels."""
    connection = op.get_bind().connection.driver_connection
    if connection is None:
        raise RuntimeError("revisions run online only: the statements need a connection")
    connection.execute(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    """Refuse: the trail is append-only, so the way back is a restore."""
    raise NotImplementedError("a revision is never undone; restore a backup instead")
