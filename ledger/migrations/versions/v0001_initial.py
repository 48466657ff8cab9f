"""Everything: the queue's schema as its package ships it, then ours.

Revision ID: 0001
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create all tables, functions, policies and grants."""
    connection = op.get_bind().connection.driver_connection
    if connection is None:
        raise RuntimeError("revisions run online only: the statements need a connection")
    connection.execute(resources.files("procrastinate").joinpath("sql", "schema.sql").read_text())
    connection.execute(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    """Refuse: the trail is append-only, so the way back is a restore."""
    raise NotImplementedError("the first revision is never undone; restore a backup instead")
