"""The tables of TAP: the rows of ivoa.obscore with a column for each of theirs, and TAP_SCHEMA. Imports the tables.

They are made by the migrations, as those of `tables`, and are in their `metadata`. The tables that an operator loads
are not: each is made when it comes, as `tap_data_N`, and told in `tap_tables`.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from uws_server.storage.tables import metadata

TEXTS: Final = (
    "dataproduct_type", "dataproduct_subtype", "target_name", "target_class", "obs_id", "obs_title", "obs_collection",
    "obs_creation_date", "obs_creator_name", "obs_creator_did", "obs_release_date", "obs_publisher_did",
    "publisher_id", "bib_reference", "data_rights", "access_format", "s_region", "s_ucd", "s_unit", "s_calib_status",
    "t_calib_status", "em_ucd", "em_unit", "em_calib_status", "o_ucd", "o_unit", "o_calib_status", "pol_states",
    "facility_name", "instrument_name", "proposal_id", "obs_mode", "analysis_mode", "event_type", "t_intervals",
)  # fmt: skip
INTEGERS: Final = ("calib_level", "access_estsize", "s_xel1", "s_xel2", "t_xel", "em_xel", "pol_xel", "ev_xel")
NUMBERS: Final = (
    "s_ra", "s_dec", "s_fov", "s_resolution", "s_resolution_min", "s_resolution_max", "s_stat_error",
    "s_pixel_scale", "t_min", "t_max", "t_exptime", "t_resolution", "t_stat_error", "em_min", "em_max",
    "em_res_power", "em_res_power_min", "em_res_power_max", "em_resolution", "em_stat_error", "o_stat_error",
    "energy_min", "energy_max",
)  # fmt: skip

# A row of a product of a job or of the archive, as ObsCore has it, but for the address of the file (access_url), which
# is that of the server and `uws_place`. `uws_owner` is that of the job ('' for nobody, '*' for the archive, which is
# for everybody), `uws_did` what identifies the product below the identifier of a publisher. `uws_region_...` tell the
# circle around s_region, degrees, and the number of its size, `uws_zone` the zone of s_dec (`region_sizes`).
tap_obscore = sa.Table(
    "tap_obscore",
    metadata,
    sa.Column("uws_key", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("uws_owner", sa.String(128), nullable=False),
    sa.Column("uws_result", sa.ForeignKey("results.id", ondelete="CASCADE"), index=True),
    sa.Column("uws_archive", sa.ForeignKey("archive_files.key", ondelete="CASCADE"), index=True),
    sa.Column("uws_place", sa.Text, nullable=False),
    sa.Column("uws_did", sa.Text, nullable=False),
    *(sa.Column(name, sa.Text) for name in TEXTS),
    *(sa.Column(name, sa.BigInteger) for name in INTEGERS),
    *(sa.Column(name, sa.Double) for name in NUMBERS),
    *(sa.Column(f"uws_region_{name}", sa.Double) for name in ("ra", "dec", "radius")),
    sa.Column("uws_region_size", sa.Integer),
    sa.Column("uws_zone", sa.Integer),
    sqlite_autoincrement=True,
)
for _name, _columns in (
    ("sky", "s_dec s_ra"),
    ("time", "t_min t_max"),
    ("obs_id", "obs_id"),
    ("target", "target_name"),
    ("region", "uws_region_size uws_region_dec uws_region_ra"),
    ("did", "uws_did"),
    ("place", "uws_place"),
    ("publisher_did", "obs_publisher_did"),
    ("zone", "uws_zone s_ra"),
):
    sa.Index(f"ix_tap_obscore_{_name}", *(tap_obscore.c[name] for name in _columns.split()))

# TAP_SCHEMA (TAP 1.1, section 4). `loaded` are tables that an operator loaded, and their schemas: the others are told
# by the server itself, anew where a version of it knows them otherwise. `sql_name` is the table that holds the rows.
tap_schemas = sa.Table(
    "tap_schemas",
    metadata,
    sa.Column("schema_name", sa.String(64), primary_key=True),
    sa.Column("utype", sa.Text),
    sa.Column("description", sa.Text),
    sa.Column("schema_index", sa.Integer),
    sa.Column("loaded", sa.Boolean, nullable=False),
)
tap_tables = sa.Table(
    "tap_tables",
    metadata,
    sa.Column("table_name", sa.String(129), primary_key=True),
    sa.Column("schema_name", sa.String(64), nullable=False),
    sa.Column("table_type", sa.String(8), nullable=False),
    sa.Column("utype", sa.Text),
    sa.Column("description", sa.Text),
    sa.Column("table_index", sa.Integer),
    sa.Column("loaded", sa.Boolean, nullable=False),
    sa.Column("sql_name", sa.String(64), nullable=False),
    sa.Column("rows", sa.BigInteger),
)
tap_columns = sa.Table(
    "tap_columns",
    metadata,
    sa.Column("table_name", sa.String(129), primary_key=True),
    sa.Column("column_name", sa.String(130), primary_key=True),
    sa.Column("datatype", sa.String(32), nullable=False),
    sa.Column("arraysize", sa.String(32)),
    sa.Column("xtype", sa.String(32)),
    sa.Column("size", sa.Integer),
    sa.Column("description", sa.Text),
    sa.Column("utype", sa.Text),
    sa.Column("unit", sa.Text),
    sa.Column("ucd", sa.Text),
    sa.Column("indexed", sa.Integer, nullable=False),
    sa.Column("principal", sa.Integer, nullable=False),
    sa.Column("std", sa.Integer, nullable=False),
    sa.Column("column_index", sa.Integer),
    sa.Column("loaded", sa.Boolean, nullable=False),
    sa.Column("sql_name", sa.String(64), nullable=False),
)
tap_keys = sa.Table(
    "tap_keys",
    metadata,
    sa.Column("key_id", sa.String(64), primary_key=True),
    sa.Column("from_table", sa.String(129), nullable=False),
    sa.Column("target_table", sa.String(129), nullable=False),
    sa.Column("utype", sa.Text),
    sa.Column("description", sa.Text),
)
tap_key_columns = sa.Table(
    "tap_key_columns",
    metadata,
    sa.Column("key_id", sa.String(64), primary_key=True),
    sa.Column("from_column", sa.String(130), primary_key=True),
    sa.Column("target_column", sa.String(130), primary_key=True),
)
