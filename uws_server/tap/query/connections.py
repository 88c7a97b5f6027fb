"""Read-only connections to the database, of either kind, and those that wait for the next query.

They are those of the drivers themselves: a query is text that the translator made, and its rows are read by the
thousand.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol
from urllib.parse import unquote

from uws_server.errors import ConfigurationError
from uws_server.tap.adql.backends import BackendName
from uws_server.tap.query.budget import Budget

BATCH: Final = 300
"""Rows that are read at a time: of 66 columns a few megabytes, on their way through a format."""
_MOST_RESTING: Final = 16

Batch = Sequence[tuple[Any, ...]]


class Connection(Protocol):
    """A connection that reads, and holds the uploaded tables of one query."""

    @property
    def has_uploads(self) -> bool:
        """Whether it holds tables of one query."""

    @property
    def is_broken(self) -> bool:
        """Whether the database at its other end has gone away."""

    def upload(self, sql_name: str, columns: Sequence[tuple[str, str]], rows: Iterator[Batch], budget: Budget) -> int:
        """Make a temporary table; `columns` are names and SQL types. Return how many rows it has."""

    def batches(
        self, sql: str, parameters: Mapping[str, Any] | Sequence[Any], tables: Collection[str], budget: Budget
    ) -> Iterator[Batch]:
        """Yield the rows of a query which reads no other tables than those. Raise what the budget raises."""

    def rest(self) -> None:
        """End what a query has left open."""

    def close(self) -> None:
        """Close the connection."""


class Connections:
    """Opens connections to the database of a server, and keeps some for the next queries."""

    def __init__(self, url: str) -> None:
        self.backend, self._open = _opener(url)
        self._resting: list[Connection] = []
        self._rested: set[int] = set()
        self._lock = threading.Lock()

    def take(self) -> Connection:
        """Return a connection without uploads."""
        with self._lock:
            if self._resting:
                connection = self._resting.pop()
                self._rested.add(id(connection))
                return connection
        return self._open()

    def has_rested(self, connection: Connection) -> bool:
        """Check whether a connection that was taken had waited before."""
        return id(connection) in self._rested

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for the next query, unless it holds something of this one."""
        self._rested.discard(id(connection))
        if connection.has_uploads or not _is_at_rest(connection):
            connection.close()
            return
        with self._lock:
            if len(self._resting) < _MOST_RESTING:
                self._resting.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close all connections that wait."""
        with self._lock:
            resting, self._resting = self._resting, []
        for connection in resting:
            connection.close()


def _is_at_rest(connection: Connection) -> bool:
    try:
        connection.rest()
    except Exception:  # noqa: BLE001 - whatever it says: it is of no use any more
        return False
    return True


def _opener(url: str) -> tuple[BackendName, Callable[[], Connection]]:
    """Return the kind of a database, and what opens connections to it. Raise ConfigurationError."""
    scheme, _, rest = url.partition("://")
    kind = scheme.partition("+")[0]
    if kind == "sqlite":
        from uws_server.tap.query.sqlite import SQLiteConnection

        path = unquote(rest.removeprefix("/").partition("?")[0])
        return "sqlite", lambda: SQLiteConnection(path)
    if kind in ("postgresql", "postgres"):
        from uws_server.tap.query.postgres import PostgresConnection

        return "postgresql", lambda: PostgresConnection(f"postgresql://{rest}")
    raise ConfigurationError("database: TAP reads SQLite and PostgreSQL")


def quoted(name: str) -> str:
    """Return a name as SQL has it in quotes."""
    return '"' + name.replace('"', '""') + '"'
