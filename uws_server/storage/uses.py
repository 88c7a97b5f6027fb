"""Which job used what another one made, which runs another one again, which waits for which. Imports the tables.

This is the table `uses` beside `results`, and two columns of `jobs`. A row of `uses` is written when a job ends, in the
transaction that ends it. A file that is a result of ours is found by its hash.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from uws_server.jobs.job import Job, Result
from uws_server.jobs.phases import ENDED, Phase
from uws_server.storage.database import reading
from uws_server.storage.rows import read_job, read_result
from uws_server.storage.tables import UTCTime, jobs, results, uses

MOST: Final = 10_000
"""Jobs that are followed from a job."""
_MOST_NEAR = 100
"""Jobs that wait for a job, and results with a hash, that are returned."""
_AT_ONCE = 500
_JOBS = sa.select(*(
    sa.type_coerce(column, sa.BigInteger).label(column.name) if isinstance(column.type, UTCTime) else column
    for column in jobs.c
))  # fmt: skip
"""The rows of `jobs` as the database has them."""
_BEFORE = jobs.alias("before")
# built once, because each end of a job asks: to build such a statement takes longer than to execute it
_WAITING = (
    sa.select(jobs.c.id, jobs.c.after, _BEFORE.c.phase)
    .select_from(jobs.outerjoin(_BEFORE, _BEFORE.c.id == jobs.c.after))
    .where(
        jobs.c.after.is_not(None),
        jobs.c.phase == Phase.PENDING.value,
        sa.or_(_BEFORE.c.phase.is_(None), _BEFORE.c.phase.in_([phase.value for phase in ENDED])),
    )
)
_WAITING_FOR = _WAITING.where(jobs.c.after == sa.bindparam("awaited"))
_STORED = re.compile(r"/store/([0-9a-f]{32})(?:/|$)")


@dataclass(frozen=True)
class Use:
    """A file that a job used: its parameter, the text that named it, the SHA-256 of its content ('' if not known).

    `result_id` is the result of ours that it was, or None. `is_checked` says that this server took the hash from the
    file: one that a script only states makes the file no result of ours.
    """

    name: str
    text: str
    sha256: str
    result_id: str | None = None
    is_checked: bool = True


class Kept(NamedTuple):
    """A job, what it made (also what is deleted by now), what it used, and how many results are left out here."""

    job: Job
    results: tuple[Result, ...]
    used: tuple[Use, ...]
    left_out: int = 0


class Waiting(NamedTuple):
    """A PENDING job, the id of the job it waited for, and the phase in which that ended; None if it was deleted."""

    job_id: str
    after: str
    phase: Phase | None


def record(connection: sa.Connection, job_id: str, used: Sequence[Use]) -> None:
    """Store what a job used, each file with the result of ours that it was, if it was one."""
    if not used:
        return
    hashes = {use.sha256 for use in used if use.sha256 and use.is_checked}
    named = {match[1] for use in used if (match := _STORED.search(use.text))}
    query = sa.select(results.c.id, results.c.sha256).join(jobs).order_by(jobs.c.ended)
    query = query.where(sa.or_(results.c.sha256.in_(hashes), results.c.id.in_(named)), results.c.job_id != job_id)
    newest: dict[str, str] = {}
    for result_id, digest in connection.execute(query):
        newest[digest] = newest[result_id] = result_id
    rows = []
    for position, use in enumerate(used):
        match = _STORED.search(use.text)
        known = newest.get(match[1] if match else "") or newest.get(use.sha256 if use.is_checked else "")
        rows.append({"job_id": job_id, "position": position, "name": use.name[:64], "text": use.text,
                     "sha256": use.sha256, "result_id": known})  # fmt: skip
    connection.execute(uses.delete().where(uses.c.job_id == job_id))
    connection.execute(uses.insert(), rows)


class UseStore:
    """Which files jobs used, which jobs they run again and wait for, in the database of the jobs."""

    def __init__(self, engine: sa.Engine) -> None:
        self._reading = reading(engine)

    def upstream(self, job_ids: Collection[str]) -> Sequence[str]:
        """Return the ids of some jobs and of all that made, at any depth, what they used; at most MOST."""
        return self._walk(job_ids, lambda near: _made_for().where(uses.c.job_id == near))

    def downstream(self, job_ids: Collection[str]) -> Sequence[str]:
        """Return the ids of some jobs and of all that used, at any depth, what they made; at most MOST."""
        return self._walk(job_ids, lambda near: _used_by().where(results.c.job_id == near))

    def kept(self, job_ids: Iterable[str], most: int | None = None) -> list[Kept]:
        """Return the jobs of some ids, with all they made and used; ids of no job are passed over.

        With `most`, only the first so many results of each, and those that other jobs used.
        """
        wanted = list(job_ids)
        found: list[Kept] = []
        with self._reading.connect() as connection:
            for at in range(0, len(wanted), _AT_ONCE):
                found += _kept(connection, wanted[at : at + _AT_ONCE], most)
        return found

    def parents(self, job_ids: Sequence[str]) -> list[str]:
        """Return the ids of the jobs that some jobs run again."""
        return self._in_parts(job_ids, lambda ids: sa.select(jobs.c.parent).where(
            jobs.c.id.in_(ids), jobs.c.parent.is_not(None)))  # fmt: skip

    def children(self, job_ids: Sequence[str]) -> list[str]:
        """Return the ids of the jobs that run some jobs again, those of one job newest first."""
        newest = jobs.c.created.desc()
        return self._in_parts(job_ids, lambda ids: sa.select(jobs.c.id).where(jobs.c.parent.in_(ids)).order_by(newest))

    def _in_parts(self, ids: Sequence[str], query: Callable[[Sequence[str]], sa.Select[Any]]) -> list[str]:
        found: list[str] = []
        with self._reading.connect() as connection:
            for at in range(0, len(ids), _AT_ONCE):
                found += connection.execute(query(ids[at : at + _AT_ONCE])).scalars().all()
        return found

    def maker(self, result_id: str) -> str | None:
        """Return the id of the job that made a result, which may be deleted by now. Return None if there is none."""
        with self._reading.connect() as connection:
            return connection.execute(sa.select(results.c.job_id).where(results.c.id == result_id)).scalar()

    def makers_of(self, result_ids: Collection[str]) -> dict[str, Job]:
        """Return the jobs, without their results, that made some results, by the ids of the results."""
        ids, made, found = list(result_ids), dict[str, str](), dict[str, Job]()
        with self._reading.connect() as connection:
            for at in range(0, len(ids), _AT_ONCE):
                query = sa.select(results.c.id, results.c.job_id).where(results.c.id.in_(ids[at : at + _AT_ONCE]))
                made |= {row[0]: row[1] for row in connection.execute(query)}
            makers = list(set(made.values()))
            for at in range(0, len(makers), _AT_ONCE):
                rows = connection.execute(_JOBS.where(jobs.c.id.in_(makers[at : at + _AT_ONCE])))
                found |= {job.id: job for job in map(read_job, rows)}
        return {result_id: found[job_id] for result_id, job_id in made.items() if job_id in found}

    def makers(self, digest: str) -> Sequence[str]:
        """Return the ids of the jobs that used or made a file with that hash."""
        query = sa.union(
            sa.select(results.c.job_id).where(results.c.sha256 == digest),
            sa.select(uses.c.job_id).where(uses.c.sha256 == digest),
        )
        with self._reading.connect() as connection:
            return connection.execute(query.limit(MOST)).scalars().all()

    def made_here(self, hashes: Collection[str]) -> set[str]:
        """Return those of some hashes that are of results of this server."""
        query = sa.select(results.c.sha256).where(results.c.sha256.in_(hashes)).distinct()
        with self._reading.connect() as connection:
            return set(connection.execute(query).scalars()) if hashes else set()

    def results_with(self, digest: str) -> list[tuple[str, str]]:
        """Return job id and place (below the job's folder) of some results whose content has that hash."""
        query = sa.select(results.c.job_id, results.c.file).where(results.c.sha256 == digest).limit(_MOST_NEAR)
        with self._reading.connect() as connection:
            return [(job_id, file) for job_id, file in connection.execute(query)]

    def waiting(self, after: str | None = None) -> list[Waiting]:
        """Return the PENDING jobs that follow a job which has ended or was deleted.

        With `after`, only those that follow that job.
        """
        query, values = (_WAITING, {}) if after is None else (_WAITING_FOR, {"awaited": after})
        with self._reading.connect() as connection:
            rows = connection.execute(query, values).all()
        return [Waiting(job_id, awaited, None if phase is None else Phase(phase)) for job_id, awaited, phase in rows]

    def held_back(self, job_ids: Sequence[str]) -> dict[str, str]:
        """Return those PENDING jobs of some ids that follow a job which has not ended, with the id of that job."""
        before = jobs.alias("before")
        query = sa.select(jobs.c.id, before.c.id).select_from(jobs.join(before, before.c.id == jobs.c.after))
        unfinished = before.c.phase.not_in([phase.value for phase in ENDED])
        query = query.where(jobs.c.id.in_(job_ids), jobs.c.phase == Phase.PENDING.value, unfinished)
        with self._reading.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def followers(self, job_id: str) -> Sequence[str]:
        """Return the ids of some jobs that wait, or waited, for a job, the oldest first."""
        query = sa.select(jobs.c.id).where(jobs.c.after == job_id).order_by(jobs.c.created).limit(_MOST_NEAR)
        with self._reading.connect() as connection:
            return connection.execute(query).scalars().all()

    def is_referred_to(self, job_id: str) -> bool:
        """Check whether another job used what this one made, or runs it again."""
        made = sa.select(results.c.id).where(results.c.job_id == job_id)
        used = sa.exists().where(uses.c.result_id.in_(made), uses.c.job_id != job_id)
        again = sa.exists().where(jobs.c.parent == job_id)
        with self._reading.connect() as connection:
            return bool(connection.execute(sa.select(sa.or_(used, again))).scalar())

    def forgotten_before(self, job_id: str) -> Sequence[str]:
        """Return the ids of the deleted jobs whose records are perhaps kept only because of this one."""
        made = sa.select(results.c.job_id).join(uses, uses.c.result_id == results.c.id).where(uses.c.job_id == job_id)
        parent = sa.select(jobs.c.parent).where(jobs.c.id == job_id)
        query = sa.select(jobs.c.id).where(jobs.c.forgotten, sa.or_(jobs.c.id.in_(made), jobs.c.id.in_(parent)))
        with self._reading.connect() as connection:
            return connection.execute(query.where(jobs.c.id != job_id)).scalars().all()

    def _walk(self, job_ids: Collection[str], near: Callable[[sa.ColumnElement[str]], sa.Select[Any]]) -> Sequence[str]:
        """Return the ids of jobs reached from some, the nearest first, by a recursive query; it ends in a cycle too."""
        first = sa.select(jobs.c.id.label("job_id")).where(jobs.c.id.in_(list(job_ids)[:_AT_ONCE]))
        reached = first.cte("reached", recursive=True)
        reached = reached.union(near(reached.c.job_id))
        with self._reading.connect() as connection:
            return connection.execute(sa.select(reached.c.job_id).limit(MOST)).scalars().all()


def _made_for() -> sa.Select[Any]:
    return sa.select(results.c.job_id).join(uses, uses.c.result_id == results.c.id)


def _used_by() -> sa.Select[Any]:
    return sa.select(uses.c.job_id).join(results, uses.c.result_id == results.c.id)


def _kept(connection: sa.Connection, ids: list[str], most: int | None) -> list[Kept]:
    made: dict[str, list[Result]] = {}
    counts: dict[str, int] = {}
    query = results.select().where(results.c.job_id.in_(ids)).order_by(results.c.position)
    if most is not None:
        is_used = sa.exists().where(uses.c.result_id == results.c.id)
        query = query.where(sa.or_(results.c.position < most, is_used))
        count = sa.select(results.c.job_id, sa.func.count()).where(results.c.job_id.in_(ids))
        counts = {row[0]: row[1] for row in connection.execute(count.group_by(results.c.job_id))}
    for row in connection.execute(query):
        made.setdefault(row.job_id, []).append(read_result(row))
    used: dict[str, list[Use]] = {}
    for row in connection.execute(uses.select().where(uses.c.job_id.in_(ids)).order_by(uses.c.position)):
        used.setdefault(row.job_id, []).append(Use(row.name, row.text, row.sha256, row.result_id))
    found = []
    for job in map(read_job, connection.execute(_JOBS.where(jobs.c.id.in_(ids)))):
        mine = tuple(made.get(job.id, ()))
        found.append(Kept(job, mine, tuple(used.get(job.id, ())), max(0, counts.get(job.id, 0) - len(mine))))
    return found
