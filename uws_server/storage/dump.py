"""The rows of a database as lines of JSON, written while servers use it and read into an empty one. Imports the tables.

All rows are read in one transaction that sees one moment: a read transaction of SQLite, or one of PostgreSQL with
REPEATABLE READ, READ ONLY. It is neither SQLite's backup API nor `pg_dump`: the same lines go into a database of either
kind and of a later version, no program of PostgreSQL's client has to be there in the version of the server, and what
must not be in a backup is left out. The tables are those that the database has, not those that this version knows.

    {"table": "jobs", "columns": ["id", ...]}
    ["0123...", ...]
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO

import sqlalchemy as sa

from uws_server.storage import migrate
from uws_server.storage.database import engine_for

Row = dict[str, Any]

_AT_ONCE = 1000
"""Rows that are read and written at a time."""
_PASSING = frozenset({"alembic_version", "servers", "changes", "sessions", "stored", "owner_secrets"})
"""Tables that are not kept: what holds of running servers and browsers only, what triggers make, and secrets."""


class Snapshot:
    """A database at one moment."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._tables = sa.MetaData()
        self._tables.reflect(connection)

    def write(self, stream: TextIO, written: Callable[[], None]) -> dict[str, int]:
        """Write every row; `written` is called as they are. Return the number of rows of each table."""
        counts = {}
        for table in self._tables.sorted_tables:
            if table.name in _PASSING:
                continue
            names = [column.name for column in table.columns]
            stream.write(json.dumps({"table": table.name, "columns": names}) + "\n")
            counts[table.name] = 0
            for part in self._parts(table):
                stream.writelines(json.dumps(list(row)) + "\n" for row in part)
                counts[table.name] += len(part)
                written()
        return counts

    def _parts(self, table: sa.Table) -> Iterator[list[Any]]:
        keys = list(table.primary_key.columns)
        found = self._connection.execution_options(yield_per=_AT_ONCE).execute(sa.select(table).order_by(*keys))
        yield from (list(part) for part in found.partitions())


@contextlib.contextmanager
def snapshot(url: str) -> Iterator[Snapshot]:
    """Hold a database as it is now for the time of a block; others may write meanwhile."""
    engine = engine_for(url)
    try:
        if engine.dialect.name == "postgresql":
            engine = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN")  # which Python's driver leaves out before a SELECT
            yield Snapshot(connection)
    finally:
        engine.dispose()


def rows(lines: Iterable[str], wanted: frozenset[str] = frozenset()) -> Iterator[tuple[str, Row]]:
    """Return table and row of each line of a dump, of the wanted tables only, if there are some."""
    table, columns = "", []
    for line in lines:
        if line.startswith("{"):
            head = json.loads(line)
            table, columns = head["table"], head["columns"]
        elif not wanted or table in wanted:
            yield table, dict(zip(columns, json.loads(line), strict=True))


def current(url: str, job_ids: Iterable[str]) -> Iterator[tuple[str, Row | None]]:
    """Return the rows of some jobs as they are now, by id; None for one that is no more."""
    engine = engine_for(url)
    try:
        with engine.connect() as connection:
            jobs = sa.Table("jobs", sa.MetaData(), autoload_with=connection)
            for job_id in job_ids:
                row = connection.execute(sa.select(jobs).where(jobs.c.id == job_id)).mappings().one_or_none()
                yield job_id, None if row is None else dict(row)
    finally:
        engine.dispose()


def is_empty(url: str) -> bool:
    """Check whether a database has no rows of ours, or no tables at all."""
    engine = engine_for(url)
    try:
        with engine.connect() as connection:
            tables = sa.MetaData()
            tables.reflect(connection)
            kept = [table for table in tables.sorted_tables if table.name not in _PASSING]
            return all(connection.execute(sa.select(table).limit(1)).first() is None for table in kept)
    finally:
        engine.dispose()


def load(url: str, revision: str, found: Iterable[tuple[str, Row]], loaded: Callable[[], None]) -> None:
    """Make the tables of a revision, put rows into them in one transaction, and bring them up to date.

    `found` are table and row in the order of a dump; `loaded` is called as they are written. A row that belongs to one
    which is not there is left out.
    """
    migrate.upgrade_by_steps(url, revision)
    engine = engine_for(url)
    try:
        with engine.begin() as connection:
            _insert(connection, found, loaded)
    finally:
        engine.dispose()
    migrate.upgrade(url)


def _insert(connection: sa.Connection, found: Iterable[tuple[str, Row]], loaded: Callable[[], None]) -> None:
    tables = sa.MetaData()
    tables.reflect(connection)
    part: list[Row] = []
    of = ""
    for name, row in found:
        if part and (name != of or len(part) >= _AT_ONCE):
            connection.execute(tables.tables[of].insert(), part)
            part = []
            loaded()
        of = name
        part.append(row)
    if part:
        connection.execute(tables.tables[of].insert(), part)
    if connection.dialect.name == "postgresql":
        for table in tables.sorted_tables:
            _go_on_counting(connection, table)


def _go_on_counting(connection: sa.Connection, table: sa.Table) -> None:
    """Have PostgreSQL number new rows after those that came with their numbers."""
    for column in table.primary_key.columns:
        sequence = connection.scalar(sa.select(sa.func.pg_get_serial_sequence(table.name, column.name)))
        if sequence is not None:
            newest = sa.select(sa.func.coalesce(sa.func.max(column), 0) + 1).scalar_subquery()
            connection.execute(sa.select(sa.func.setval(sequence, newest, sa.false())))
