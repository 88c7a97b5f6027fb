"""What one caller may have: jobs that wait or run, bytes on disk, seconds and days of a job. Imports storage.

What is counted against a limit is counted under a lock until it counts itself: else requests at the same moment would
all pass.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime, timedelta

from uws_server.config import Config
from uws_server.errors import BadRequest, Forbidden
from uws_server.jobs.definition import Definition
from uws_server.jobs.job import Job
from uws_server.services.rights import Caller
from uws_server.storage.jobstore import JobStore


def amount(count: int) -> str:
    """Return a number of bytes in the decimal units in which limits are given."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count} bytes"


def expected_end(definition: Definition, start: datetime) -> datetime | None:
    """Return when a job that starts then is expected to end (the quote of UWS). Return None where nobody knows."""
    seconds = definition.control.quote
    return start + timedelta(seconds=seconds) if seconds else None


class Quotas:
    """The limits of one caller: the account's own where it has some, else those of the configuration; 0 for none."""

    def __init__(self, store: JobStore, config: Config, caller: Caller) -> None:
        self._store, self._config, self._caller = store, config, caller
        most_active = config.accounts.max_active if caller.max_active is None else caller.max_active
        self.most_active = 0 if caller.is_admin else most_active
        self.most_bytes = config.accounts.max_stored if caller.max_bytes is None else caller.max_bytes

    @contextlib.contextmanager
    def room(self, coming: int) -> Iterator[None]:
        """Hold the room for so many bytes while they are stored. Raise Forbidden if the account may not store them."""
        with self._alone(self.most_bytes):
            self.require_room(coming)
            yield

    def require_room(self, coming: int) -> None:
        """Raise Forbidden for bytes that the account may not store, before they are fetched or copied."""
        most = self.most_bytes
        if not most:
            return
        held = self._store.stored_bytes(self._caller.name)
        if held + coming > most:
            more = f" and {amount(coming)} would come" if coming else ""
            raise Forbidden(
                f"your jobs hold {amount(held)}{more}; {amount(most)} are allowed: delete jobs you no longer need"
            )

    @contextlib.contextmanager
    def turn(self, job: Job) -> Iterator[None]:
        """Hold a place while a job is put into the queue. Raise Forbidden if the account has too many active jobs."""
        most = self.most_active
        with self._alone(most):
            if most and (active := self._store.active_count(job.owner)) >= most:
                raise Forbidden(f"you have {active} active jobs, {most} are allowed: wait for one to end, or abort one")
            yield

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

    def _alone(self, limit: int) -> contextlib.AbstractContextManager[object]:
        return self._store.counting if limit else contextlib.nullcontext()
