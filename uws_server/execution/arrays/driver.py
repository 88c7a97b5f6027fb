"""The driver of an array: what the supervisor of such a job runs as its script. Imports the parts and their plan.

It runs the parts side by side, each under a supervisor of its own, as many at a time as the file `width` says, then the
last script. Its output is the log of the job: a stage for each part that ends, a warning for each that fails. It ends
with status 0 if at least one part succeeded and so did the last script.

Parts die with their supervisors, these with the driver, and the driver with the supervisor of the job; what a part
leaves behind becomes a child of the driver, which ends it. A part that was begun is never begun again.
"""

from __future__ import annotations

import codecs
import contextlib
import ctypes
import functools
import os
import signal
import sys
import time
from collections import deque
from pathlib import Path

from uws_server.execution import processes, supervisor
from uws_server.execution.arrays import gathering, part, plan, verdict
from uws_server.execution.arrays.journal import BEGUN, Journal
from uws_server.execution.arrays.plan import Plan
from uws_server.execution.arrays.verdict import Verdict
from uws_server.execution.warm import loading, script
from uws_server.execution.warm.title import Title
from uws_server.jobs.phases import Phase

_COLD = "UWS_ARRAY_COLD"
"""The variable that says why the driver is to load no modules."""
_LOOK_S = 1.0
"""Seconds between two looks at how many parts may run at a time, while nothing else happens."""
_WOKEN_BY = frozenset({signal.SIGCHLD, signal.SIGTERM})
_STRAYS_TRIES, _STRAYS_S = 500, 0.005
"""How often, and after how many seconds, it is looked again whether what a part left behind has ended."""


class Driver:
    """Runs the parts of the job with a folder."""

    def __init__(self, folder: Path, planned: Plan, journal: Journal, start: part.Start) -> None:
        self.folder, self.plan, self.journal, self.start_script = folder, planned, journal, start
        self.todo = deque(range(1, len(planned.inputs) + 1))
        self.running: dict[int, int] = {}
        """The number of the part that each supervisor runs, by its pid; 0 is the last script."""
        self.ended: dict[int, Verdict] = {}
        self.is_stopping = False
        """Whether the job was asked to end: a part that has not begun by then never will."""

    def run(self) -> int:
        """Run all parts and the last script. Return the exit status."""
        self.report()
        while self.todo or self.running:
            while self.todo and len(self.running) < plan.width(self.folder, os.cpu_count() or 1):
                self.begin(self.todo.popleft())
            self.wait()
        succeeded = sum(one.phase is Phase.COMPLETED for one in self.ended.values())
        if self.is_stopping:
            return 1
        if not succeeded:
            return self.refuse()
        return self.gather() if self.plan.gather else 0

    def begin(self, number: int) -> None:
        """Begin a part."""
        place = self.folder / plan.folder_of(number)
        plan.prepare(place, self.plan.task(number))
        self.running[part.fork(place, self.start_script)] = number
        self.journal.note(number, BEGUN)

    def wait(self) -> None:
        """Wait for the end of a part, a request to end, or a while."""
        told = signal.sigtimedwait(_WOKEN_BY, _LOOK_S)
        if told is not None and told.si_signo == signal.SIGTERM:
            self.todo.clear()
            self.is_stopping = True
            for pid in self.running:  # none of them was waited for: they are those processes
                os.kill(pid, signal.SIGTERM)
        with contextlib.suppress(ChildProcessError):
            while (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
                number = self.running.pop(pid, None)
                if number:
                    self.end(number)

    def end(self, number: int) -> None:
        """Note how a part ended whose supervisor has ended."""
        ended = verdict.of_part(self.folder / plan.folder_of(number), self.plan.part, self.plan.statuses)
        ended = ended or Verdict(Phase.ERROR, "the supervisor of the part could not be started")
        if ended.status is None:
            self.end_strays()
        self.ended[number] = ended
        self.journal.note(number, ended.phase, ended.sentence)
        if ended.sentence:
            kind = "INFO" if ended.phase is Phase.COMPLETED else "WARNING"
            print(f"[{kind}] part {number} ({self.plan.inputs[number - 1].text}): {ended.sentence}")
        self.report()

    def end_strays(self) -> None:
        """End the processes that a supervisor left which was killed: they became children of this one."""
        for _ in range(_STRAYS_TRIES):
            strays = [pid for pid in processes.children(os.getpid()) if pid not in self.running]
            if not strays:
                return
            for pid in (*strays, *(below.pid for stray in strays for below in processes.descendants(stray))):
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            for pid in strays:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
            time.sleep(_STRAYS_S)

    def report(self) -> None:
        """Print how many parts have ended, as a stage."""
        failed = sum(one.phase is not Phase.COMPLETED for one in self.ended.values())
        more = f", {failed} failed" if failed else ""
        ended, total = len(self.ended), len(self.plan.inputs)
        print(f"[STAGE {ended}/{total}] {ended} of {total} parts have ended{more}", flush=True)

    def refuse(self) -> int:
        """Print why no part succeeded. Return the exit status."""
        number, ended = min(self.ended.items())
        total = len(self.plan.inputs)
        told = f"none of the {total} parts succeeded; part {number}: " if total > 1 else ""
        print(f"[ERROR] {told}{ended.sentence}", file=sys.stderr, flush=True)
        return 1

    def gather(self) -> int:
        """Run the last script. Return the exit status."""
        total = len(self.plan.inputs)
        print(f"[STAGE {total}/{total}] Gathering the parts", flush=True)
        assert self.plan.gather is not None
        place = gathering.prepare(self.folder, self.plan)
        self.running[part.fork(place, supervisor.execute)] = 0
        while self.running:
            self.wait()
        ended = verdict.of_part(place, self.plan.gather, self.plan.statuses)
        if ended is not None and ended.phase is Phase.COMPLETED:
            return 0
        if ended is None or ended.status is None:
            self.end_strays()
        why = ended.sentence if ended else "its supervisor could not be started"
        print(f"[ERROR] the parts could not be gathered: {why}", file=sys.stderr, flush=True)
        return 1


def starter(planned: Plan) -> part.Start:
    """Return what starts the script of a part: a fork of this process, or a new interpreter.

    A process that an import has spoiled is replaced by a new one, which loads nothing.
    """
    why = os.environ.pop(_COLD, planned.cold)
    if not why and planned.imports is not None:
        why = loading.load(planned.imports) or loading.shadowed(planned.own)
        if not why:
            return functools.partial(script.fork, title=Title())
        os.environ[_COLD] = why
        os.execv(sys.executable, sys.orig_argv)
    if why:
        print(f"[INFO] the script starts in a new Python for each part: {' '.join(why.split())}", flush=True)
    return supervisor.execute


def main() -> None:
    """Run the parts of the job whose folder is the current one."""
    ctypes.CDLL(None).prctl(supervisor.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # one that is ignored would not be waited for
    signal.pthread_sigmask(signal.SIG_BLOCK, _WOKEN_BY)
    folder = Path.cwd()
    planned = plan.read(folder)
    start = starter(planned)
    codecs.lookup("ascii")  # loaded here, and not in every fork
    loading.settle()
    with Journal(folder) as journal:
        code = Driver(folder, planned, journal, start).run()
    sys.exit(code)


if __name__ == "__main__":
    main()
