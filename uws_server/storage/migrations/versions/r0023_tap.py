"""The tables of TAP: ivoa.obscore with a column for each of its own, and TAP_SCHEMA."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"

_TEXTS = (
    "dataproduct_type", "dataproduct_subtype", "target_name", "target_class", "obs_id", "obs_title", "obs_collection",
    "obs_creation_date", "obs_creator_name", "obs_creator_did", "obs_release_date", "obs_publisher_did",
    "publisher_id", "bib_reference", "data_rights", "access_format", "s_region", "s_ucd", "s_unit", "s_calib_status",
    "t_calib_status", "em_ucd", "em_unit", "em_calib_status", "o_ucd", "o_unit", "o_calib_status", "pol_states",
    "facility_name", "instrument_name", "proposal_id", "obs_mode", "analysis_mode", "event_type", "t_intervals",
)  # fmt: skip
_INTEGERS = ("calib_level", "access_estsize", "s_xel1", "s_xel2", "t_xel", "em_xel", "pol_xel", "ev_xel")
_NUMBERS = (
    "s_ra", "s_dec", "s_fov", "s_resolution", "s_resolution_min", "s_resolution_max", "s_stat_error",
    "s_pixel_scale", "t_min", "t_max", "t_exptime", "t_resolution", "t_stat_error", "em_min", "em_max",
    "em_res_power", "em_res_power_min", "em_res_power_max", "em_resolution", "em_stat_error", "o_stat_error",
    "energy_min", "energy_max",
)  # fmt: skip
_INDEXES = {"sky": ["s_dec", "s_ra"], "time": ["t_min", "t_max"], "obs_id": ["obs_id"], "target": ["target_name"],
            "uws_result": ["uws_result"], "uws_archive": ["uws_archive"]}  # fmt: skip
_OF_PIPELINE = re.compile(r"P[0-9]{10}[A-Z0-9]+\.[A-Za-z]+")
_AT_ONCE = 500


def upgrade() -> None:
    """Make the tables, and fill that of ivoa.obscore."""
    table = op.create_table(
        "tap_obscore",
        sa.Column("uws_key", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("uws_owner", sa.String(128), nullable=False),
        sa.Column("uws_result", sa.String(32), sa.ForeignKey("results.id", ondelete="CASCADE")),
        sa.Column("uws_archive", sa.Integer, sa.ForeignKey("archive_files.key", ondelete="CASCADE")),
        sa.Column("uws_place", sa.Text, nullable=False),
        sa.Column("uws_did", sa.Text, nullable=False),
        *(sa.Column(name, sa.Text) for name in _TEXTS),
        *(sa.Column(name, sa.BigInteger) for name in _INTEGERS),
        *(sa.Column(name, sa.Double) for name in _NUMBERS),
        sqlite_autoincrement=True,
    )
    _fill(op.get_bind(), table)
    for name, columns in _INDEXES.items():
        op.create_index(f"ix_tap_obscore_{name}", "tap_obscore", columns)
    _make_schema()


def _make_schema() -> None:
    """Make the tables of TAP_SCHEMA."""
    op.create_table(
        "tap_schemas",
        sa.Column("schema_name", sa.String(64), primary_key=True),
        sa.Column("utype", sa.Text),
        sa.Column("description", sa.Text),
        sa.Column("schema_index", sa.Integer),
        sa.Column("loaded", sa.Boolean, nullable=False),
    )
    op.create_table(
        "tap_tables",
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
    op.create_table(
        "tap_columns",
        sa.Column("table_name", sa.String(129), primary_key=True),
        sa.Column("column_name", sa.String(130), primary_key=True),
        sa.Column("datatype", sa.String(32), nullable=False),
        sa.Column("arraysize", sa.String(32)),
        sa.Column("xtype", sa.String(32)),
        sa.Column("size", sa.Integer),
        *(sa.Column(name, sa.Text) for name in ("description", "utype", "unit", "ucd")),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("indexed", "principal", "std")),
        sa.Column("column_index", sa.Integer),
        sa.Column("loaded", sa.Boolean, nullable=False),
        sa.Column("sql_name", sa.String(64), nullable=False),
    )
    op.create_table(
        "tap_keys",
        sa.Column("key_id", sa.String(64), primary_key=True),
        sa.Column("from_table", sa.String(129), nullable=False),
        sa.Column("target_table", sa.String(129), nullable=False),
        sa.Column("utype", sa.Text),
        sa.Column("description", sa.Text),
    )
    op.create_table(
        "tap_key_columns",
        sa.Column("key_id", sa.String(64), primary_key=True),
        sa.Column("from_column", sa.String(130), primary_key=True),
        sa.Column("target_column", sa.String(130), primary_key=True),
    )


_RESULTS = """
SELECT o.result_id AS after, o.size, o.row, r.file, j.owner FROM obscore_rows o
JOIN results r ON r.id = o.result_id JOIN jobs j ON j.id = r.job_id
WHERE o.row != '' AND NOT j.trial AND j.phase != 'ARCHIVED' AND o.result_id > :after ORDER BY o.result_id LIMIT :most
"""
_FILES = """
SELECT f.key AS after, f.source, f.size, f.row, f.obs_id, f.collection FROM archive_files f
WHERE f.row != '' AND f.kind IN ('events', 'product') AND f.key > :after ORDER BY f.key LIMIT :most
"""


def _fill(bind: sa.Connection, table: sa.Table) -> None:
    for query, first, row_of in ((_RESULTS, "", _of_result), (_FILES, 0, _of_file)):
        for page in _pages(bind, query, first):
            bind.execute(table.insert(), [row_of(row) for row in page])


def _pages(bind: sa.Connection, query: str, after: Any) -> Iterator[list[Any]]:
    while page := list(bind.execute(sa.text(query), {"after": after, "most": _AT_ONCE})):
        yield page
        after = page[-1].after


def _of_result(row: Any) -> dict[str, Any]:
    place = f"store/{row.after}/{quote(row.file.rpartition('/')[2])}"
    return {**_values(json.loads(row.row), row.size), "uws_owner": row.owner, "uws_result": row.after,
            "uws_archive": None, "uws_place": place, "uws_did": row.after}  # fmt: skip


def _of_file(row: Any) -> dict[str, Any]:
    level = 2 if _OF_PIPELINE.fullmatch(row.source.rpartition("/")[2]) else 1
    needed = {"obs_id": row.obs_id or row.source, "obs_collection": row.collection or "archive", "calib_level": level}
    place = quote(row.source)
    return {**_values({**needed, **json.loads(row.row)}, row.size), "uws_owner": "*", "uws_result": None,
            "uws_archive": row.after, "uws_place": f"archive/file/{place}", "uws_did": f"archive/{place}"}  # fmt: skip


def _values(row: Mapping[str, Any], size: int) -> dict[str, Any]:
    """Return the values of all columns for the ObsCore row of a file of that size; None for what is unknown or none."""
    found: dict[str, Any] = {
        name: None if row.get(name) is None else str(row[name]).replace("\0", "") for name in _TEXTS
    }
    for names, kind, most in ((_INTEGERS, int, 2.0**63), (_NUMBERS, float, float("inf"))):
        for name in names:
            value = row.get(name)
            is_number = isinstance(value, int | float) and abs(value) < most
            found[name] = kind(value) if is_number else None  # type: ignore[arg-type]
    found["access_estsize"] = max(1, round(size / 1000))
    return found
