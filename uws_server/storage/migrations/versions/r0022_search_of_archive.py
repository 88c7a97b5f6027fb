"""The index by which the archive is searched without reading the footprints and ObsCore rows beside."""

from __future__ import annotations

from alembic import op

revision = "0022"
down_revision = "0021"

_COLUMNS = (
    "kind", "obs_id", "instrument", "exposure", "filter", "mode", "target", "observer", "collection", "ra", "dec",
    "t_min", "t_max", "exposure_s",
)  # fmt: skip


def upgrade() -> None:
    """Add the index."""
    op.create_index("ix_archive_files_search", "archive_files", list(_COLUMNS))
