"""The parts of jobs that are spread over a parameter: how many a job had, and how each ended."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add columns to `jobs` (which SQLite does in place), and the table of the parts."""
    op.add_column("jobs", sa.Column("parts", sa.Integer))
    op.add_column("jobs", sa.Column("parts_failed", sa.Integer))
    op.create_table(
        "parts",
        sa.Column("job_id", sa.String(32), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("started", sa.BigInteger),
        sa.Column("ended", sa.BigInteger),
        sa.Column("sentence", sa.Text, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
    )
