"""Definitions that people write, with their drafts and history; which job came of which, and what it used."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add columns to `jobs` and `accounts` (which SQLite does in place) and make the new tables."""
    op.add_column("jobs", sa.Column("revision", sa.String(64), nullable=False, server_default=""))
    op.add_column("jobs", sa.Column("trial", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("jobs", sa.Column("forgotten", sa.Boolean, nullable=False, server_default=sa.false()))
    for name in ("parent", "after"):
        op.add_column("jobs", sa.Column(name, sa.String(32)))
        where = sa.column(name).is_not(None)  # `after` is a word of SQLite, and quoted there
        op.create_index(f"jobs_by_{name}", "jobs", [name], sqlite_where=where, postgresql_where=where)
    op.add_column("accounts", sa.Column("roles", sa.Text, nullable=False, server_default=""))
    _make_definitions()
    op.create_table(
        "uses",
        sa.Column("job_id", sa.String(32), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("result_id", sa.String(32)),
    )
    op.create_index("ix_uses_sha256", "uses", ["sha256"])
    op.create_index("ix_results_sha256", "results", ["sha256"])
    op.create_index("ix_uses_result_id", "uses", ["result_id"])
    op.create_table(
        "obscore_rows",
        sa.Column("result_id", sa.String(32), sa.ForeignKey("results.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("changed", sa.BigInteger, nullable=False),
        sa.Column("row", sa.Text, nullable=False),
    )


def _make_definitions() -> None:
    op.create_table(
        "definitions",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("revision", sa.String(64), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("removed", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("folder", sa.String(64), nullable=False, server_default=""),
    )
    op.create_table(
        "drafts",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("edit", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("author", sa.String(64), nullable=False),
        sa.Column("updated", sa.BigInteger, nullable=False),
        sa.Column("based_on", sa.String(64), nullable=False, server_default=""),
        sa.Column("files", sa.Text, nullable=False),
        sa.Column("trial", sa.String(32)),
        sa.Column("tried", sa.Integer, nullable=False, server_default="0"),
    )
    op.create_table(
        "definition_history",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("revision", sa.String(64), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("who", sa.String(64), nullable=False),
        sa.Column("made", sa.BigInteger, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("edit", sa.Integer, nullable=False, server_default="0"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_definition_history_name", "definition_history", ["name"])
