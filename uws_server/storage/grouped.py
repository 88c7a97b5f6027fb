"""Rows that many threads add at the same moment, in one transaction. Imports the tables' kinds of values.

A database writes one transaction after the other, and what a commit costs hardly depends on how many rows are in it.
So threads that wait for their turn leave their rows to the one whose turn it is.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from uws_server.storage.tables import microseconds_of

_MOST = 100
"""Rows of one transaction."""


class _Row:
    """A row that is to be added; once it is done it is committed, or there is an error."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values, self.done = values, False
        self.error: Exception | None = None
        self._sleep = threading.Lock()
        self._sleep.acquire()

    def wait(self) -> None:
        """Wait until another thread calls `wake`."""
        self._sleep.acquire()

    def wake(self) -> None:
        """Let the thread of the row go on."""
        self._sleep.release()


class GroupedInsert:
    """Adds rows with some columns to a table; each is committed when `add` returns, and fails alone."""

    def __init__(self, engine: sa.Engine, table: sa.Table, columns: Sequence[str]) -> None:
        compiled = table.insert().inline().compile(dialect=engine.dialect, column_keys=list(columns))
        self._text = str(compiled)
        self._names = compiled.positiontup if compiled.positional else None
        self._engine = engine
        assert engine.dialect.dbapi is not None
        # what is no fault of a row: it would hit each of them
        self._of_database = (engine.dialect.dbapi.OperationalError, sa.exc.OperationalError)
        self._lock = threading.Lock()
        self._waiting: deque[_Row] = deque()
        self._busy = False

    def add(self, values: Mapping[str, Any]) -> None:
        """Add a row and commit it."""
        mine = _Row(values)
        with self._lock:
            self._waiting.append(mine)
            has_turn, self._busy = not self._busy, True
        if not has_turn:
            mine.wait()  # until it is done, or first of those that wait
        if not mine.done:
            self._take_turn(mine)
        if mine.error is not None:
            raise mine.error

    def _take_turn(self, mine: _Row) -> None:
        """Add the rows that wait, of which `mine` is the first; then have the turn of the next one come."""
        with self._lock:
            rows = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST))]
        self._insert(rows)
        with self._lock:
            following = self._waiting[0] if self._waiting else None
            self._busy = following is not None
        if following is not None:
            following.wake()
        for row in rows:
            if row is not mine:
                row.wake()

    def _insert(self, rows: Sequence[_Row]) -> None:
        """Add some rows in one transaction, or each in its own if one of them is not possible."""
        error: Exception | None = None
        try:
            self._commit([self._bound(row.values) for row in rows])
        except Exception as failure:  # noqa: BLE001 - raised by the thread whose row it is
            if len(rows) > 1 and not isinstance(failure, self._of_database):
                for row in rows:
                    self._insert([row])
                return
            error = failure
        for row in rows:
            row.done, row.error = True, error

    def _commit(self, rows: Sequence[Any]) -> None:
        """Add some rows by the driver itself: SQLAlchemy takes as long as SQLite does."""
        lent = self._engine.raw_connection()
        try:
            with contextlib.closing(lent.cursor()) as cursor:
                if len(rows) > 1:
                    cursor.executemany(self._text, rows)
                else:
                    cursor.execute(self._text, rows[0])
            lent.commit()
        finally:
            lent.close()  # rolls back what was not committed

    def _bound(self, values: Mapping[str, Any]) -> Any:
        """Return the values of a row as the driver takes them."""
        plain = {
            name: microseconds_of(value) if isinstance(value, datetime) else value for name, value in values.items()
        }
        return plain if self._names is None else tuple(plain[name] for name in self._names)
