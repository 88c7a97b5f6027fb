"""How a database is opened: one engine a process. Imports the errors."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from uws_server.errors import ConfigurationError

_POOL: dict[str, Any] = {"pool_size": 20, "max_overflow": 10}
"""A connection for each thread of the WSGI adapter and of the scheduler: none is opened for one query only."""

_BUSY_S = 30.0
"""How long a write to SQLite waits for another one."""

_ALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""After a minute it is noticed that the host at the other end of a connection has gone."""

_ALLOWED = "sqlite:///FOLDER/FILE or postgresql://USER:PASSWORD@HOST/NAME is expected"


def engine_for(url: str) -> sa.Engine:
    """Return the engine of a database URL. Raise ConfigurationError if it is none."""
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise ConfigurationError(f"database: this is no database URL; {_ALLOWED}") from error
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        return _sqlite(parsed)
    if parsed.get_backend_name() != "postgresql":
        raise ConfigurationError(f"database: {parsed.drivername!r} came; {_ALLOWED}")
    try:
        url_of_driver = parsed.set(drivername="postgresql+psycopg")
        return sa.create_engine(url_of_driver, pool_pre_ping=True, connect_args=_ALIVE, **_POOL)
    except ImportError as error:
        raise ConfigurationError("database: for PostgreSQL install uws-server[postgres]") from error


def reading(engine: sa.Engine) -> sa.Engine:
    """Return the engine for single reads.

    In PostgreSQL it sends no BEGIN and ROLLBACK, two messages of four, around each.
    """
    return engine if engine.dialect.name == "sqlite" else engine.execution_options(isolation_level="AUTOCOMMIT")


class Look:
    """A query with one value that every request makes, and its rows as the database has them.

    SQLAlchemy compiles the statement once. In SQLite it does not execute it, since that takes five times as long as the
    query itself.
    """

    def __init__(self, engine: sa.Engine, statement: sa.Select[Any]) -> None:
        compiled = statement.compile(dialect=engine.dialect)
        (self._name,) = compiled.params
        self._text, self._positional = str(compiled), compiled.positional
        self._engine = engine
        self._reading = reading(engine)
        self._directly = engine.dialect.name == "sqlite"

    def rows(self, value: str) -> Sequence[Sequence[Any]]:
        """Return the rows for a value."""
        values: Any = (value,) if self._positional else {self._name: value}
        if not self._directly:
            with self._reading.connect() as connection:
                return connection.exec_driver_sql(self._text, values).fetchall()
        lent = self._engine.raw_connection()
        try:
            cursor = lent.cursor()
            cursor.execute(self._text, values)
            return cursor.fetchall()
        finally:
            lent.close()


def _sqlite(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(url, connect_args={"timeout": _BUSY_S, "check_same_thread": False}, **_POOL)

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        # WAL lets readers go on while one writes; NORMAL loses nothing that was committed when a process is
        # killed (only a power cut can cost the last commits).
        _use_wal(connection)
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")

    return engine


def _use_wal(connection: Any) -> None:
    """Set the journal mode; SQLite itself does not wait here while another server that starts does the same."""
    give_up = time.monotonic() + _BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
