"""What server processes on one database announce to each other: which job changed, and how. Imports the tables.

An announcement is part of the transaction that makes the change. PostgreSQL carries it (NOTIFY, heard by one connection
of each process); in SQLite it is a row of the table `changes`, and one thread of each process asks SQLite's own change
counter, often while there are other processes and seldom while there are none.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Any, Protocol

import sqlalchemy as sa

from uws_server.storage.outages import Outage
from uws_server.storage.tables import changes, servers

LOG = logging.getLogger(__name__)

DELETED = "DELETED"
"""The job is no more."""
ABORT = "ABORT"
"""The job shall be ended by the server that runs it."""
SERVERS = "SERVERS"
"""A server has come or gone; no job is named. Otherwise a change is the phase that the job has now."""

_CHANNEL = "uws_changes"
_LISTEN_S = 5.0
_SOON_S = 0.02
_ALONE_S = 0.25
"""Seconds between two looks at SQLite's counter, with and without other servers."""
_KEPT = 10_000

Heard = Callable[[str, str], None]
"""Called with a job's id and what became of it."""


class Watch(Protocol):
    """A thread that hears what other processes change."""

    def start(self) -> None:
        """Begin to listen."""

    def stop(self) -> None:
        """Listen no more."""


def announce(connection: sa.Connection, origin: str, job_id: str, what: str) -> None:
    """Announce a change to the other processes, once the transaction of the connection is committed."""
    connection.execute(_NOTICES[connection.dialect.name], values_of_notice(origin, job_id, what))


def notice(dialect: sa.Dialect) -> sa.TextClause:
    """Return the statement that announces a change, for one who executes it with `values_of_notice`."""
    return _NOTICES[dialect.name]


def values_of_notice(origin: str, job_id: str, what: str) -> dict[str, str]:
    """Return the values of the statement that announces a change, for every database."""
    text = f"{origin} {what} {job_id}"
    return {"channel": _CHANNEL, "text": text, "origin": origin, "what": str(what), "job": job_id}


def prune(engine: sa.Engine) -> None:
    """Delete old changes, which every process has heard of."""
    if engine.dialect.name == "sqlite":
        newest = sa.select(sa.func.max(changes.c.number)).scalar_subquery()
        with engine.begin() as connection:
            connection.execute(changes.delete().where(changes.c.number <= newest - _KEPT))


def watch(engine: sa.Engine, origin: str, heard: Heard, missed: Callable[[], None]) -> Watch:
    """Return a thread that listens for changes by others than `origin`; `missed` is called when some may be lost."""
    kind = _PostgreSQLWatch if engine.dialect.name == "postgresql" else _SQLiteWatch
    return kind(engine, origin, heard, missed)


class _Thread:
    """A thread that goes on after a failure of the database."""

    def __init__(self, engine: sa.Engine, origin: str, heard: Heard, missed: Callable[[], None]) -> None:
        self._engine, self._origin, self._heard, self._missed = engine, origin, heard, missed
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="changes", daemon=True)

    def start(self) -> None:
        """Begin to listen; return when nothing that happens from now on is missed."""
        self._thread.start()
        self._ready.wait(_LISTEN_S)

    def stop(self) -> None:
        """Listen no more."""
        self._stopping.set()
        self._interrupt()
        self._thread.join()

    def _run(self) -> None:
        outage = Outage(LOG, "listening for changes by other servers")
        while not self._stopping.is_set():
            try:
                lent = self._engine.raw_connection()
                connection: Any = lent.driver_connection
                lent.detach()  # it is busy for good: none of those that the pool lends
                try:
                    self._listen(connection, outage)
                finally:
                    connection.close()
                    lent.invalidate()  # close() would roll back, which fails loudly on a connection that was lost
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told and tried again
                if not self._stopping.is_set():
                    self._stopping.wait(outage.failed(error))

    def _listen(self, connection: Any, outage: Outage) -> None:
        raise NotImplementedError

    def _interrupt(self) -> None:
        """Make the thread notice that it is to stop."""

    def _from_others(self, origin: str, what: str, job_id: str) -> None:
        if origin != self._origin:
            self._heard(job_id, what)


class _PostgreSQLWatch(_Thread):
    def _listen(self, connection: Any, outage: Outage) -> None:
        connection.autocommit = True
        connection.execute(f"LISTEN {_CHANNEL}")
        outage.over()
        self._ready.set()
        self._missed()  # what happened before this connection was not heard
        while not self._stopping.is_set():
            for notice in connection.notifies(timeout=_LISTEN_S):
                self._from_others(*notice.payload.split(" ", 2))
                if self._stopping.is_set():
                    return

    def _interrupt(self) -> None:
        with contextlib.suppress(sa.exc.SQLAlchemyError), self._engine.begin() as connection:
            announce(connection, self._origin, "", SERVERS)


class _SQLiteWatch(_Thread):
    def _listen(self, connection: Any, outage: Outage) -> None:
        seen = self._newest(connection)
        outage.over()
        counter, pause = None, 0.0
        self._ready.set()
        self._missed()
        while not self._stopping.wait(pause):
            now = connection.execute("PRAGMA data_version").fetchone()
            if now != counter:
                counter = now
                seen = self._read(connection, seen)
                others = connection.execute(_OTHERS, (self._origin,)).fetchone()[0]
                pause = _SOON_S if others else _ALONE_S

    def _newest(self, connection: Any) -> int:
        return int(connection.execute(_NEWEST).fetchone()[0])

    def _read(self, connection: Any, seen: int) -> int:
        rows = connection.execute(_AFTER, (seen,)).fetchall()
        if rows and rows[0][0] > seen + 1:
            self._missed()
        for _, origin, what, job_id in rows:
            self._from_others(origin, what, job_id)
        return int(rows[-1][0]) if rows else seen


_NOTICES = {
    "postgresql": sa.text("SELECT pg_notify(:channel, :text)"),
    "sqlite": sa.text(f"INSERT INTO {changes.name} (job_id, what, server) VALUES (:job, :what, :origin)"),
}
_NEWEST = f"SELECT coalesce(max(number), 0) FROM {changes.name}"
_AFTER = f"SELECT number, server, what, job_id FROM {changes.name} WHERE number > ? ORDER BY number"
_OTHERS = f"SELECT EXISTS (SELECT 1 FROM {servers.name} WHERE id <> ?)"
