"""How many parts of a job that runs may run at a time, and how many could."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add columns to `jobs` (which SQLite does in place)."""
    op.add_column("jobs", sa.Column("width", sa.Integer, nullable=False, server_default="1"))
    op.add_column("jobs", sa.Column("wanted", sa.Integer, nullable=False, server_default="0"))
    # one that has parts says how many, once it runs
    op.execute("UPDATE jobs SET wanted = 1 WHERE phase IN ('PENDING', 'HELD', 'QUEUED')")
