"""Reads the progress of a job from its log, each time from where the last reading stopped. Imports storage, provenance.

A script announces its stages by lines such as `[STAGE 2/5] Filtering events`, or `[STAGE] Running rmfgen`.
"""

from __future__ import annotations

import dataclasses
import json
import re
import threading
from dataclasses import replace

from provenance.text.paths import without_folders
from uws_server.errors import NotAtHand
from uws_server.execution.usage import USAGE_FILE
from uws_server.jobs.job import Progress, Usage, moment_of
from uws_server.jobs.words import CONTROL, without_colours
from uws_server.storage.files import SLURM_FILE, JobFiles, read_json

_STAGE = re.compile(rb"^\[STAGE(?: (\d{1,6})/(\d{1,6}))?\]([^\r\n]*)", re.MULTILINE)
_ERROR = re.compile(rb"^\[ERROR\]([^\r\n]*)", re.MULTILINE)
_CHUNK = 1 << 20
_LITTLE = 1 << 14
"""Bytes of a log that are read without delaying anybody."""
_MOST_USED = 1e15
"""What no job uses of anything: the file says something else, then."""
_LONGEST = 300
_LONGEST_REASON = 2000
_MOST_REMEMBERED = 500
"""Jobs whose progress is remembered: this server does not learn of the end of a job that another one ran."""


class ProgressReader:
    """Remembers, for each job that was asked for, how much of its log was read and its last stage."""

    def __init__(self, files: JobFiles) -> None:
        self._files = files
        self._seen: dict[str, tuple[int, Progress]] = {}
        self._used: dict[str, tuple[int, Usage | None]] = {}
        """What the supervisor of a job wrote down last, and when (in nanoseconds)."""
        self._lock = threading.Lock()

    def read(self, job_id: str) -> Progress:
        """Return the progress of a job now."""
        with self._lock:
            return self._read(job_id)

    def waiting(self, job_id: str) -> Progress | None:
        """Return why a job waits on a cluster; None for one that does not."""
        waits = read_json(self._files.folder(job_id) / SLURM_FILE).get("waits")
        return Progress(waits[:_LONGEST]) if isinstance(waits, str) and waits else None

    def _read(self, job_id: str) -> Progress:
        offset, progress = self._seen.pop(job_id, (0, Progress()))
        while data := self._files.log(job_id, "job.log", offset, _CHUNK):
            whole = data.rfind(b"\n") + 1 or (len(data) if len(data) == _CHUNK else 0)
            if whole == 0:
                break  # a part of a line: it is read again when it is complete
            found = latest(data[:whole], progress)
            if found.number and found.number != progress.number:
                changed = self._files.time_of(job_id, "job.log")
                found = replace(found, reached=moment_of(changed // 1000) if changed else None)
            progress = replace(found, reached=found.reached or progress.reached)
            offset += whole
        self._seen[job_id] = offset, progress  # now the last of them: the first was asked for longest ago
        if len(self._seen) > _MOST_REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return self._with_usage(job_id, progress)

    def _with_usage(self, job_id: str, progress: Progress) -> Progress:
        """Add what the processes of a job used when its supervisor looked last."""
        changed = self._files.time_of(job_id, USAGE_FILE)
        if not changed:
            return progress
        before, usage = self._used.get(job_id, (0, None))
        if before != changed:
            usage = self._read_usage(job_id)
            self._used[job_id] = changed, usage
            if len(self._used) > _MOST_REMEMBERED:
                del self._used[next(iter(self._used))]
        return replace(progress, usage=usage)

    def _read_usage(self, job_id: str) -> Usage | None:
        """Read what a supervisor wrote; None where a script wrote something else in its place."""
        try:
            told = json.loads(self._files.read(job_id, USAGE_FILE, _LITTLE))
            usage = Usage(float(told["cpu_s"]), int(told["peak"]), int(told["memory"]))
            return usage if all(0 <= figure < _MOST_USED for figure in dataclasses.astuple(usage)) else None
        except (OSError, ValueError, KeyError, TypeError, OverflowError):
            return None

    def at_hand(self, job_id: str) -> Progress:
        """Return the progress of a job now. Raise NotAtHand if more than a little of its log has to be read for it."""
        if not self._lock.acquire(blocking=False):
            raise NotAtHand("another thread reads a log")
        try:
            offset, progress = self._seen.get(job_id, (0, Progress()))
            unread = self._files.size_of_log(job_id, "job.log") - offset
            if unread > _LITTLE:
                raise NotAtHand("much of the log is unread")
            return self._read(job_id) if unread else self._with_usage(job_id, progress)
        finally:
            self._lock.release()

    def forget(self, job_id: str) -> None:
        """Forget a job that ended."""
        with self._lock:
            self._seen.pop(job_id, None)
            self._used.pop(job_id, None)


def latest(log: bytes, before: Progress) -> Progress:
    """Return the last stage in a piece of log; `before` if there is none."""
    stages = list(_STAGE.finditer(log))
    if not stages:
        return before
    found = stages[-1]
    text = _readable(found[3], _LONGEST)
    return Progress(text, int(found[1] or before.number), int(found[2] or before.total))


def error_sentence(log: bytes) -> str:
    """Return the reason that a script gave: its last `[ERROR]` line, else its last line; empty for an empty log.

    The folders of this machine are left out: whoever may see the job need not know them.
    """
    for lines in (_ERROR.findall(log), log.splitlines()):
        sentences = (_readable(line, _LONGEST_REASON) for line in reversed(lines))
        if sentence := next(filter(None, sentences), ""):
            return without_folders(sentence)
    return ""


def _readable(line: bytes, most: int) -> str:
    """A line of a log for a page or a document: printable, without colours, at most `most` characters."""
    return CONTROL.sub("", without_colours(line.decode("utf-8", "replace"))).strip()[:most]
