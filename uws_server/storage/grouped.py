"""Rows that many threads add at the same moment, in one transaction. Imports the database.

SQLite writes one transaction after the other, and what a commit costs hardly depends on how many rows are in it.
So threads that find nobody's turn free leave their rows to the one whose turn it is, and need not wait for it.
PostgreSQL brings the transactions that end at the same moment to the disk together: there several threads have turns at
a time.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from queue import SimpleQueue
from typing import Any

import sqlalchemy as sa

from uws_server.storage.database import Statement, Writer

_MOST = 100
"""Rows of one transaction."""
_TURNS = {"sqlite": 1, "postgresql": 2}
"""Transactions at a time."""


class Adding:
    """A row that is being added: committed once it is `done` without an `error`."""

    def __init__(self, values: Mapping[str, Any], notice: Mapping[str, Any] | None) -> None:
        self.values, self.notice, self.done = values, notice, False
        self.error: Exception | None = None
        self._call: Callable[[], object] | None = None
        self._once = threading.Lock()

    def then(self, call: Callable[[], object]) -> None:
        """Have `call` called once the row is done: at once, or by the thread that adds it. It must not wait."""
        self._call = call
        if self.done:
            self._tell()

    def wait(self) -> None:
        """Return once the row is committed. Raise what the database says of one that is not possible."""
        if not self.done:
            sleep = threading.Lock()
            sleep.acquire()
            self.then(sleep.release)
            sleep.acquire()
        if self.error is not None:
            raise self.error

    def settle(self, error: Exception | None) -> None:
        """Tell whoever waits for the row that it is committed, or why it is not."""
        self.error, self.done = error, True
        if self._call is not None:
            self._tell()

    def _tell(self) -> None:
        """Make the call, if the other thread that found both row and call there has not made it."""
        if self._call is not None and self._once.acquire(blocking=False):
            self._call()


class GroupedInsert:
    """Adds rows with some columns to a table; each is committed when it is done, and fails alone.

    `notice` is the statement that announces a row to others, in the same transaction.
    """

    def __init__(self, engine: sa.Engine, table: sa.Table, columns: Sequence[str], notice: sa.TextClause) -> None:
        self._insertion = Statement(engine.dialect, table.insert().inline(), columns)
        self._notice = Statement(engine.dialect, notice)
        self._writer = Writer(engine)
        assert engine.dialect.dbapi is not None
        # what is no fault of a row: it would hit each of them
        self._of_database = (engine.dialect.dbapi.OperationalError, sa.exc.OperationalError)
        self._lock = threading.Lock()
        self._waiting: deque[Adding] = deque()
        self._turns = self._most_heirs = _TURNS[engine.dialect.name]
        """The turns that no thread has."""
        self._left: SimpleQueue[bool] = SimpleQueue()
        """For each turn that a thread left while rows waited, True; False has a thread of `_heirs` end."""
        self._heirs: list[threading.Thread] = []
        """Threads that take the turns which others leave, as many as there ever were at a time."""

    def add(self, values: Mapping[str, Any], notice: Mapping[str, Any] | None = None) -> None:
        """Add a row and commit it; `notice` are the values of its notice, None for a row without one."""
        adding = Adding(values, notice)
        if self._takes_turn(adding) and self._add_waiting():
            self._leave_turn()
        adding.wait()

    def begin(self, values: Mapping[str, Any]) -> Adding:
        """Have another thread add a row, and return what tells when it is committed.

        Others that come meanwhile are added with it: more of them than if each thread added its own where it can.
        """
        adding = Adding(values, None)
        if self._takes_turn(adding):
            self._leave_turn()
        return adding

    def close(self) -> None:
        """End the threads, and close the connections of those that have no turn."""
        for _ in self._heirs:
            self._left.put(False)
        for thread in self._heirs:
            thread.join()
        self._writer.close()

    def _takes_turn(self, adding: Adding) -> bool:
        """Have a row wait, and take a turn. Return False if none is free: who has one adds what waits."""
        with self._lock:
            self._waiting.append(adding)
            has_turn = self._turns > 0
            self._turns -= has_turn
            return has_turn

    def _add_waiting(self) -> bool:
        """Add the rows that wait. Return whether others wait then; if none does the turn is given back."""
        with self._lock:
            rows = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST))]
        errors = self._insert(rows) if rows else ()
        with self._lock:
            others = bool(self._waiting)
            self._turns += not others
        for row, error in zip(rows, errors, strict=True):
            row.settle(error)
        return others

    def _leave_turn(self) -> None:
        """Leave a turn to a thread that has nothing else to do, for this one has a client to answer."""
        with self._lock:
            if not self._heirs or (self._left.qsize() and len(self._heirs) < self._most_heirs):
                self._heirs.append(threading.Thread(target=self._take_turns, name="insert", daemon=True))
                self._heirs[-1].start()
        self._left.put(True)

    def _take_turns(self) -> None:
        while self._left.get():
            while self._add_waiting():
                pass

    def _insert(self, rows: Sequence[Adding]) -> Sequence[Exception | None]:
        """Add some rows in one transaction, or each in its own if one of them is not possible; return what each met."""
        try:
            self._commit([row.values for row in rows], [row.notice for row in rows if row.notice is not None])
        except Exception as failure:  # noqa: BLE001 - raised where the row is waited for
            if len(rows) > 1 and not isinstance(failure, self._of_database):
                return [self._insert([row])[0] for row in rows]
            return [failure] * len(rows)
        return [None] * len(rows)

    def _commit(self, rows: Sequence[Mapping[str, Any]], notices: Sequence[Mapping[str, Any]]) -> None:
        """Add some rows, and announce those that are to be announced."""
        with self._writer.cursor(len(rows) + len(notices)) as cursor:
            self._insertion.execute(cursor, rows)
            if notices:
                self._notice.execute(cursor, notices)
