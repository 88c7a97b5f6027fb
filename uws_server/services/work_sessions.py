"""What one caller does with sessions in which work is kept: make, look, save, share, copy and delete them, add jobs.

A session belongs to the account that made it, or to nobody, by the rules for jobs (`rights`). Its share link,
`<id>-<key>`, shows the session and those of its jobs that are its owner's or nobody's, and changes nothing. A copy has
the same jobs; those that the copier may not change are seen through the link that the copy was made by, until it is
revoked. Imports the job service and storage.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Final, Protocol

from uws_server.errors import BadRequest, Conflict, Forbidden, NotFound
from uws_server.jobs.job import Job, new_id, utcnow
from uws_server.jobs.work_session import MOST_JOBS, LinkedJob, SessionContent, SessionSummary, WorkSession
from uws_server.services.job_keys import ADDRESS, SessionKeys
from uws_server.services.job_service import JobService
from uws_server.services.rights import Caller, Rights
from uws_server.services.session_content import MOST_NAME
from uws_server.storage.work_sessions import WorkSessionStore

MOST_OF_ACCOUNT: Final = 500
MOST_OF_NOBODY: Final = 5000
"""Sessions that an account may have, and all callers without one together."""
_USED_AGAIN: Final = timedelta(days=1)
_JOB = re.compile(ADDRESS)


class Needs(Protocol):
    """The parts of a server that sessions need."""

    rights: Rights
    session_keys: SessionKeys
    work_sessions: WorkSessionStore


class Seen(StrEnum):
    """What there is of a job of a session for somebody who looks at that: the job, nothing any more, or nothing."""

    OPEN = "open"
    DELETED = "deleted"
    CLOSED = "closed"


@dataclass(frozen=True)
class OpenSession:
    """A session that somebody looks at, and the name that it has in addresses: its id, with the key that it needs."""

    session: WorkSession
    may_change: bool
    address: str


@dataclass(frozen=True)
class SessionJob:
    """A job of a session as somebody sees it: None if it is deleted or closed.

    `share` is the token of the link by which the job is seen; '' where the job is the caller's to change.
    """

    job_id: str
    seen: Seen
    job: Job | None = None
    share: str = ""


@dataclass(frozen=True)
class SessionRow:
    """A session in a list, its name in addresses, and how many of its jobs are in each phase, deleted or closed."""

    summary: SessionSummary
    address: str
    jobs: Mapping[str, int]


class WorkSessions:
    """The sessions of a server, for one caller; `job_service` is that of the same caller."""

    def __init__(self, needs: Needs, job_service: JobService) -> None:
        self._rights, self._keys, self._store = needs.rights, needs.session_keys, needs.work_sessions
        self.job_service = job_service

    # --- looking ---------------------------------------------------------------------------------------

    def recall(self, cookie: str) -> None:
        """Give the caller the keys of the sessions that the cookie of a browser remembers."""
        if cookie and self._rights.uses_keys():
            self.job_service.give_keys(self._keys.remembered(cookie))

    def remembering(self, cookie: str, session_id: str) -> str:
        """Return the text of the cookie that remembers a session beside those of the cookie that came."""
        return self._keys.remember([session_id, *self._keys.remembered(cookie)])

    def find(self, address: str) -> OpenSession:
        """Return the session of an id, or of an id and a key, that of a share link or of a session of nobody.

        Raise NotFound if there is none or the key is wrong, Forbidden or Unauthorized if the caller may not see it.
        """
        if self._rights.uses_keys():
            self.job_service.caller = self._keys.open(address, self._caller)[1]
        session_id, _, key = address.partition("-")
        session = self._store.get(session_id)
        if self._rights.may_change_session(self._caller, session):
            return self._own(session)
        if key and session.share and hmac.compare_digest(key.encode(), session.share.encode()):
            self.job_service.follow(session.id, key)
            return OpenSession(session, may_change=False, address=f"{session.id}-{key}")
        if key:
            raise NotFound(
                "this link shows no session: its owner revoked it, or it was changed on its way; ask for the link anew"
            )
        self._rights.require_change_session(self._caller, session)
        return self._own(session)

    def changeable(self, address: str) -> WorkSession:
        """Return a session that the caller may change. Raise what `find` does, Forbidden if it is only shared."""
        found = self.find(address)
        if not found.may_change:
            raise Forbidden(f"session {found.session.id} is only shared with you: copy it, and change your copy")
        return found.session

    def address(self, session: WorkSession | SessionSummary) -> str:
        """Return what names a session in an address: its id, with its key if it needs one and the caller has it."""
        return session.id if session.owner is not None else self._keys.address(session.id, self._caller)

    def listed(self, first: int, most: int) -> tuple[list[SessionRow], bool]:
        """Return the caller's sessions, those changed last first: at most so many; and whether there are more."""
        owners = self._rights.listed_owners(self._caller)
        found = self._store.of_owners(owners, first, most + 1)
        has_more = len(found) > most
        found = found[:most]
        if not first and owners is not None and None not in owners and self._caller.opened:
            found += self._store.of_nobody(self._caller.opened)
            found.sort(key=lambda one: one.changed, reverse=True)
        return self._rows(found), has_more

    def jobs(self, found: OpenSession) -> list[SessionJob]:
        """Return the jobs of a session in the order in which they came."""
        links = self._links(found)
        return [self._seen(link, found) for link in links]

    # --- changing --------------------------------------------------------------------------------------

    def new(self, content: SessionContent) -> OpenSession:
        """Make a session of the caller. Raise Forbidden if the caller has too many."""
        return self._add(content, ())

    def save(self, address: str, revision: int, content: SessionContent) -> OpenSession:
        """Store what a session is to hold. Raise Conflict if it is no longer of the revision that was changed."""
        session = self.changeable(address)
        if not self._store.save(session.id, revision, _named(content), utcnow()):
            now = self._store.get(session.id).revision
            raise Conflict(
                f"session {session.id} was saved meanwhile: it is of revision {now}, {revision} came; look at it "
                "again, then save, or save a copy"
            )
        return self._own(self._store.get(session.id))

    def delete(self, address: str) -> None:
        """Delete a session; its jobs stay."""
        self._store.delete(self.changeable(address).id)

    def share(self, address: str) -> str:
        """Return what names a session in its share link, by which anyone may look at it; make the link if needed."""
        session = self.changeable(address)
        return f"{session.id}-{self._store.share(session.id, secrets.token_hex(16))}"

    def unshare(self, address: str) -> None:
        """Revoke the share link of a session: it opens nothing any more, and copies lose the jobs that it showed."""
        self._store.unshare(self.changeable(address).id)

    def copy(self, address: str) -> OpenSession:
        """Copy a session that the caller sees, and return the copy, which is the caller's own."""
        found = self.find(address)
        links = []
        for link in self._links(found):
            seen = self._seen(link, found)
            if seen.job is not None:
                is_own = self.job_service.may_change(seen.job)
                via = ("", "") if is_own else (link.via, link.via_share) if link.via else (link.session_id, _key(found))
                links.append((link.job_id, *via))
        name = f"Copy of {found.session.content.name}"[:MOST_NAME]
        return self._add(replace(found.session.content, name=name), links)

    def link(self, address: str, text: str) -> WorkSession:
        """Add a job, by its id or an address of it, to a session. Raise Forbidden unless the caller may change it."""
        session = self.changeable(address)
        named = _JOB.findall(text)
        if not named:
            raise BadRequest(f"job: {text[:80]!r} came; the id or the address of a job is allowed")
        job = self.job_service.bare(named[-1])
        if not self.job_service.may_change(job):
            raise Forbidden(f"job {job.id} is only shared with you: a session has jobs of its owner")
        self.link_new(session, job)
        return session

    def joining(self, address: str) -> WorkSession:
        """Return a session to which the caller may add a job that is about to be made. Raise Forbidden."""
        session = self.changeable(address)
        if len(self._store.linked([session.id])) >= MOST_JOBS:
            raise _full(session)
        return session

    def link_new(self, session: WorkSession, *jobs: Job) -> None:
        """Add jobs that the caller has just made to a session that the caller may change."""
        for job in jobs:
            if not self._store.link(session.id, job.id, utcnow(), MOST_JOBS):
                raise _full(session)

    def unlink(self, address: str, job_id: str) -> WorkSession:
        """Remove a job from a session; the job stays. Raise NotFound if it is none of the session's."""
        session = self.changeable(address)
        if not self._store.unlink(session.id, job_id[:32], utcnow()):
            raise NotFound(f"session {session.id} has no job {job_id[:40]!r}")
        return session

    # --- parts -----------------------------------------------------------------------------------------

    @property
    def _caller(self) -> Caller:
        return self.job_service.caller

    def _own(self, session: WorkSession) -> OpenSession:
        """Return a session that the caller may change, and note once a day that it is used."""
        now = utcnow()
        if now - session.used > _USED_AGAIN:
            self._store.use(session.id, now)
        return OpenSession(session, may_change=True, address=self.address(session))

    def _add(self, content: SessionContent, links: Sequence[tuple[str, str, str]]) -> OpenSession:
        self.job_service.require_entry()
        now, owner = utcnow(), self._caller.name
        session = WorkSession(new_id(), owner, now, now, now, _named(content))
        most = MOST_OF_NOBODY if owner is None else MOST_OF_ACCOUNT
        if not self._store.add(session, links, most):
            whose = "you have" if owner is not None else "callers without an account have"
            raise Forbidden(f"{whose} {most:,} sessions, and may have no more: delete one that is no longer needed")
        if owner is None and self._rights.uses_keys():
            self.job_service.give_keys([session.id])
        return self._own(session)

    def _links(self, found: OpenSession) -> list[LinkedJob]:
        """Return the jobs of a session, which the caller may look at from now on."""
        links = self._store.linked([found.session.id])
        if found.may_change:
            self.job_service.show(link.job_id for link in links if link.via and link.is_open)
            if self._rights.uses_keys():
                self.job_service.give_keys(link.job_id for link in links if not link.via and link.owner is None)
        return links

    def _seen(self, link: LinkedJob, found: OpenSession) -> SessionJob:
        job = None if link.phase is None else self.job_service.seen(link.job_id)
        if job is None:
            return SessionJob(link.job_id, Seen.DELETED if link.phase is None else Seen.CLOSED)
        if self.job_service.may_change(job):
            return SessionJob(job.id, Seen.OPEN, job)
        share = f"{link.via}-{link.via_share}" if found.may_change and link.via else f"{found.session.id}-{_key(found)}"
        return SessionJob(job.id, Seen.OPEN, job, share)

    def _rows(self, found: Sequence[SessionSummary]) -> list[SessionRow]:
        counts: dict[str, Counter[str]] = {one.id: Counter() for one in found}
        for link in self._store.linked([one.id for one in found]):
            is_own = link.owner is not None and link.owner == self._caller.name
            is_seen = link.is_open or is_own or self._caller.is_admin
            kind = Seen.DELETED if link.phase is None else link.phase if is_seen else Seen.CLOSED
            counts[link.session_id][kind.value] += 1
        return [SessionRow(one, self.address(one), counts[one.id]) for one in found]


def _full(session: WorkSession) -> Forbidden:
    return Forbidden(f"session {session.id} has {MOST_JOBS:,} jobs, and may have no more: make another one")


def _named(content: SessionContent) -> SessionContent:
    """Return the content with a name, where it has none."""
    return content if content.name else replace(content, name=f"Session of {utcnow():%Y-%m-%d %H:%M}")


def _key(found: OpenSession) -> str:
    """Return the key of the share link of a session; '' if it has none."""
    return found.session.share or ""
