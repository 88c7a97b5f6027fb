"""How a database is opened: one engine a process. Imports the errors."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from uws_server.errors import ConfigurationError

_POOL: dict[str, Any] = {"pool_size": 20, "max_overflow": 10}
"""A connection for each thread of the WSGI adapter and of the scheduler: none is opened for one query only."""

_MOST_OWN = 48
"""Threads that have a connection of their own for their reads, whatever number of uploads comes at a time: with the
pool and the one that listens, a server stays below the 100 connections of a PostgreSQL as it is installed."""

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


class Reader:
    """A connection for each thread that reads, without transactions: nothing is lent, given back or rolled back.

    For a query of one row that costs more than the query itself. Threads beyond the first 48 borrow one for each query.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self.dialect = engine.dialect
        self._engine = engine
        self._of_thread = threading.local()
        self._all: weakref.WeakSet[_Own] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._free = threading.Semaphore(_MOST_OWN)

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
        lent = self._engine.raw_connection()
        connection: Any = lent.driver_connection
        lent.detach()  # it stays with this thread: none of those that the pool lends
        if self.dialect.name == "sqlite":
            connection.isolation_level = None
        else:
            connection.autocommit = True
        own = _Own(connection, self._free.release)
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


class Look:
    """A query that every request makes, compiled once, and its rows as the database has them."""

    def __init__(self, reader: Reader, statement: sa.Select[Any]) -> None:
        compiled = statement.compile(dialect=reader.dialect)
        self._text, self._reader = str(compiled), reader
        self._names = compiled.positiontup if compiled.positional else None
        self._fixed = {name: value for name, value in compiled.params.items() if value is not None}

    def rows(self, **values: Any) -> list[tuple[Any, ...]]:
        """Return the rows for some values, which are as the database has them."""
        given = self._fixed | values
        return self._reader.rows(self._text, given if self._names is None else [given[name] for name in self._names])


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
