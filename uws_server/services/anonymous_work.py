"""What a browser made without an account, which is offered to who signs in with it. Imports the keys and storage.

The browser remembers its jobs and sessions in sealed cookies (`job_keys`). Those that still are nobody's become the
account's, as far as its limits allow; the addresses with keys then open them no longer, share links still do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from uws_server.config import Config
from uws_server.errors import Unauthorized, counted
from uws_server.jobs.job import Filter, JobSummary
from uws_server.jobs.work_session import SessionSummary
from uws_server.services.job_keys import JobKeys, SessionKeys
from uws_server.services.quotas import Quotas, amount
from uws_server.services.rights import Caller
from uws_server.services.work_sessions import MOST_OF_ACCOUNT
from uws_server.storage.jobstore import JobStore
from uws_server.storage.ownership import Most, Outcome, Ownership
from uws_server.storage.work_sessions import WorkSessionStore


class Needs(Protocol):
    """The parts of a server that are needed to change whose work is."""

    config: Config
    store: JobStore
    keys: JobKeys
    session_keys: SessionKeys
    work_sessions: WorkSessionStore
    ownership: Ownership


@dataclass(frozen=True)
class Remembered:
    """The texts of the two cookies in which a browser remembers what it made without an account; '' for none."""

    jobs: str = ""
    sessions: str = ""


@dataclass(frozen=True)
class Offer:
    """Jobs and sessions of nobody, newest first, that a browser made."""

    jobs: Sequence[JobSummary] = ()
    sessions: Sequence[SessionSummary] = ()

    def __bool__(self) -> bool:
        return bool(self.jobs or self.sessions)


@dataclass(frozen=True)
class Kept:
    """How many jobs and sessions an account has taken over, and why others are left, a sentence each."""

    jobs: int = 0
    sessions: int = 0
    left: Sequence[str] = field(default=())


class AnonymousWork:
    """The work that the browser of one caller made without an account."""

    def __init__(self, needs: Needs, caller: Caller) -> None:
        self._needs, self._caller = needs, caller

    def offered(self, remembered: Remembered) -> Offer:
        """Return what may be taken over: nobody's jobs and sessions that the cookies name, and the sessions' jobs."""
        sessions = self._needs.work_sessions.of_nobody(self._needs.session_keys.remembered(remembered.sessions))
        of_sessions = [
            link.job_id
            for link in self._needs.work_sessions.linked([one.id for one in sessions])
            if not link.via and link.owner is None and link.phase is not None
        ]
        ids = dict.fromkeys([*self._needs.keys.remembered(remembered.jobs), *of_sessions])
        jobs = self._needs.store.some(ids, Filter()) if ids else []
        return Offer(jobs, sorted(sessions, key=lambda one: one.changed, reverse=True))

    def keep(self, remembered: Remembered) -> Kept:
        """Give all that is offered to the caller's account. Raise Unauthorized for a caller without one."""
        owner = self._caller.name
        if owner is None:
            raise Unauthorized("jobs and sessions are kept in an account: sign in")
        offer = self.offered(remembered)
        quotas = Quotas(self._needs.store, self._needs.config, self._caller)
        most = Most(quotas.most_active, quotas.most_bytes)
        taken = Counter(self._needs.ownership.take(job.id, owner, most) for job in reversed(offer.jobs))
        sessions = sum(self._needs.work_sessions.take(one.id, owner, MOST_OF_ACCOUNT) for one in offer.sessions)
        return Kept(taken[Outcome.TAKEN], sessions, self._left(taken, most, len(offer.sessions) - sessions))

    def _left(self, taken: Counter[Outcome], most: Most, sessions: int) -> list[str]:
        left = []
        if full := taken[Outcome.FULL]:
            left.append(f"{counted(full, 'job')} would take more than the {amount(most.bytes)} that you may store")
        if busy := taken[Outcome.BUSY]:
            left.append(f"{counted(busy, 'job')} would be more than the {most.active} active jobs that you may have")
        if sessions:
            left.append(f"{counted(sessions, 'session')} would be more than the {MOST_OF_ACCOUNT} that you may have")
        return left
