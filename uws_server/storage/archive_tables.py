"""The table of the files of the archive. Imports the other tables.

It is made by the migrations, as those of `tables`, and is in their `metadata`.
"""

from __future__ import annotations

import sqlalchemy as sa

from uws_server.storage.tables import metadata

# The files of the archive, and the exposures of imported tables, which have no file. `source` is the path below the
# archive's folder, or for an imported row //observation/camera[/exposure]; `footprint` are the cells that an event
# list sees (archive.footprints); `row` is its ObsCore row as JSON; `note` says what is missing or wrong.
archive_files = sa.Table(
    "archive_files",
    metadata,
    sa.Column("key", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("source", sa.Text, nullable=False, unique=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("changed", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("collection", sa.String(64), nullable=False),
    sa.Column("obs_id", sa.String(64), nullable=False, index=True),
    sa.Column("instrument", sa.String(32), nullable=False),
    sa.Column("exposure", sa.String(32), nullable=False),
    sa.Column("filter", sa.String(32), nullable=False),
    sa.Column("mode", sa.String(64), nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("observer", sa.Text, nullable=False),
    sa.Column("ra", sa.Float),
    sa.Column("dec", sa.Float),
    sa.Column("t_min", sa.Float),
    sa.Column("t_max", sa.Float),
    sa.Column("exposure_s", sa.Float),
    sa.Column("footprint", sa.LargeBinary, nullable=False),
    sa.Column("row", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)

# What a search reads, all of it short texts and numbers: ten times as fast as from the rows, footprints among them.
_SEARCHED = ("kind", "obs_id", "instrument", "exposure", "filter", "mode", "target", "observer", "collection", "ra",
             "dec", "t_min", "t_max", "exposure_s")  # fmt: skip
sa.Index("ix_archive_files_search", *(archive_files.c[name] for name in _SEARCHED))
