"""Run by Alembic: hands it the open connection that `uws_server.storage.migrate` made."""

from __future__ import annotations

from alembic import context

# batch: SQLite cannot alter a column; Alembic then makes the table anew and copies the rows
context.configure(connection=context.config.attributes["connection"], render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
