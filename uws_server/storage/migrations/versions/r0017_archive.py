"""The files of the archive: what they are, and the sky that they see."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0015"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "archive_files",
        sa.Column("key", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("source", sa.Text, nullable=False, unique=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("changed", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("collection", sa.String(64), nullable=False),
        sa.Column("obs_id", sa.String(64), nullable=False),
        sa.Column("instrument", sa.String(32), nullable=False),
        sa.Column("exposure", sa.String(32), nullable=False),
        sa.Column("filter", sa.String(32), nullable=False),
        sa.Column("mode", sa.String(64), nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("observer", sa.Text, nullable=False),
        *(sa.Column(name, sa.Float) for name in ("ra", "dec", "t_min", "t_max", "exposure_s")),
        sa.Column("footprint", sa.LargeBinary, nullable=False),
        sa.Column("row", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_archive_files_obs_id", "archive_files", ["obs_id"])
