"""Jobs as the event loop looks them up: by one indexed read that waits for nothing. Imports the store and its tables.

SQLite answers that in microseconds, without a thread and without a lock that a writer could hold. PostgreSQL is on the
other side of a network: what it has to say is waited for in a thread.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from uws_server.errors import NotAtHand
from uws_server.jobs.job import Job
from uws_server.storage.database import Reader
from uws_server.storage.jobstore import JobStore, not_found
from uws_server.storage.rows import read_job
from uws_server.storage.tables import jobs

_MOST_KEPT = 1000
_MOST_ROWS = 100
"""Rows of an answer, such as the results of a job; those of a job with more are not read in the event loop."""
_MOST_TEXT = 1 << 16
"""Characters of the parameters, or of the error, of a job that is kept."""
_PARAMETERS, _ERROR = (list(jobs.c.keys()).index(name) for name in ("parameters", "error"))


class _ReaderAtOnce(Reader):
    """A connection to SQLite for one thread. Whatever would have to be waited for raises NotAtHand."""

    def __init__(self, engine: sa.Engine) -> None:
        super().__init__(engine)
        self._lent = engine.raw_connection()
        connection: Any = self._lent.driver_connection
        connection.execute("PRAGMA busy_timeout=0")
        self._connection = connection

    def rows(self, text: str, values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query as the database has them."""
        try:
            # closed: a cursor with rows left would keep the database from tidying its log
            with closing(self._connection.execute(text, values)) as cursor:
                rows: list[tuple[Any, ...]] = cursor.fetchmany(_MOST_ROWS + 1)
        except sqlite3.Error as error:
            raise NotAtHand(str(error)) from error
        if len(rows) > _MOST_ROWS:
            raise NotAtHand("the answer has many rows")
        return rows

    def close(self) -> None:
        """Close the connection."""
        self._lent.invalidate()


@dataclass(frozen=True, slots=True)
class _Kept:
    """A row of the table of jobs, and the job that it stands for; None if that is too large to be kept."""

    row: tuple[Any, ...]
    job: Job | None


class QuickStore(JobStore):
    """The jobs of another store in SQLite; `bare`, for one thread, takes a job from memory while its row is the same.

    The results of a job are written in the transaction that ends it, and go with its row.
    """

    def __init__(self, store: JobStore) -> None:
        vars(self).update(vars(store))  # all but looking a job up is as it was
        self._read_by(_ReaderAtOnce(store.engine))
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    @staticmethod
    def serves(store: JobStore) -> bool:
        """Check whether the jobs of a store can be looked up so."""
        return store.engine.dialect.name == "sqlite"

    def close(self) -> None:
        """Close the connection; the other store keeps its own."""
        self.reader.close()

    def bare(self, job_id: str) -> Job:
        """Return the job with that id. Raise NotFound if there is none, NotAtHand if it cannot be had at once."""
        row = next(iter(self._job.rows(wanted=job_id)), None)
        if row is None:
            raise not_found("job", job_id)
        kept = self._kept.get(job_id)
        if kept is None or kept.row != row:
            kept = self._kept[job_id] = _Kept(row, _read(row))
            if len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(job_id)
        if kept.job is None:
            raise NotAtHand(f"job {job_id!r} is large")
        return kept.job


def _read(row: tuple[Any, ...]) -> Job | None:
    return None if len(row[_PARAMETERS]) > _MOST_TEXT or len(row[_ERROR] or "") > _MOST_TEXT else read_job(row)
