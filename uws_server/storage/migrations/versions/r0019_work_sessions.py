"""Work that is kept as a session, and the jobs of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0017"


def upgrade() -> None:
    """Make the new tables."""
    texts = ("name", "source", "background", "search", "note", "exposures", "parameters")
    op.create_table(
        "work_sessions",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("owner", sa.String(128), nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("created", "changed", "used")),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("share", sa.String(32)),
        sa.Column("definition", sa.String(64), nullable=False),
        sa.Column("selected", sa.Integer, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in texts),
    )
    op.create_index("ix_work_sessions_owner", "work_sessions", ["owner"])
    of_session = sa.ForeignKey("work_sessions.id", ondelete="CASCADE")
    op.create_table(
        "work_session_jobs",
        sa.Column("session_id", sa.String(32), of_session, primary_key=True),
        sa.Column("job_id", sa.String(32), primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("via", sa.String(32), nullable=False),
        sa.Column("via_share", sa.String(32), nullable=False),
    )
