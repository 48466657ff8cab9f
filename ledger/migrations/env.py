"""Alembic's entry point: runs the revisions on the connection and in the transaction that ``ledger.migrate`` opened and locked."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
