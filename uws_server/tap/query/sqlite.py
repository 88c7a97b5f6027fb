"""A read-only connection to SQLite; an authorizer refuses whatever is not a read of a known table."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from uws_server.errors import BadRequest
from uws_server.tap.query.budget import Budget
from uws_server.tap.query.connections import BATCH, Batch, quoted

_STEPS: Final = 20_000
"""Instructions of SQLite between two looks at the clock: less than a millisecond."""
_LONGEST_VALUE: Final = 50_000_000
_NEVER: Final = frozenset({"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"})


class SQLiteConnection:
    """A connection to the file of a database."""

    def __init__(self, path: str) -> None:
        uri = f"file:{quote(str(Path(path).absolute()))}?mode=ro"
        self._connection = sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None, timeout=10)
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        self._prepare()
        self._allowed: frozenset[str] = frozenset()
        self._uploaded: set[str] = set()
        self._cursor: sqlite3.Cursor | None = None
        self._connection.set_authorizer(self._authorize)
        self._is_uploading = False

    def _prepare(self) -> None:
        """Add the functions that translated queries use."""
        from uws_server.tap.adql import sqlite

        sqlite.register(self._connection)

    @property
    def has_uploads(self) -> bool:
        """Whether it holds tables of one query."""
        return bool(self._uploaded)

    @property
    def is_broken(self) -> bool:
        """Return False: a file does not go away."""
        return False

    def upload(self, sql_name: str, columns: Sequence[tuple[str, str]], rows: Iterator[Batch], budget: Budget) -> int:
        """Make a temporary table; `columns` are names and SQL types. Return how many rows it has."""
        described = ", ".join(f"{quoted(name)} {kind}" for name, kind in columns)
        marks = ", ".join("?" * len(columns))
        self._uploaded.add(sql_name.lower())
        self._is_uploading = True
        try:
            cursor = self._connection.cursor()
            cursor.execute(f"CREATE TEMP TABLE {quoted(sql_name)} ({described})")
            cursor.execute("BEGIN")
            count = 0
            for batch in rows:
                budget.require_left()
                cursor.executemany(f"INSERT INTO temp.{quoted(sql_name)} VALUES ({marks})", batch)
                count += len(batch)
            cursor.execute("COMMIT")
            return count
        finally:
            self._is_uploading = False

    def batches(
        self, sql: str, parameters: Mapping[str, Any] | Sequence[Any], tables: Collection[str], budget: Budget
    ) -> Iterator[Batch]:
        """Yield the rows of a query which reads no other tables than those. Raise what the budget raises."""
        self._allowed = frozenset(name.lower() for name in tables)
        self._connection.set_progress_handler(budget.is_over, _STEPS)
        cursor = self._cursor = self._connection.cursor()
        cursor.arraysize = BATCH
        batch = self._step(budget, lambda: cursor.execute(sql, parameters).fetchmany())
        while batch:
            yield batch
            batch = self._step(budget, cursor.fetchmany)

    def _step(self, budget: Budget, work: Any) -> Batch:
        budget.require_left()
        try:
            with budget.working():
                found: Batch = work()
                return found
        except sqlite3.OperationalError as error:
            if "interrupted" in str(error):
                budget.require_left()
                raise budget.timed_out() from error
            raise _meaning(error) from error
        except (sqlite3.DataError, sqlite3.DatabaseError) as error:
            raise _meaning(error) from error

    def rest(self) -> None:
        """End what a query has left open."""
        if self._cursor is not None:
            self._cursor.close()
            self._cursor = None

    def close(self) -> None:
        """Close the connection."""
        self.rest()
        self._connection.close()

    def _authorize(
        self, action: int, first: str | None, second: str | None, base: str | None, _view: str | None
    ) -> int:
        """Tell SQLite whether a statement may do something, when it is prepared."""
        if self._is_uploading:
            return sqlite3.SQLITE_OK
        if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE):
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_READ:
            name = (first or "").lower()
            is_known = not base or name in self._allowed or (base == "temp" and name in self._uploaded)
            return sqlite3.SQLITE_OK if is_known else sqlite3.SQLITE_DENY
        if action == sqlite3.SQLITE_FUNCTION:
            return sqlite3.SQLITE_DENY if (second or "").lower() in _NEVER else sqlite3.SQLITE_OK
        return sqlite3.SQLITE_DENY


def _meaning(error: sqlite3.DatabaseError) -> Exception:
    """Return the error of a query for what SQLite says of a value; any other stays as it is."""
    text = str(error)
    told = (
        "too big", "overflow", "malformed", "out of range", "domain", "user-defined function", "ESCAPE", "no such",
    )  # fmt: skip
    if any(word in text for word in told):
        return BadRequest(f"the query could not be computed: {text}")
    return error
