"""The tables that every server has: TAP_SCHEMA itself, ivoa.obscore, the jobs of the caller, the archive.

Imports the columns of ObsCore and its neighbours.
"""

from __future__ import annotations

from typing import Final

from provenance.obscore import ALL_COLUMNS, COLUMNS, Column
from provenance.obscore.table import unit_of
from uws_server.storage.region_sizes import REACHES_DEG, ZONES_PER_DEG
from uws_server.tap.schema.model import Key, Schema, SchemaColumn, SchemaTable
from uws_server.tap.tables import ColumnDescription, Position, RegionIndex

OBSCORE: Final = "ivoa.obscore"
_TYPES: Final = {"text": ("unicodeChar", "*"), "ascii": ("char", "*"), "time": ("char", "*"), "int": ("int", None),
                 "long": ("long", None), "double": ("double", None)}  # fmt: skip
_OF_OBSCORE: Final = {"VARCHAR": "text", "CLOB": "ascii", "TIMESTAMP": "time", "REGION": "ascii", "INTEGER": "int",
                      "BIGINT": "long", "DOUBLE": "double"}  # fmt: skip
REGION_COLUMNS: Final = ("uws_region_ra", "uws_region_dec", "uws_region_radius", "uws_region_size")
ZONE_COLUMN: Final = "uws_zone"
_INDEXED: Final = frozenset(
    {"s_ra", "s_dec", "s_region", "t_min", "obs_id", "target_name", "obs_publisher_did", "access_url"}
)
_UCDS: Final = {"bib_reference": "meta.bib.bibcode"}
"""UCDs that ObsCore 1.1 has otherwise in its table for TAP_SCHEMA than in that of the data model."""
_XTYPES: Final = {"TIMESTAMP": "timestamp", "REGION": "adql:REGION"}


def _column(
    name: str, kind: str, description: str, *, unit: str = "", ucd: str = "", indexed: bool = False, std: bool = False
) -> SchemaColumn:
    datatype, arraysize = _TYPES[kind]
    column = ColumnDescription(
        name, datatype, arraysize, unit or None, ucd or None, None, "timestamp" if kind == "time" else None, description
    )
    return SchemaColumn(column, indexed, True, std)


def _standard(name: str, kind: str, description: str) -> SchemaColumn:
    return _column(name, kind, description, std=True)


def _obscore(column: Column) -> SchemaColumn:
    datatype, arraysize = _TYPES[_OF_OBSCORE[column.adql]]
    ucd = _UCDS.get(column.name, column.ucd) or None
    described = ColumnDescription(
        column.name, datatype, arraysize, unit_of(column), ucd, column.utype or None,
        _XTYPES.get(column.adql), column.description,
    )  # fmt: skip
    return SchemaColumn(described, column.name in _INDEXED, column.mandatory, column in COLUMNS)


_TAP_SCHEMA: Final = Schema(
    "TAP_SCHEMA",
    "Schemas, tables, columns and keys that queries may name (TAP 1.1)",
    (
        SchemaTable(
            "TAP_SCHEMA.schemas",
            "The schemas",
            (
                _standard("schema_name", "text", "name of the schema"),
                _standard("utype", "text", "UType of the schema, where it has one"),
                _standard("description", "text", "what the schema holds"),
                _standard("schema_index", "int", "in which order schemas are shown"),
            ),
            "tap_schemas",
        ),
        SchemaTable(
            "TAP_SCHEMA.tables",
            "The tables",
            (
                _standard("schema_name", "text", "name of the schema of the table"),
                _standard("table_name", "text", "name of the table as queries give it"),
                _standard("table_type", "text", "table or view"),
                _standard("utype", "text", "UType of the table, where it has one"),
                _standard("description", "text", "what the table holds"),
                _standard("table_index", "int", "in which order tables are shown"),
            ),
            "tap_tables",
        ),
        SchemaTable(
            "TAP_SCHEMA.columns",
            "The columns",
            (
                _standard("table_name", "text", "name of the table of the column"),
                _standard("column_name", "text", "name of the column as queries give it"),
                _standard("datatype", "text", "type, as VOTable names it"),
                _standard("arraysize", "text", "number of elements, as VOTable has it; null for one"),
                _standard("xtype", "text", "what the value is, as DALI names it"),
                _standard('"size"', "int", "length of the values, where it is fixed (of former versions of TAP)"),
                _standard("description", "text", "what the column holds"),
                _standard("utype", "text", "UType of the column, where it has one"),
                _standard("unit", "text", "unit, in the words of VOUnits"),
                _standard("ucd", "text", "UCD, where it has one"),
                _standard("indexed", "int", "1 if a search by it is quick, 0 otherwise"),
                _standard("principal", "int", "1 if it is one of the columns to begin with, 0 otherwise"),
                _standard("std", "int", "1 if a standard defines it, 0 otherwise"),
                _standard("column_index", "int", "in which order columns are shown"),
            ),
            "tap_columns",
        ),
        SchemaTable(
            "TAP_SCHEMA.keys",
            "Foreign keys: which tables belong together",
            (
                _standard("key_id", "text", "name of the key"),
                _standard("from_table", "text", "table whose column refers to another table"),
                _standard("target_table", "text", "table that is referred to"),
                _standard("utype", "text", "UType of the key, where it has one"),
                _standard("description", "text", "what the key says"),
            ),
            "tap_keys",
        ),
        SchemaTable(
            "TAP_SCHEMA.key_columns",
            "The columns of foreign keys",
            (
                _standard("key_id", "text", "name of the key"),
                _standard("from_column", "text", "column that refers to another table"),
                _standard("target_column", "text", "column of the table that is referred to"),
            ),
            "tap_key_columns",
        ),
    ),
)

_IVOA: Final = Schema(
    "ivoa",
    "Tables of the IVOA's data models",
    (
        SchemaTable(
            OBSCORE,
            "Products of jobs and files of the archive: ObsCore 1.1, and columns of its draft high-energy extension",
            tuple(map(_obscore, ALL_COLUMNS)),
            "tap_obscore",
            "ivo://ivoa.net/std/ObsCore#core-1.1",
            "view",
            (Position("s_ra", "s_dec", zone=ZONE_COLUMN, zones_per_deg=ZONES_PER_DEG),),
            regions=(RegionIndex("s_region", *REGION_COLUMNS, REACHES_DEG),),
        ),
    ),
)

_UWS: Final = Schema(
    "uws",
    "The jobs of who asks, and what they made",
    (
        SchemaTable(
            "uws.jobs",
            "The jobs that the caller sees in lists",
            (
                _column("job_id", "ascii", "id of the job", ucd="meta.id;meta.main"),
                _column("definition", "ascii", "job definition, the name of the job list", ucd="meta.id"),
                _column("version", "text", "version of the definition", ucd="meta.version"),
                _column("phase", "ascii", "phase of the job (UWS 1.1)", ucd="meta.code.status"),
                _column("owner", "text", "account whose job it is; null for nobody's", ucd="meta.id"),
                _column("run_id", "text", "what the client called the job (RUNID)", ucd="meta.id"),
                _column("target", "text", "object that was observed", ucd="meta.id;src"),
                _column("created", "time", "when the job was made, UTC", ucd="time.creation"),
                _column("started", "time", "when it began to run, UTC", ucd="time.start"),
                _column("ended", "time", "when it ended, UTC", ucd="time.end"),
                _column("destruction", "time", "when it will be destroyed, UTC", ucd="time.expiration"),
                _column("execution_duration", "int", "time limit; 0 for none", unit="s", ucd="time.duration"),
                _column("cpu", "double", "processor time that it took", unit="s", ucd="time.duration"),
                _column("bytes", "long", "size of its files", unit="byte", ucd="phys.size;meta.file"),
                _column("error", "text", "why it failed, where it did", ucd="meta.note"),
                _column("warning", "text", "what is to be said of it though it succeeded", ucd="meta.note"),
            ),
            "jobs",
            kind="view",
        ),
        SchemaTable(
            "uws.results",
            "The results of these jobs",
            (
                _column("result_id", "ascii", "id of the result", ucd="meta.id;meta.main"),
                _column("job_id", "ascii", "id of the job that made it", ucd="meta.id"),
                _column("name", "text", "name of the result in its job", ucd="meta.id"),
                _column("file_name", "text", "name of the file", ucd="meta.id;meta.file"),
                _column("media_type", "ascii", "media type of the file", ucd="meta.code.mime"),
                _column("bytes", "long", "size of the file", unit="byte", ucd="phys.size;meta.file"),
                _column("sha256", "ascii", "SHA-256 of the file", ucd="meta.checksum"),
                _column("description", "text", "what the result is", ucd="meta.note"),
                _column("access_url", "ascii", "address of the file", ucd="meta.ref.url"),
            ),
            "results",
            kind="view",
        ),
    ),
)

_POINTED: Final = (
    _column("ra", "double", "right ascension of the pointing, ICRS", unit="deg", ucd="pos.eq.ra;meta.main"),
    _column("dec", "double", "declination of the pointing, ICRS", unit="deg", ucd="pos.eq.dec;meta.main"),
    _column("t_min", "double", "begin, MJD", unit="d", ucd="time.start;obs.exposure"),
    _column("t_max", "double", "end, MJD", unit="d", ucd="time.end;obs.exposure"),
    _column("exposure_s", "double", "live time", unit="s", ucd="time.duration;obs.exposure"),
)
_ARCHIVE: Final = Schema(
    "archive",
    "Observations and exposures of the archive",
    (
        SchemaTable(
            "archive.observations",
            "The observations of the archive, one row each",
            (
                _column("obs_id", "text", "identifier of the observation", ucd="meta.id;meta.main"),
                _column("target", "text", "object of the observation", ucd="meta.id;src"),
                *_POINTED,
                _column("exposures", "int", "number of exposures", ucd="meta.number;obs.exposure"),
                _column("here", "int", "number of those whose event list is here", ucd="meta.number;meta.file"),
            ),
            "archive_files",
            kind="view",
            positions=(Position("ra", "dec"),),
        ),
        SchemaTable(
            "archive.exposures",
            "The exposures of the archive: event lists, and those of which only a table tells",
            (
                _column("source", "text", "name in the archive, which jobs take", ucd="meta.id;meta.main"),
                _column("obs_id", "text", "identifier of the observation", ucd="meta.id", indexed=True),
                _column("instrument", "text", "camera", ucd="meta.id;instr"),
                _column("exposure", "text", "identifier of the exposure", ucd="meta.id"),
                _column("filter", "text", "optical filter", ucd="meta.id;instr.filter"),
                _column("obs_mode", "text", "submode of the camera", ucd="meta.code;instr.setup"),
                _column("target", "text", "object of the observation", ucd="meta.id;src"),
                _column("observer", "text", "who proposed the observation", ucd="meta.id;obs.observer"),
                *_POINTED,
                _column("collection", "text", "archive or mission", ucd="meta.id"),
                _column("here", "int", "1 if its event list is here, 0 if not", ucd="meta.code"),
            ),
            "archive_files",
            kind="view",
            positions=(Position("ra", "dec"),),
        ),
    ),
)

SCHEMAS: Final = (_IVOA, _ARCHIVE, _UWS, _TAP_SCHEMA)
KEYS: Final = (
    Key("uws_results_jobs", "uws.results", "uws.jobs", "job_id", "job_id", "the job that made a result"),
    Key("archive_exposures_observations", "archive.exposures", "archive.observations", "obs_id", "obs_id",
        "the observation of an exposure"),
    Key("tap_tables_schemas", "TAP_SCHEMA.tables", "TAP_SCHEMA.schemas", "schema_name", "schema_name"),
    Key("tap_columns_tables", "TAP_SCHEMA.columns", "TAP_SCHEMA.tables", "table_name", "table_name"),
    Key("tap_keys_from_table", "TAP_SCHEMA.keys", "TAP_SCHEMA.tables", "from_table", "table_name"),
    Key("tap_keys_target_table", "TAP_SCHEMA.keys", "TAP_SCHEMA.tables", "target_table", "table_name"),
    Key("tap_key_columns_keys", "TAP_SCHEMA.key_columns", "TAP_SCHEMA.keys", "key_id", "key_id"),
)  # fmt: skip
