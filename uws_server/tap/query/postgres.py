"""A connection to PostgreSQL that reads in read-only transactions, row by row by a cursor of the server."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import psycopg

from uws_server.errors import BadRequest
from uws_server.tap.adql import postgresql
from uws_server.tap.query.budget import Budget
from uws_server.tap.query.connections import BATCH, Batch, quoted

_FETCH: Final = f"FETCH FORWARD {BATCH} FROM tap".encode()
_CLASSES_OF_VALUES: Final = ("22", "42", "54")
"""The first characters of the states of errors that are those of the query: data, syntax or access, limits."""


class PostgresConnection:
    """A connection to a database by its URL."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=False, application_name="uws-server tap")
        self._has_uploads = False
        postgresql.register(self._connection)
        self._connection.execute("SET SESSION idle_in_transaction_session_timeout = '30min'")
        self._connection.commit()

    @property
    def has_uploads(self) -> bool:
        """Whether it holds tables of one query."""
        return self._has_uploads

    @property
    def is_broken(self) -> bool:
        """Whether the database at its other end has gone away."""
        return self._connection.closed or self._connection.broken

    def upload(self, sql_name: str, columns: Sequence[tuple[str, str]], rows: Iterator[Batch], budget: Budget) -> int:
        """Make a temporary table; `columns` are names and SQL types. Return how many rows it has."""
        self._has_uploads = True
        described = ", ".join(f"{quoted(name)} {kind}" for name, kind in columns)
        count = 0
        with self._connection.cursor() as cursor:
            cursor.execute(f"CREATE TEMP TABLE {quoted(sql_name)} ({described})".encode())
            with cursor.copy(f"COPY {quoted(sql_name)} FROM STDIN".encode()) as copy:
                for batch in rows:
                    budget.require_left()
                    for row in batch:
                        copy.write_row(row)
                    count += len(batch)
            cursor.execute(f"ANALYZE {quoted(sql_name)}".encode())
        self._connection.commit()
        return count

    def batches(
        self, sql: str, parameters: Mapping[str, Any] | Sequence[Any], tables: Collection[str], budget: Budget
    ) -> Iterator[Batch]:
        """Yield the rows of a query. Raise what the budget raises.

        That it reads no other tables than those, the translator sees to: this server's account owns all of them.
        """
        del tables
        self._connection.execute("SET TRANSACTION READ ONLY")
        if budget.seconds:
            self._connection.execute(f"SET LOCAL statement_timeout = {max(1, int(budget.left * 1000))}".encode())
        declared = f"DECLARE tap NO SCROLL CURSOR FOR {sql}".encode()
        batch = self._step(budget, lambda: (self._connection.execute(declared, parameters), self._fetched())[1])
        while batch:
            yield batch
            batch = self._step(budget, self._fetched)

    def _fetched(self) -> Batch:
        return self._connection.execute(_FETCH).fetchall()

    def _step(self, budget: Budget, work: Any) -> Batch:
        budget.require_left()
        try:
            with budget.working():
                found: Batch = work()
                return found
        except psycopg.errors.QueryCanceled as error:
            budget.require_left()
            raise budget.timed_out() from error
        except psycopg.Error as error:
            if (error.sqlstate or "")[:2] in _CLASSES_OF_VALUES:
                told = str(error).partition("\n")[0]
                raise BadRequest(f"the query could not be computed: {told}") from error
            raise

    def cancel(self) -> None:
        """Ask the database to stop the query; called from another thread."""
        with contextlib.suppress(psycopg.Error):
            self._connection.cancel()

    def rest(self) -> None:
        """End what a query has left open."""
        self._connection.rollback()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
