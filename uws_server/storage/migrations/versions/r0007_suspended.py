"""Since when a job is to stand still, and for how long it stood still before: its time limit does not count that."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add columns to `jobs`, which SQLite does in place."""
    op.add_column("jobs", sa.Column("suspended", sa.BigInteger))
    op.add_column("jobs", sa.Column("stood_still", sa.BigInteger, nullable=False, server_default="0"))
