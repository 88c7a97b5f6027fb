"""The sessions in which work is kept, and the jobs that they name. Imports their values and the tables."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from uws_server.errors import NotFound
from uws_server.jobs.phases import Phase
from uws_server.jobs.work_session import LinkedJob, SessionContent, SessionSummary, WorkSession
from uws_server.storage.database import reading
from uws_server.storage.locks import alone, of_owner
from uws_server.storage.session_tables import work_session_jobs, work_sessions
from uws_server.storage.tables import jobs

_ID = re.compile(r"[0-9a-f]{32}")
_AT_ONCE = 400
_OF = work_sessions.c
_SUMMARY = (_OF.id, _OF.owner, _OF.name, _OF.created, _OF.changed, _OF.source, _OF.background, _OF.definition,
            _OF.selected, _OF.share)  # fmt: skip
_TEXTS = ("name", "source", "background", "search", "definition", "note")


class WorkSessionStore:
    """All sessions of a server in which work is kept."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine, self._reading = engine, reading(engine)

    def add(self, session: WorkSession, links: Iterable[tuple[str, str, str]], most: int) -> bool:
        """Store a new session; `links` are its jobs, each with `via` and `via_share` of a LinkedJob.

        Return False if its owner has so many sessions already.
        """
        owner = session.owner or ""
        with alone(self._engine, of_owner(session.owner)) as connection:
            if _count(connection, owner) >= most:
                return False
            connection.execute(work_sessions.insert().values(_row(session)))
            rows = [{"session_id": session.id, "job_id": job_id, "position": number, "via": via, "via_share": share}
                    for number, (job_id, via, share) in enumerate(links)]  # fmt: skip
            if rows:
                connection.execute(work_session_jobs.insert(), rows)
            return True

    def get(self, session_id: str) -> WorkSession:
        """Return the session with that id. Raise NotFound if there is none."""
        with self._reading.connect() as connection:
            found = connection.execute(work_sessions.select().where(_OF.id == session_id)).mappings().one_or_none()
        if found is None:
            raise _none(session_id)
        return _read(dict(found))

    def save(self, session_id: str, revision: int, content: SessionContent, now: datetime) -> bool:
        """Store what a session holds, if it is still of that revision; return whether it was."""
        statement = work_sessions.update().where(_OF.id == session_id, _OF.revision == revision)
        values = {**_content_row(content), "changed": now, "used": now, "revision": revision + 1}
        with self._engine.begin() as connection:
            return connection.execute(statement.values(values)).rowcount == 1

    def use(self, session_id: str, now: datetime) -> None:
        """Note that somebody who may change a session opened it."""
        self._change(session_id, used=now)

    def share(self, session_id: str, key: str) -> str:
        """Give a session the key of a share link, if it has none; return the key that it has then."""
        none_yet = work_sessions.update().where(_OF.id == session_id, _OF.share.is_(None))
        with self._engine.begin() as connection:
            connection.execute(none_yet.values(share=key))
            found = connection.execute(sa.select(_OF.share).where(_OF.id == session_id)).scalar()
        if found is None:
            raise _none(session_id)
        return str(found)

    def unshare(self, session_id: str) -> None:
        """Make the share link of a session void."""
        self._change(session_id, share=None)

    def delete(self, session_id: str) -> None:
        """Delete a session, if it exists; its jobs stay."""
        with self._engine.begin() as connection:
            connection.execute(work_sessions.delete().where(_OF.id == session_id))

    def of_owners(self, owners: Sequence[str | None] | None, first: int, most: int) -> list[SessionSummary]:
        """Return sessions of some owners, or of all, those that were changed last first: at most so many."""
        query = sa.select(*_SUMMARY).order_by(_OF.changed.desc(), _OF.id).offset(first).limit(most)
        if owners is not None:
            query = query.where(_OF.owner.in_([owner or "" for owner in owners]))
        return self._summaries(query)

    def of_nobody(self, ids: Collection[str]) -> list[SessionSummary]:
        """Return those of some sessions (a few hundred) that nobody owns."""
        return self._summaries(sa.select(*_SUMMARY).where(_OF.id.in_(ids), _OF.owner == ""))

    def count(self, owner: str | None) -> int:
        """Return how many sessions an owner has."""
        with self._reading.connect() as connection:
            return _count(connection, owner or "")

    def take(self, session_id: str, owner: str, most: int) -> bool:
        """Give a session of nobody to an account that has fewer than so many. Return False if that is not so."""
        statement = work_sessions.update().where(_OF.id == session_id, _OF.owner == "")
        with alone(self._engine, of_owner(owner)) as connection:
            if _count(connection, owner) >= most:
                return False
            return connection.execute(statement.values(owner=owner)).rowcount == 1

    def expire(self, before: datetime) -> int:
        """Delete the sessions of nobody that nobody used since then; return how many there were."""
        with self._engine.begin() as connection:
            return connection.execute(work_sessions.delete().where(_OF.owner == "", _OF.used < before)).rowcount

    # --- the jobs of sessions --------------------------------------------------------------------------

    def link(self, session_id: str, job_id: str, now: datetime, most: int) -> bool:
        """Add a job to those of a session, of which somebody could change it. Return False if that has so many.

        One that it has already stays where it is. Raise NotFound if there is no such session.
        """
        of_session = work_session_jobs.c.session_id == session_id
        has_it = of_session, work_session_jobs.c.job_id == job_id
        columns = sa.func.count(), sa.func.coalesce(sa.func.max(work_session_jobs.c.position), -1)
        with alone(self._engine, f"session {session_id}") as connection:
            if connection.execute(work_sessions.update().where(_OF.id == session_id).values(_used(now))).rowcount != 1:
                raise _none(session_id)
            if connection.execute(work_session_jobs.update().where(*has_it).values(via="", via_share="")).rowcount:
                return True
            count, last = connection.execute(sa.select(*columns).where(of_session)).one()
            if count >= most:
                return False
            row = {"session_id": session_id, "job_id": job_id, "position": last + 1, "via": "", "via_share": ""}
            connection.execute(work_session_jobs.insert().values(row))
            return True

    def link_rerun(self, job_id: str, parent: str, owner: str, now: datetime, most: int) -> None:
        """Add a job to the sessions of its owner that have the job which it repeats, where there is room for it."""
        link = work_session_jobs.c
        query = sa.select(link.session_id).join(work_sessions, _OF.id == link.session_id)
        with self._reading.connect() as connection:
            found = connection.execute(query.where(link.job_id == parent, _OF.owner == owner)).scalars().all()
        for session_id in found:
            with contextlib.suppress(NotFound):  # deleted at this moment
                self.link(session_id, job_id, now, most)

    def unlink(self, session_id: str, job_id: str, now: datetime) -> bool:
        """Remove a job from those of a session; return whether it was one of them."""
        columns = work_session_jobs.c
        statement = work_session_jobs.delete().where(columns.session_id == session_id, columns.job_id == job_id)
        with self._engine.begin() as connection:
            if connection.execute(statement).rowcount == 0:
                return False
            connection.execute(work_sessions.update().where(_OF.id == session_id).values(_used(now)))
            return True

    def forget_job(self, job_id: str) -> None:
        """Remove a job that came to nothing from every session."""
        with self._engine.begin() as connection:
            connection.execute(work_session_jobs.delete().where(work_session_jobs.c.job_id == job_id))

    def linked(self, ids: Sequence[str]) -> list[LinkedJob]:
        """Return the jobs of some sessions, deleted ones too, each session's in their order."""
        found: list[LinkedJob] = []
        for first in range(0, len(ids), _AT_ONCE):
            query = _LINKED.where(work_session_jobs.c.session_id.in_(ids[first : first + _AT_ONCE]))
            with self._reading.connect() as connection:
                found += [_read_link(row) for row in connection.execute(query)]
        return found

    def opened_by(self, session_id: str, key: str) -> frozenset[str]:
        """Return the ids of the jobs that the share link of a session shows, none if that is not its key."""
        query = _LINKED.where(work_session_jobs.c.session_id == session_id, _OF.share == key)
        with self._reading.connect() as connection:
            found = map(_read_link, connection.execute(query))
            return frozenset(link.job_id for link in found if link.is_open)

    def _change(self, session_id: str, **columns: Any) -> None:
        with self._engine.begin() as connection:
            connection.execute(work_sessions.update().where(_OF.id == session_id).values(columns))

    def _summaries(self, query: sa.Select[Any]) -> list[SessionSummary]:
        with self._reading.connect() as connection:
            rows = [SessionSummary(*row) for row in connection.execute(query)]
        return [row._replace(owner=row.owner or None) for row in rows]


def _linked() -> sa.Select[Any]:
    """Return the query for the jobs of sessions, and whether each is open to whoever may look at its session."""
    link, origin = work_session_jobs, work_sessions.alias("origin")
    original = work_session_jobs.alias("original")
    shown_by = sa.and_(origin.c.id == link.c.via, origin.c.share == link.c.via_share)
    linked_there = (original.c.session_id == origin.c.id, original.c.job_id == link.c.job_id, original.c.via == "")
    tables = (
        link.join(work_sessions, _OF.id == link.c.session_id)
        .outerjoin(jobs, jobs.c.id == link.c.job_id)
        .outerjoin(origin, shown_by)
        .outerjoin(original, sa.and_(*linked_there))
    )
    direct = sa.and_(link.c.via == "", jobs.c.owner.in_([_OF.owner, ""]))
    by_link = sa.and_(original.c.job_id.is_not(None), jobs.c.owner.in_([origin.c.owner, ""]))
    is_open = sa.case((sa.or_(direct, by_link), 1), else_=0)
    columns = (link.c.session_id, link.c.job_id, link.c.via, link.c.via_share, jobs.c.phase, jobs.c.owner, is_open)
    return sa.select(*columns).select_from(tables).order_by(link.c.session_id, link.c.position)


_LINKED = _linked()


def _read_link(row: Any) -> LinkedJob:
    session_id, job_id, via, via_share, phase, owner, is_open = row
    return LinkedJob(
        session_id, job_id, via, via_share, None if phase is None else Phase(phase), owner or None, bool(is_open)
    )


def _used(now: datetime) -> dict[str, datetime]:
    return {"changed": now, "used": now}


def _count(connection: sa.Connection, owner: str) -> int:
    return connection.execute(sa.select(sa.func.count()).where(_OF.owner == owner)).scalar_one()


def _row(session: WorkSession) -> dict[str, Any]:
    return {
        "id": session.id,
        "owner": session.owner or "",
        "created": session.created,
        "changed": session.changed,
        "used": session.used,
        "revision": session.revision,
        "share": session.share,
        **_content_row(session.content),
    }


def _content_row(content: SessionContent) -> dict[str, Any]:
    return {
        **{name: getattr(content, name) for name in _TEXTS},
        "exposures": json.dumps(content.exposures),
        "selected": len(content.exposures),
        "parameters": json.dumps({name: list(values) for name, values in content.parameters.items()}),
    }


def _read(row: Mapping[str, Any]) -> WorkSession:
    kept = {name: row[name] for name in ("id", "created", "changed", "used", "revision", "share")}
    content = SessionContent(
        **{name: row[name] for name in _TEXTS},
        exposures=tuple(json.loads(row["exposures"])),
        parameters={name: tuple(values) for name, values in json.loads(row["parameters"]).items()},
    )
    return WorkSession(owner=row["owner"] or None, content=content, **kept)


def _none(session_id: str) -> NotFound:
    gone = ": it was deleted, or it never was" if _ID.fullmatch(session_id) else ""
    return NotFound(f"no session {session_id[:40]!r}{gone}")
