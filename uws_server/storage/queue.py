"""The queue in the database: who waits, what runs, and the taking of jobs, one server at a time. Imports the tables.

Of an owner who has ten thousand jobs in the queue no more are read than are started: the index `jobs_queue` has the
jobs of each owner and definition in their order, and the query of the heads skips from one owner to the next.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Unpack

import sqlalchemy as sa

from uws_server.jobs.phases import Phase
from uws_server.storage.database import Look, Reader, reading
from uws_server.storage.locks import QUEUE, alone, of_owner
from uws_server.storage.on_cluster import OnCluster
from uws_server.storage.queued_jobs import Candidate, Load, Moved, QueueState, Started, Waiting
from uws_server.storage.rows import PhaseColumns
from uws_server.storage.shares import Demand, ShareStore
from uws_server.storage.tables import BUSY, ON_CLUSTER, QUEUED, TAKEN, UTCTime, accounts, drain, jobs, servers, turns
from uws_server.storage.transitions import Guard, change_phase, execute, phase_change, standing_still

_PAGE = 8
"""Jobs of one owner and definition that are read at once after the first."""


Choose = Callable[[Sequence[Iterator[Candidate]], Sequence[Load]], Sequence[Candidate]]
"""Chooses from the jobs that wait, those of an owner and definition in their order, beside those that run."""

# the first in the order of the index is one step in it; a row of NULL ends each recursion
_HEADS = sa.text(
    """
    WITH RECURSIVE waiting_owner(owner) AS (
        SELECT (SELECT owner FROM jobs WHERE phase = 'QUEUED' AND server IS NULL AND owner >= '' ORDER BY owner LIMIT 1)
        UNION ALL
        SELECT (SELECT owner FROM jobs WHERE phase = 'QUEUED' AND server IS NULL AND owner > before.owner
                ORDER BY owner LIMIT 1)
        FROM waiting_owner AS before WHERE before.owner IS NOT NULL
    ), waiting_pair(owner, definition) AS (
        SELECT owner, (SELECT definition FROM jobs
                       WHERE phase = 'QUEUED' AND server IS NULL AND owner = waiting_owner.owner
                       ORDER BY definition LIMIT 1)
        FROM waiting_owner WHERE owner IS NOT NULL
        UNION ALL
        SELECT owner, (SELECT definition FROM jobs
                       WHERE phase = 'QUEUED' AND server IS NULL AND owner = before.owner
                           AND definition > before.definition
                       ORDER BY definition LIMIT 1)
        FROM waiting_pair AS before WHERE before.definition IS NOT NULL
    ), head(id) AS (
        SELECT (SELECT id FROM jobs WHERE phase = 'QUEUED' AND server IS NULL AND owner = waiting_pair.owner
                AND definition = waiting_pair.definition AND short = lane.short
                ORDER BY queued, id LIMIT 1)
        FROM waiting_pair CROSS JOIN (SELECT FALSE AS short UNION ALL SELECT TRUE) AS lane
        WHERE waiting_pair.definition IS NOT NULL
    )
    SELECT id FROM head WHERE id IS NOT NULL
    """
)
_NEXT = sa.text(
    """
    SELECT id, queued, cores, needed_memory, wanted FROM jobs
    WHERE phase = 'QUEUED' AND server IS NULL AND owner = :owner AND definition = :definition AND short = :short
        AND (queued, id) > (:queued, :id)
    ORDER BY queued, id LIMIT :page
    """
).bindparams(sa.bindparam("short", type_=sa.Boolean))


def _of_owners(*columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """Return the query of columns of jobs, and of two of their owners: how many may run, when one was served last."""
    most = sa.case((accounts.c.is_admin, 0), else_=accounts.c.max_running)
    served = sa.func.coalesce(sa.type_coerce(turns.c.served, sa.BigInteger), 0)
    joined = jobs.outerjoin(accounts, accounts.c.name == jobs.c.owner).outerjoin(turns, turns.c.owner == jobs.c.owner)
    return sa.select(*columns, most, served).select_from(joined)


def _candidates(since: sa.ColumnElement[int]) -> sa.Select[Any]:
    """Return the query of candidates, the columns in their order, and of the parts that may run and that could."""
    who, needs = (jobs.c.id, jobs.c.owner, jobs.c.definition), (jobs.c.short, jobs.c.cores, jobs.c.needed_memory)
    return _of_owners(*who, since, *needs).add_columns(jobs.c.width, jobs.c.wanted)


_OF_QUEUED = _candidates(sa.func.coalesce(sa.type_coerce(jobs.c.queued, sa.BigInteger), 0))
_OF_HEADS = _OF_QUEUED.where(jobs.c.id.in_(sa.bindparam("heads", expanding=True)))
_DRAINED = sa.select(drain.c.id)
_TURN = {"served": sa.bindparam("now", type_=UTCTime)}
_NEXT_TURN = turns.update().where(turns.c.owner == sa.bindparam("who")).values(_TURN)
_FIRST_TURN = turns.insert().values(owner=sa.bindparam("who"), **_TURN)


def _as_resuming(one: Candidate) -> Candidate:
    """The job as one that goes on, with all of its parts that stand still."""
    return one._replace(resumes=True, cores=one.cores * one.width, memory=one.memory * one.width)


def _loads_of(rows: Iterable[tuple[Any, ...]]) -> list[Load]:
    """Return the loads of what servers have taken, from the rows of the jobs."""
    # grouped here: told to group them, SQLite walks over all jobs by an index that has them by owner
    return [
        Load(owner, name, bool(mine), bool(here), bool(stands), bool(short), parts, cores * parts, memory * parts)
        for (owner, name, mine, here, stands, short, cores, memory, width), number in Counter(rows).items()
        for parts in (number * width,)
    ]


class QueueStore:
    """The queue of all servers on a database, as the process `server` on the machine `host` sees it."""

    def __init__(self, engine: sa.Engine, server: str, host: str, reader: Reader) -> None:
        self._engine, self._server, self._reading = engine, server, reading(engine)
        resumes = sa.and_(
            jobs.c.phase == Phase.SUSPENDED.value, jobs.c.resume_asked.is_not(None), jobs.c.server == server
        )
        self.shares = ShareStore(engine, server)
        # the least owner is a step in the index of the queue, whatever the planner believes of the jobs
        anybody = sa.select(sa.func.min(jobs.c.owner)).where(QUEUED).scalar_subquery()
        waits = sa.and_(anybody.is_not(None), ~sa.exists(sa.select(drain.c.id)))
        is_shared = sa.exists().where(TAKEN, self.shares.is_ours)
        may_take = sa.or_(waits, sa.exists().where(TAKEN, resumes))
        self._demand = Look(reader, sa.select(may_take).add_columns(is_shared))
        since = sa.type_coerce(jobs.c.resume_asked, sa.BigInteger)
        self._resuming = _candidates(since).where(TAKEN, resumes).order_by(since, jobs.c.id)
        self._sharing = _OF_QUEUED.where(TAKEN, self.shares.is_ours)
        kind = (
            jobs.c.owner,
            jobs.c.definition,
            (sa.func.coalesce(jobs.c.server, "") == server).label("mine"),
            (sa.func.coalesce(servers.c.host, "") == host).label("here"),
            (jobs.c.phase == Phase.SUSPENDED.value).label("stands"),
            jobs.c.short,
        )
        loads = sa.select(*kind, jobs.c.cores, jobs.c.needed_memory, jobs.c.width)
        loads = loads.select_from(jobs.outerjoin(servers, servers.c.id == jobs.c.server))
        self._loads = [loads.where(taken) for taken in (TAKEN, ON_CLUSTER)]
        self._loads_now = [Look(reader, kind) for kind in self._loads]

    # --- taking ----------------------------------------------------------------------------------------

    def has_waiting(self) -> bool:
        """Check whether a job waits that this process may start or let go on; not while the queue is drained."""
        return self.demand().waits

    def demand(self) -> Demand:
        """Return what there is to do for this process: jobs that wait, jobs of several parts that it runs."""
        return Demand(*map(bool, self._demand.rows()[0]))

    def loads(self) -> list[Load]:
        """Return what servers have taken, as it is now."""
        return _loads_of(row for look in self._loads_now for row in look.rows())

    def take(self, choose: Choose, now: datetime) -> list[Candidate]:
        """Take the jobs that `choose` returns for this process; they are EXECUTING then.

        No other server takes any meanwhile, so that what was chosen beside what runs stays right. While the queue is
        drained only those are offered that resume, or have parts and run. One that grows is returned for each place.
        """
        with alone(self._engine, QUEUE) as connection:
            loads = _loads_of(tuple(row) for kind in self._loads for row in connection.execute(kind))
            queues = self._resuming_by(connection)
            queues += [iter((Candidate(*row)._replace(grows=True),)) for row in connection.execute(self._sharing)]
            if connection.execute(_DRAINED).first() is None:
                queues += [self._queue(connection, head) for head in self._heads(connection)]
            chosen = choose(queues, loads)
            begun = [one for one in chosen if not one.grows and self._start(connection, one, now)]
            more = Counter(one.id for one in chosen if one.grows)
            grown = {job_id for job_id, places in more.items() if self.shares.grow(connection, job_id, places)}
            taken = [*begun, *(one for one in chosen if one.grows and one.id in grown)]
            for number, owner in enumerate(dict.fromkeys(one.owner for one in reversed(taken))):
                self._note_turn(connection, owner, now - timedelta(microseconds=number))
            return taken

    def _resuming_by(self, connection: sa.Connection) -> list[Iterator[Candidate]]:
        by_owner = defaultdict[str, list[Candidate]](list)
        for row in connection.execute(self._resuming):
            found = _as_resuming(Candidate(*row))
            by_owner[found.owner].append(found)
        return [iter(of_owner) for of_owner in by_owner.values()]

    def _heads(self, connection: sa.Connection) -> list[Candidate]:
        """Return the first job of each queue; looked up by their ids, which no plan finds by a walk over all jobs."""
        ids = connection.execute(_HEADS).scalars().all()
        if not ids:
            return []
        return [Candidate(*row)._replace(width=0) for row in connection.execute(_OF_HEADS, {"heads": ids})]

    def _queue(self, connection: sa.Connection, head: Candidate) -> Iterator[Candidate]:
        """Yield the jobs of one owner, definition and kind of place, from their head on."""
        found = [head]
        while found:
            yield from found
            last = found[-1]
            after = {"owner": last.owner, "definition": last.definition, "short": last.short, "page": _PAGE}
            rows = connection.execute(_NEXT, after | {"queued": last.since, "id": last.id})
            found = [
                last._replace(id=job_id, since=since, cores=cores, memory=memory, wanted=wanted)
                for job_id, since, cores, memory, wanted in rows
            ]

    def _start(self, connection: sa.Connection, one: Candidate, now: datetime) -> bool:
        """Have a job executed; return False if it was held, aborted or deleted meanwhile."""
        if one.elsewhere and not one.resumes:
            return OnCluster(self._engine, self._server).take(connection, one.id)
        if not one.resumes:
            columns = {"started": now, "server": self._server, "width": 1}
            return change_phase(
                connection, self._server, one.id, [Phase.QUEUED], Phase.EXECUTING, Guard.IN_QUEUE, columns
            )
        statement = phase_change(one.id, [Phase.SUSPENDED], Phase.EXECUTING)
        statement = statement.where(jobs.c.resume_asked.is_not(None), jobs.c.server == self._server)
        statement = statement.values(standing_still(Phase.EXECUTING))
        return execute(connection, statement, self._server, one.id, Phase.EXECUTING)

    def _note_turn(self, connection: sa.Connection, owner: str, now: datetime) -> None:
        """Note when a job of an owner was started last."""
        turn = {"who": owner, "now": now}
        if not connection.execute(_NEXT_TURN, turn).rowcount:
            connection.execute(_FIRST_TURN, turn)

    # --- looking ---------------------------------------------------------------------------------------

    def state(self, most: int) -> QueueState:
        """Return the whole queue as it is now, at most so many jobs of it."""
        queued = sa.type_coerce(jobs.c.queued, sa.BigInteger)
        waits = sa.or_(jobs.c.resume_asked.is_not(None), QUEUED)
        since = sa.func.coalesce(sa.type_coerce(jobs.c.resume_asked, sa.BigInteger), queued)
        memory = sa.case((jobs.c.resume_asked.is_(None), jobs.c.needed_memory), else_=0)  # else it has it
        waiting = _of_owners(
            jobs.c.id, jobs.c.owner, jobs.c.definition, since, jobs.c.short, jobs.c.cores, jobs.c.expected_s, memory
        ).where(BUSY, waits).order_by(jobs.c.queued).limit(most)  # fmt: skip
        started = sa.func.coalesce(sa.type_coerce(jobs.c.started, sa.BigInteger), 0)
        running = sa.select(
            jobs.c.owner, jobs.c.definition, jobs.c.short, jobs.c.cores, started, jobs.c.expected_s, jobs.c.width,
            jobs.c.needed_memory,
        ).where(TAKEN, jobs.c.phase != Phase.SUSPENDED.value)  # fmt: skip
        standing = sa.select(sa.func.coalesce(sa.func.sum(jobs.c.needed_memory * jobs.c.width), 0))
        standing = standing.where(TAKEN, jobs.c.phase == Phase.SUSPENDED.value)
        places = sa.select(sa.func.coalesce(sa.func.sum(servers.c.places), 0), sa.func.count())
        with self._reading.connect() as connection:
            number, of_servers = connection.execute(places).one()
            drained = connection.execute(sa.select(drain.c.id)).first() is not None
            return QueueState(
                [Waiting(*row) for row in connection.execute(waiting)],
                [Started(*row) for row in connection.execute(running)],
                int(number),
                of_servers,
                drained,
                int(connection.execute(standing).scalar_one()),
            )

    # --- within a limit --------------------------------------------------------------------------------

    def move_within(
        self,
        job_id: str,
        owner: str | None,
        before: Sequence[Phase],
        after: Phase,
        counted: Collection[Phase],
        most: int,
        **columns: Unpack[PhaseColumns],
    ) -> Moved:
        """Move a job to a phase, if its owner has fewer than `most` jobs in the phases that are `counted`.

        Two requests at the same moment, to whichever servers, do not both find the last place free.
        """
        with alone(self._engine, of_owner(owner)) as connection:
            phases = [phase.value for phase in counted]
            query = sa.select(sa.func.count()).select_from(jobs)
            query = query.where(BUSY, jobs.c.owner == (owner or ""), jobs.c.phase.in_(phases))
            number = connection.execute(query).scalar_one()
            if number >= most:
                return Moved(False, number)
            statement = phase_change(job_id, before, after).values(**columns, **standing_still(after))
            return Moved(execute(connection, statement, self._server, job_id, after), number)

    def standing_since(self, before: datetime) -> Sequence[str]:
        """Return the ids of the jobs of this process that stand still since then, and shall not go on."""
        query = sa.select(jobs.c.id).where(TAKEN, jobs.c.phase == Phase.SUSPENDED.value, jobs.c.server == self._server)
        query = query.where(jobs.c.resume_asked.is_(None), jobs.c.suspended <= before)
        with self._reading.connect() as connection:
            return connection.execute(query).scalars().all()

    # --- going on --------------------------------------------------------------------------------------

    def ask_resume(self, job_id: str, when: datetime) -> bool:
        """Note that a SUSPENDED job is to go on as soon as there is a place; return whether it is SUSPENDED."""
        statement = jobs.update().where(jobs.c.id == job_id, jobs.c.phase == Phase.SUSPENDED.value)
        statement = statement.values(resume_asked=sa.func.coalesce(jobs.c.resume_asked, sa.literal(when, UTCTime)))
        with self._engine.begin() as connection:
            return execute(connection, statement, self._server, job_id, Phase.QUEUED)

    def withdraw_resume(self, job_id: str) -> bool:
        """Let a SUSPENDED job stand still that was to go on; return whether it was."""
        asked = sa.and_(jobs.c.phase == Phase.SUSPENDED.value, jobs.c.resume_asked.is_not(None))
        with self._engine.begin() as connection:
            statement = jobs.update().where(jobs.c.id == job_id, asked).values(resume_asked=None)
            return execute(connection, statement, self._server, job_id, Phase.SUSPENDED)
