"""What one caller may have: jobs that wait or run, bytes on disk, seconds and days of a job. Imports storage.

What is counted against a limit is counted and stored in one transaction, beside which no other one of that owner is:
else requests at the same moment, to one server or to several, would all pass.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from uws_server.config import Config
from uws_server.errors import BadRequest, Forbidden, counted
from uws_server.jobs.definition import Definition
from uws_server.jobs.job import Job
from uws_server.jobs.phases import ACTIVE, Phase
from uws_server.services.rights import Caller
from uws_server.storage.jobstore import JobStore


def amount(count: int) -> str:
    """Return a number of bytes in the decimal units in which limits are given."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return counted(count, "byte")


def expected_end(seconds: int | None, start: datetime) -> datetime | None:
    """Return when a job that starts then is expected to end (the quote of UWS). Return None where nobody knows."""
    return None if seconds is None else start + timedelta(seconds=seconds)


class Quotas:
    """The limits of one caller: the account's own where it has some, else those of the configuration; 0 for none."""

    def __init__(self, store: JobStore, config: Config, caller: Caller) -> None:
        self._store, self._config, self._caller = store, config, caller
        most_active = config.accounts.max_active if caller.max_active is None else caller.max_active
        self.most_active = 0 if caller.is_admin else most_active
        self.most_bytes = config.accounts.max_stored if caller.max_bytes is None else caller.max_bytes

    def require_room(self, coming: int) -> None:
        """Raise Forbidden for bytes that the account may not store, before they are fetched or copied."""
        if not self.most_bytes:
            return
        self.require_held(self._store.stored_bytes(self._caller.name), coming)

    def require_held(self, held: int, coming: int) -> None:
        """Raise Forbidden if an account that holds so many bytes may not store those that come."""
        most = self.most_bytes
        if most and held + coming > most:
            more = f" and {amount(coming)} would come" if coming else ""
            raise Forbidden(
                f"your jobs hold {amount(held)}{more}; {amount(most)} are allowed: delete jobs you no longer need"
            )

    def add(self, job: Job) -> None:
        """Store a new job. Raise Forbidden if the account then held too many bytes."""
        if not self.most_bytes:
            self._store.add(job)
        elif (held := self._store.add_within(job, self.most_bytes)) is not None:
            self.require_held(held, job.size)

    def update(self, job: Job, changed: Job, coming: int) -> bool:
        """Store changed parameters, with which so many bytes come. Raise Forbidden if the account may not hold them.

        Return False if the job was started or changed meanwhile.
        """
        updated = self._store.update_pending(job, changed, coming, self.most_bytes)
        if not updated.done:
            self.require_held(updated.held, coming)
        return updated.done

    def queue(self, job: Job, now: datetime, quote: datetime | None) -> bool:
        """Put a job into the queue. Raise Forbidden if the account has too many active jobs.

        Return False if the job is no longer PENDING or HELD.
        """
        before = [Phase.PENDING, Phase.HELD]
        if not self.most_active:
            return self._store.move(job.id, before, Phase.QUEUED, queued=now, quote=quote)
        moved = self._store.queue.move_within(
            job.id, job.owner, before, Phase.QUEUED, ACTIVE, self.most_active, queued=now, quote=quote
        )
        if moved.counted >= self.most_active:
            active = f"you have {moved.counted} active jobs, {self.most_active} are allowed"
            raise Forbidden(f"{active}: wait for one to end, or abort one")
        return moved.done

    def suspend(self, job: Job) -> bool:
        """Let a job stand still. Raise Forbidden if its owner has too many that do: each keeps its memory.

        Return False if the job is not EXECUTING.
        """
        most = self._config.accounts.max_suspended
        if not most:
            return self._store.move(job.id, [Phase.EXECUTING], Phase.SUSPENDED)
        moved = self._store.queue.move_within(
            job.id, job.owner, [Phase.EXECUTING], Phase.SUSPENDED, [Phase.SUSPENDED], most
        )
        if moved.counted >= most:
            whose = "you have" if job.owner is not None else "callers without an account have"
            raise Forbidden(f"{whose} {moved.counted} suspended jobs, {most} are allowed: resume or abort one of them")
        return moved.done

    def duration(self, definition: Definition, asked: int | None) -> int:
        """Return the seconds that a job may run: the definition's default, or what was asked for, bounded.

        0 asks for as long as possible. Raise BadRequest for a negative number.
        """
        most = min(definition.control.duration.max, self._config.jobs.max_duration)
        if asked is None:
            return min(definition.control.duration.default, most)
        if asked < 0:
            raise BadRequest(f"EXECUTIONDURATION: {asked} came, seconds from 0 (as long as possible) on are allowed")
        return min(asked or most, most)

    def destruction(self, now: datetime, asked: datetime | None) -> datetime:
        """Return when a job is destroyed: as asked for, but not later than the server keeps jobs."""
        latest = now + timedelta(days=self._config.jobs.keep_days)
        return min(asked, latest) if asked is not None else latest
