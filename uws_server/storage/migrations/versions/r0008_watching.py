"""With which warning a job ended and what it used; whether the queue is drained before an upgrade."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add columns to `jobs` (which SQLite does in place), and the table of the one note that says who drains it."""
    op.add_column("jobs", sa.Column("warning", sa.Text))
    op.add_column("jobs", sa.Column("cpu_s", sa.Float))
    op.add_column("jobs", sa.Column("memory", sa.BigInteger))
    op.create_table(
        "drain",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("who", sa.String(64), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
    )
