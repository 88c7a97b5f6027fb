"""How a database is opened: one engine a process. Imports the errors and the tables' kinds of values."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from uws_server.errors import ConfigurationError
from uws_server.storage.tables import microseconds_of

_POOL: dict[str, Any] = {"pool_size": 20, "max_overflow": 10}
"""A connection for each thread of the WSGI adapter and of the scheduler: none is opened for one query only."""

_MOST_OWN = 48
"""Threads that have a connection of their own for their reads, whatever number of uploads comes at a time: with the
pool and the one that listens, a server stays below the 100 connections of a PostgreSQL as it is installed."""

_LOG_PAGES = 16000
"""Pages of 4 KiB in the write-ahead log of SQLite at which they are brought into the database, for which the one who
commits waits. A job changes about ten pages, most of them those of indexes which the next job changes as well: with
SQLite's 1000 a fifth of the time of a thousand new jobs went there."""

_BUSY_S = 30.0
"""How long a write to SQLite waits for another one."""

_RESTED_S = 1.0
"""Seconds after which a connection is asked before it writes: the database may have been restarted."""

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


class Reader:
    """A connection for each thread that reads, without transactions: nothing is lent, given back or rolled back.

    For a query of one row that costs more than the query itself. Threads beyond the first `most_own` borrow one for
    each query.
    """

    def __init__(self, engine: sa.Engine, most_own: int = _MOST_OWN) -> None:
        self.dialect = engine.dialect
        self._engine = engine
        self._of_thread = threading.local()
        self._all: weakref.WeakSet[_Own] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._free = threading.Semaphore(most_own)

    def rows(self, text: str, values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query as the database has them; `text` and `values` are as its driver takes them."""
        own: _Own | None = getattr(self._of_thread, "own", None)
        if own is not None:
            try:
                return own.rows(text, values)
            except Exception:
                self._of_thread.own = None
                if own.is_usable():
                    raise
                own.close()  # the host at its other end went away, and perhaps came back
        if not self._free.acquire(blocking=False):
            return self._borrowed_rows(text, values)
        try:
            own = self._of_thread.own = self._opened()
        except BaseException:
            self._free.release()
            raise
        return own.rows(text, values)

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            for own in self._all:
                own.close()

    def _borrowed_rows(self, text: str, values: Any) -> list[tuple[Any, ...]]:
        with contextlib.closing(self._engine.raw_connection()) as lent:
            connection: Any = lent.driver_connection
            rows: list[tuple[Any, ...]] = connection.execute(text, values).fetchall()
            return rows

    def _opened(self) -> _Own:
        own = _Own(_detached(self._engine), self._free.release)
        with self._lock:
            self._all.add(own)
        return own


class _Own:
    """The connection of one thread; it is closed when the thread ends, and `closed` is called."""

    def __init__(self, connection: Any, closed: Callable[[], None]) -> None:
        self._connection = connection
        self._closed: Callable[[], None] | None = closed

    def rows(self, text: str, values: Any) -> list[tuple[Any, ...]]:
        cursor = self._connection.execute(text, values)
        try:
            found: list[tuple[Any, ...]] = cursor.fetchall()
            return found
        finally:
            cursor.close()

    def is_usable(self) -> bool:
        """Check whether the connection is still one: not if the host at its other end closed it."""
        return not getattr(self._connection, "closed", False)

    def close(self) -> None:
        closed, self._closed = self._closed, None
        if closed is not None:
            closed()
        self._connection.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()


class Writer:
    """Connections for short writes that come one after the other, each lent to one thread at a time.

    One that has rested is asked whether its database is still there; in a burst of writes none is asked, none is rolled
    back. For a write of one row these messages to PostgreSQL take longer than the write.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._begin = "BEGIN IMMEDIATE" if engine.dialect.name == "sqlite" else "BEGIN"
        self._resting: list[tuple[Any, float]] = []

    @contextlib.contextmanager
    def cursor(self, statements: int) -> Iterator[Any]:
        """Lend a cursor for so many statements; they are committed together, or none of them if there is an error."""
        connection = self._taken()
        try:
            with contextlib.closing(connection.cursor()) as cursor:
                if statements > 1:
                    cursor.execute(self._begin)
                yield cursor
                if statements > 1:
                    cursor.execute("COMMIT")
        except BaseException:
            connection.close()  # with what was not committed
            raise
        self._resting.append((connection, time.monotonic()))

    def close(self) -> None:
        """Close every connection that is not lent."""
        while self._resting:
            self._resting.pop()[0].close()

    def _taken(self) -> Any:
        """Return a connection to a database that answers."""
        try:
            connection, since = self._resting.pop()
        except IndexError:
            return _detached(self._engine)
        if time.monotonic() - since > _RESTED_S:
            try:
                connection.execute("SELECT 1")
            except Exception:  # noqa: BLE001 - whatever it says: if the database does not answer, opening another one fails
                connection.close()
                return _detached(self._engine)
        return connection


def _detached(engine: sa.Engine) -> Any:
    """Return a new connection of the driver, none of those that the pool lends; each statement is committed at once."""
    lent = engine.raw_connection()
    connection: Any = lent.driver_connection
    lent.detach()
    if engine.dialect.name == "sqlite":
        connection.isolation_level = None
    else:
        connection.autocommit = True
    return connection


class Statement:
    """A statement that is executed very often, compiled once: SQLAlchemy takes longer for one than SQLite does.

    `columns` are those that an INSERT or UPDATE sets by values of their names.
    """

    def __init__(self, dialect: sa.Dialect, statement: sa.ClauseElement, columns: Sequence[str] | None = None) -> None:
        compiled: Any = statement.compile(dialect=dialect, column_keys=None if columns is None else list(columns))
        self.text = str(compiled)
        self._names: list[str] | None = compiled.positiontup if compiled.positional else None
        self._fixed = {name: value for name, value in compiled.params.items() if value is not None}

    def bound(self, values: Mapping[str, Any]) -> Any:
        """Return values as the driver takes them."""
        given = self._fixed | {
            name: microseconds_of(value) if isinstance(value, datetime) else value for name, value in values.items()
        }
        return given if self._names is None else tuple(given[name] for name in self._names)

    def execute(self, cursor: Any, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute the statement for the values of each row, by a cursor of the driver."""
        if len(rows) > 1:
            cursor.executemany(self.text, [self.bound(values) for values in rows])
        else:
            cursor.execute(self.text, self.bound(rows[0]))


class Look:
    """A query that every request makes, compiled once, and its rows as the database has them."""

    def __init__(self, reader: Reader, statement: sa.Select[Any]) -> None:
        self.statement, self._reader = Statement(reader.dialect, statement), reader

    def rows(self, **values: Any) -> list[tuple[Any, ...]]:
        """Return the rows for some values."""
        return self._reader.rows(self.statement.text, self.statement.bound(values))


def _sqlite(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(url, connect_args={"timeout": _BUSY_S, "check_same_thread": False}, **_POOL)

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        # WAL lets readers go on while one writes; NORMAL loses nothing that was committed when a process is
        # killed (only a power cut can cost the last commits).
        _use_wal(connection)
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(f"PRAGMA wal_autocheckpoint={_LOG_PAGES}")
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
