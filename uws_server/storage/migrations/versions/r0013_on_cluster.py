"""The jobs that wait on a cluster are found by an index of their own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0011"


def upgrade() -> None:
    """Add the index."""
    where = sa.text("phase = 'QUEUED' AND server IS NOT NULL")
    op.create_index("jobs_on_cluster", "jobs", ["server"], sqlite_where=where, postgresql_where=where)
