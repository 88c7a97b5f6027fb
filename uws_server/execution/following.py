"""Jobs that wait for another one: queued when that one is COMPLETED, ended when it can no longer be. Imports storage.

What is to be done is read from the database each time, and a change of phase is a compare-and-set: a server that was
killed in between goes on where it was, and of several servers one is the first.
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
    """Let the jobs that wait (for that one, where it is named) go on, or end them; say whether one was queued.

    The end of a job may end those that wait for it in turn.
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
    """Why a job that waited cannot run; '' where it can."""
    before = f"job {waiting.after}, which this one waits for,"
    if waiting.phase in (None, Phase.ARCHIVED):  # of some deleted jobs the record is kept
        return f"{before} was deleted; run the chain again"
    if waiting.phase is not Phase.COMPLETED:
        return f"{before} ended in {waiting.phase}; run the chain again"
    missing = [value.text for value in _files(store.get(waiting.job_id).parameters) if _is_gone(value, files.jobs)]
    return f"{before} left no {Path(missing[0]).name}; run the chain again" if missing else ""


def _files(parameters: Mapping[str, ParameterValue]) -> list[ParameterValue]:
    return [part for value in parameters.values() for part in value.each if part.is_file]


def _is_gone(value: ParameterValue, jobs: Path) -> bool:
    """Whether a value is a file of another job (below the folder of jobs) which is not there; a link does not count."""
    path = Path(str(value.value))
    if not path.is_relative_to(jobs):
        return False
    return not path.is_file() or path.resolve() != jobs.resolve() / path.relative_to(jobs)
