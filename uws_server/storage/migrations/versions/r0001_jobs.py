"""The tables of the first version: jobs and results."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("definition", sa.String(64), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("owner", sa.String(128)),
        sa.Column("run_id", sa.Text),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("queued", sa.BigInteger),
        sa.Column("started", sa.BigInteger),
        sa.Column("ended", sa.BigInteger),
        sa.Column("execution_duration", sa.Integer, nullable=False),
        sa.Column("destruction", sa.BigInteger),
        sa.Column("quote", sa.BigInteger),
        sa.Column("error", sa.Text),
        sa.Column("error_fatal", sa.Boolean),
        sa.Column("parameters", sa.Text, nullable=False),
    )
    op.create_index("jobs_by_definition", "jobs", ["definition", "created"])
    op.create_index("jobs_by_phase", "jobs", ["phase", "queued"])
    op.create_index("jobs_by_time", "jobs", ["created"])
    op.create_table(
        "results",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("job_id", sa.String(32), sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("file", sa.Text, nullable=False),
        sa.Column("mime", sa.String(128), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
    )
    op.create_index("ix_results_job_id", "results", ["job_id"])
