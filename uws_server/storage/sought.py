"""Jobs that are looked for by how their id, run id or target begins, each by an index. Imports the tables.

What is found of each kind is a range of one index; other conditions hold for the jobs of these ranges only, so that a
search costs what it finds and not what there is. Of a range that holds many jobs the first in order are found sooner by
walking along a list: `is_many` tells it, `is_found` whether a job is one of them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from uws_server.jobs.job import EPOCH, Filter, JobSummary
from uws_server.storage.rows import SUMMARY, search_key
from uws_server.storage.tables import LISTED, jobs, microseconds_of

HAS_RUN_ID = jobs.c.run_key != sa.literal_column("''")
"""Condition: the job has a run id."""
HAS_TARGET = jobs.c.target_key != sa.literal_column("''")
"""Condition: it is known what the job is about."""
_ID = re.compile(r"[0-9a-f]{4,32}")
MANY = 2000
"""From so many jobs on a list is walked along."""
_LAST = "\U0010ffff"


def query(wanted: Filter, size: int | None, among: Collection[str] | None = None) -> sa.Select[Any]:
    """Return the query for the first so many jobs of a filter, in its order; columns are those of SUMMARY.

    With `among` only jobs of nobody that have one of these ids (a few hundred) are found.
    """
    conditions = _conditions(wanted)
    if among is not None:
        conditions += [jobs.c.id.in_(among), jobs.c.owner == ""]
    arms = [_arm(name, column, text, conditions, indexed=among is None) for name, column, text in _ranges(wanted)]
    found = (sa.union(*arms) if len(arms) > 1 else arms[0]).subquery() if arms else None
    selected = sa.select(*SUMMARY).where(*conditions) if found is None else found.select()
    created, job_id = selected.selected_columns["created"], selected.selected_columns["id"]
    order = (created, job_id) if wanted.oldest_first else (created.desc(), job_id.desc())
    return selected.order_by(*order).limit(size)


def count(wanted: Filter, most: int) -> sa.Select[Any]:
    """Return the query for how many jobs of a filter there are; `most` if there are more."""
    return _count(wanted, _conditions(wanted), most)


def is_many(wanted: Filter) -> sa.Select[Any]:
    """Return the query for how many jobs begin as one looks for, whatever else is asked for: MANY if there are more."""
    return _count(wanted, [], MANY)


def is_found(wanted: Filter, job: JobSummary) -> bool:
    """Check whether a job begins as one looks for."""
    run_key, target_key, text = search_key(job.run_id or ""), search_key(job.target), search_key(wanted.text)
    begins = run_key.startswith(text) or target_key.startswith(text)
    begins = begins or (_ID.fullmatch(text) is not None and job.id.startswith(text))
    return begins and run_key.startswith(search_key(wanted.run_id)) and target_key.startswith(search_key(wanted.target))


def _count(wanted: Filter, conditions: Sequence[sa.ColumnElement[bool]], most: int) -> sa.Select[Any]:
    arms = [
        _arm(*one, conditions, indexed=True).with_only_columns(jobs.c.id).limit(most).subquery().select()
        for one in _ranges(wanted)
    ]
    found = (sa.union(*arms) if len(arms) > 1 else arms[0]).limit(most)
    return sa.select(sa.func.count()).select_from(found.subquery())


def seen_us(after: datetime) -> int:
    """Return the last microsecond of a time's millisecond: clients know times of creation to the millisecond.

    A job is not after the time that its own document shows.
    """
    return ((after - EPOCH) // timedelta(milliseconds=1)) * 1000 + 999


def _ranges(wanted: Filter) -> Iterator[tuple[str, sa.Column[Any], str]]:
    """Yield what is looked for, any of which is enough: the index in SQLite, its column, and how that begins."""
    if wanted.text:
        text = search_key(wanted.text)
        yield "jobs_by_run_key", jobs.c.run_key, text
        yield "jobs_by_target_key", jobs.c.target_key, text
        if _ID.fullmatch(text):
            yield "sqlite_autoindex_jobs_1", jobs.c.id, text
    elif wanted.run_id:
        yield "jobs_by_run_key", jobs.c.run_key, search_key(wanted.run_id)
    elif wanted.target:
        yield "jobs_by_target_key", jobs.c.target_key, search_key(wanted.target)


def _arm(
    index: str, column: sa.Column[Any], text: str, conditions: Sequence[sa.ColumnElement[bool]], indexed: bool
) -> sa.Select[Any]:
    """Return the query for the jobs of a range of an index.

    SQLite, which does not know how much a range holds, would take the index of any column that is to be equal.
    """
    query = sa.select(*SUMMARY).where(*_begins(column, text), *conditions)
    return query.with_hint(jobs, f"INDEXED BY {index}", "sqlite") if indexed else query


def _begins(column: sa.Column[Any], beginning: str) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the conditions of a range of an index; its own condition, word for word, is among them."""
    own = {"run_key": (HAS_RUN_ID,), "target_key": (HAS_TARGET,)}.get(column.name, ())
    return (*own, column >= beginning, column < beginning + _LAST)


def _conditions(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    """Return the conditions of a filter for a job that was found."""
    created = sa.type_coerce(jobs.c.created, sa.BigInteger)
    conditions: list[sa.ColumnElement[bool]] = [
        sa.or_(*(jobs.c.phase == phase.value for phase in wanted.phases)) if wanted.phases else LISTED
    ]
    if wanted.definition is not None:
        conditions.append(jobs.c.definition == wanted.definition)
    if wanted.owners is not None:
        conditions.append(jobs.c.owner.in_(sorted({owner or "" for owner in wanted.owners})))
    if wanted.after is not None:
        conditions.append(created > seen_us(wanted.after))
    if wanted.until is not None:
        conditions.append(created < microseconds_of(wanted.until))
    for column, text in ((jobs.c.run_key, wanted.run_id), (jobs.c.target_key, wanted.target)):
        if text:
            conditions += _begins(column, search_key(text))
    if wanted.start is not None:
        place = sa.tuple_(created, jobs.c.id)
        start = sa.tuple_(sa.literal(wanted.start.created_us, sa.BigInteger), sa.literal(wanted.start.job_id))
        conditions.append(place > start if wanted.oldest_first else place < start)
    return conditions
