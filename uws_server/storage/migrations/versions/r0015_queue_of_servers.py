"""The index of the queue has only the jobs that servers may take: not those that wait on a cluster."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Make the index anew."""
    where = sa.text("phase = 'QUEUED' AND server IS NULL")
    op.drop_index("jobs_queue", "jobs")
    op.create_index(
        "jobs_queue",
        "jobs",
        ["owner", "definition", "short", "queued", "id"],
        sqlite_where=where,
        postgresql_where=where,
    )
