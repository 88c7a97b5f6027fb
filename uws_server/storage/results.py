"""The results of one job: all, some of them in their order, or the one of a name. Imports the tables.

A job may have thousands of results: who needs a few of them asks for these.
"""

from __future__ import annotations

import sqlalchemy as sa

from uws_server.jobs.job import Job, Result
from uws_server.jobs.phases import ENDED, Phase
from uws_server.storage.database import Look, Reader
from uws_server.storage.rows import read_result
from uws_server.storage.tables import results

_OF_JOB = results.select().where(results.c.job_id == sa.bindparam("job")).order_by(results.c.position)
_PAGE = _OF_JOB.limit(sa.bindparam("most", type_=sa.Integer)).offset(sa.bindparam("first", type_=sa.Integer))
_COUNT = sa.select(sa.func.count()).select_from(results).where(results.c.job_id == sa.bindparam("job"))
_NAMED = results.select().where(results.c.job_id == sa.bindparam("job"), results.c.name == sa.bindparam("name"))
_FILE = _OF_JOB.where(
    sa.or_(
        results.c.file == sa.bindparam("name"),
        sa.func.substr(results.c.file, sa.func.length(results.c.file) - sa.func.length(sa.bindparam("name")))
        == sa.literal_column("'/'").concat(sa.bindparam("name")),
    )
).limit(sa.literal_column("1"))


class ResultReader:
    """Reads results of jobs; a job that has not ended, or whose files were deleted, has none."""

    def __init__(self, reader: Reader) -> None:
        self._all, self._page, self._count = Look(reader, _OF_JOB), Look(reader, _PAGE), Look(reader, _COUNT)
        self._named, self._file = Look(reader, _NAMED), Look(reader, _FILE)

    def all(self, job: Job) -> tuple[Result, ...]:
        """Return all results of a job."""
        return tuple(map(read_result, self._all.rows(job=job.id))) if _has_results(job) else ()

    def page(self, job: Job, first: int, most: int) -> tuple[Result, ...]:
        """Return at most so many results of a job, from the one of number `first` (from 0) on."""
        return tuple(map(read_result, self._page.rows(job=job.id, first=first, most=most))) if _has_results(job) else ()

    def count(self, job: Job) -> int:
        """Return how many results a job has."""
        return int(self._count.rows(job=job.id)[0][0]) if _has_results(job) else 0

    def named(self, job: Job, name: str) -> Result | None:
        """Return the result of that name, or the first whose file has that name; None if there is none."""
        if not _has_results(job) or "\0" in name:
            return None
        rows = self._named.rows(job=job.id, name=name)
        return read_result(rows[0]) if rows else self.of_file(job, name)

    def of_file(self, job: Job, name: str) -> Result | None:
        """Return the first result whose file has that name or path; None if there is none."""
        if not _has_results(job) or "\0" in name:
            return None
        rows = self._file.rows(job=job.id, name=name)
        return read_result(rows[0]) if rows else None


def _has_results(job: Job) -> bool:
    return job.phase in ENDED and job.phase is not Phase.ARCHIVED
