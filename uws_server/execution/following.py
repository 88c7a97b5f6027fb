"""Advances job sequences: a job that waits for another is queued when that is COMPLETED, ended when it cannot be.

The state is read from the database each time, and a change of phase is a compare-and-set: a server that was killed in
between continues where it was, and of several servers only one succeeds. Imports storage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from uws_server.errors import NotFound
from uws_server.jobs.job import JobError, ParameterValue, utcnow
from uws_server.jobs.phases import Phase
from uws_server.storage.files import JobFiles
from uws_server.storage.jobstore import JobStore
from uws_server.storage.uses import UseStore, Waiting


def release(store: JobStore, files: JobFiles, announce: Callable[[str], None], after: str | None = None) -> bool:
    """Queue the jobs whose wait is over, or end those that can no longer run, and in turn those that wait for them.

    Parameters
    ----------
    store, files
        The jobs, and their folders.
    announce
        Called with the id of each job that changed.
    after
        The id of the job whose followers are released; None for those of any job.

    Returns
    -------
    bool
        Whether a job was queued.
    """
    queued = False
    for waiting in UseStore(store.engine).waiting(after):
        try:
            reason = _reason(store, files, waiting)
        except NotFound:  # a client deleted it meanwhile
            continue
        if reason:
            if store.end(waiting.job_id, Phase.ERROR, utcnow(), JobError(reason, fatal=False), []):
                announce(waiting.job_id)
                release(store, files, announce, waiting.job_id)
        elif store.move(waiting.job_id, [Phase.PENDING], Phase.QUEUED, queued=utcnow()):
            announce(waiting.job_id)
            queued = True
    return queued


def _reason(store: JobStore, files: JobFiles, waiting: Waiting) -> str:
    """The reason why a job that waited cannot run; empty if it can."""
    predecessor = f"job {waiting.after}, which this one waits for,"
    if waiting.phase in (None, Phase.ARCHIVED):  # of some deleted jobs the record is kept
        return f"{predecessor} was deleted; run the chain again"
    if waiting.phase is not Phase.COMPLETED:
        return f"{predecessor} ended in {waiting.phase}; run the chain again"
    missing = [value.text for value in _files(store.get(waiting.job_id).parameters) if _is_gone(value, files.jobs)]
    return f"{predecessor} left no {Path(missing[0]).name}; run the chain again" if missing else ""


def _files(parameters: Mapping[str, ParameterValue]) -> list[ParameterValue]:
    return [part for value in parameters.values() for part in value.each if part.is_file]


def _is_gone(value: ParameterValue, jobs: Path) -> bool:
    """Whether a value is a file of another job (below the folder of jobs) that is not there; a link does not count."""
    path = Path(str(value.value))
    if not path.is_relative_to(jobs):
        return False
    return not path.is_file() or path.resolve() != jobs.resolve() / path.relative_to(jobs)
