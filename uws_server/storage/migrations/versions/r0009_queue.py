"""What a job takes and how long it is expected to run, who may have how many, what the servers hold: the fair queue."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

INDEXES = (
    ("jobs_queue", "owner definition short queued id", "phase = 'QUEUED'"),
    ("jobs_taken", "phase server", "phase IN ('EXECUTING', 'SUSPENDED', 'UNKNOWN')"),
)


def upgrade() -> None:
    """Add columns (which SQLite does in place), the index of the queue, and the table of past durations."""
    for column in (
        sa.Column("cores", sa.Integer, nullable=False, server_default="1"),
        sa.Column("needed_memory", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("short", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("input_size", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("expected_s", sa.Integer),
        sa.Column("resume_asked", sa.BigInteger),
    ):
        op.add_column("jobs", column)
    op.execute("UPDATE jobs SET queued = created WHERE phase = 'QUEUED' AND queued IS NULL")
    for name, columns, condition in INDEXES:
        where = sa.text(condition)
        op.create_index(name, "jobs", columns.split(), sqlite_where=where, postgresql_where=where)
    op.add_column("accounts", sa.Column("max_running", sa.Integer))
    op.add_column("servers", sa.Column("places", sa.Integer, nullable=False, server_default="1"))
    op.create_table(
        "durations",
        sa.Column("definition", sa.String(64), primary_key=True),
        sa.Column("revision", sa.String(64), primary_key=True),
        sa.Column("updated", sa.BigInteger, nullable=False),
        sa.Column("samples", sa.Text, nullable=False),
    )
    op.create_table(
        "turns",
        sa.Column("owner", sa.String(128), primary_key=True),
        sa.Column("served", sa.BigInteger, nullable=False),
    )
