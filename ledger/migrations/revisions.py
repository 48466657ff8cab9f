"""What revisions share: the SQL beside them is run as it stands, and none is ever undone."""

from __future__ import annotations

from pathlib import Path

from alembic import op


def run(sql: str) -> None:
    """Run statements on the migration's connection. Raises ``RuntimeError`` without one: nothing here is rendered for later."""
    connection = op.get_bind().connection.driver_connection
    if connection is None:
        raise RuntimeError("revisions run online only: the statements need a connection")
    connection.execute(sql)


def run_beside(revision: str) -> None:
    """Run the ``.sql`` file beside the revision's own (``__file__``)."""
    run(Path(revision).with_suffix(".sql").read_text(encoding="utf-8"))


def refuse_downgrade() -> None:
    """Refuse: the trail is append-only, so the way back is a restore."""
    raise NotImplementedError("a revision is never undone; restore a backup instead")
