"""Everything: the queue's schema as its package ships it, then ours.

Revision ID: 0001
"""

from __future__ import annotations

from importlib import resources

from ledger.migrations.revisions import refuse_downgrade, run, run_beside

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None
downgrade = refuse_downgrade


def upgrade() -> None:
    """Create all tables, functions, policies and grants."""
    run(resources.files("procrastinate").joinpath("sql", "schema.sql").read_text())
    run_beside(__file__)
