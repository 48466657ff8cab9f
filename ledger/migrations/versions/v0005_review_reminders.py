"""Whoever has to answer an access review is reminded of it, once each time that they are asked.

Revision ID: 0005
"""

from __future__ import annotations

from ledger.migrations.revisions import refuse_downgrade, run

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None
downgrade = refuse_downgrade


def upgrade() -> None:
    """Keep when whoever has to answer now was told once more."""
    run("ALTER TABLE access_reviews ADD COLUMN reminded_at timestamptz")
