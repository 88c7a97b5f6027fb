"""The driver of an array: what the supervisor of such a job runs as its script. Imports the parts and their plan.

It runs the parts side by side, by workers that are their supervisors, as many at a time as the file `width` says, then
the last script. Its output is the log of the job: a stage for each part that ends, a warning for each that fails. Its
status is 0 if at least one part succeeded and so did the last script.

Scripts die with their worker, workers with the driver, and the driver with the supervisor of the job; what a worker
that is killed leaves becomes a child of the driver, which ends it. A part that was begun is never begun again.
"""

from __future__ import annotations

import codecs
import contextlib
import ctypes
import functools
import os
import select
import signal
import sys
import time
from collections import deque
from pathlib import Path

from uws_server.execution import processes, supervisor
from uws_server.execution.arrays import gathering, plan, sharing, verdict
from uws_server.execution.arrays.journal import BEGUN, Journal
from uws_server.execution.arrays.plan import Plan
from uws_server.execution.arrays.verdict import Verdict
from uws_server.execution.arrays.workers import GATHERED, Start, Worker
from uws_server.execution.warm import loading, script
from uws_server.execution.warm.title import Title
from uws_server.jobs.part import Held
from uws_server.jobs.phases import Phase

_COLD = "UWS_ARRAY_COLD"
"""The variable that says why the driver is to load no modules."""
_LOOK_S = 0.2
"""Seconds between two looks at how many parts may run at a time, while nothing else happens."""
_STRAYS_TRIES, _STRAYS_S = 500, 0.005
"""How often, and after how many seconds, it is looked again whether what a part left behind has ended."""


class Driver:
    """Runs the parts of the job with a folder; `woken` is a pipe in which a request to end wakes it."""

    def __init__(self, folder: Path, planned: Plan, journal: Journal, start: Start, woken: int) -> None:
        self.folder, self.plan, self.journal, self.start_script = folder, planned, journal, start
        self.todo = deque(range(1, len(planned.inputs) + 1))
        self.workers: dict[int, Worker] = {}
        """By the descriptor that tells the end of its part."""
        self.said: tuple[Held, int] | None = None
        """What was written last of the places that the job holds."""
        self.ended: dict[int, Verdict] = {}
        self.is_stopping = False
        """Whether the job was asked to end: a part that has not begun by then never will."""
        self.poll = select.poll()
        self.woken = woken
        self.poll.register(woken, select.POLLIN)

    def run(self) -> int:
        """Run all parts and the last script. Return the exit status."""
        if (self.folder / plan.TASKS_FILE).exists():
            self.read_ends()
        self.report()
        while self.todo or self.running():
            self.begin_some()
            self.wait()
        succeeded = sum(one.phase is Phase.COMPLETED for one in self.ended.values())
        if self.is_stopping:
            return 1
        if not succeeded:
            return self.refuse()
        return self.gather() if self.plan.gather else 0

    def read_ends(self) -> None:
        """Read how the parts ended, which the tasks of a cluster ran; none is begun here."""
        while self.todo:
            number = self.todo.popleft()
            self.note_end(number, self.verdict_of(number))

    def begin_some(self) -> None:
        """Begin as many parts as may run."""
        for _ in range(self.places(len(self.todo)) - len(self.running())):
            if self.todo:
                self.begin(self.todo.popleft(), self.start_script)

    def places(self, todo: int) -> int:
        """Return how many parts may run now, and say how many places are held if that has changed.

        It is said before a part begins: what was given up is never used.
        """
        width, message = sharing.told(self.folder)
        busy = len(self.running())
        most = (os.cpu_count() or 1) if width is None else width
        held = Held(max(busy, min(most, busy + todo)), busy + todo)
        if self.said is None or (held.places, message) != (self.said[0].places, self.said[1]):
            sharing.say(self.folder, held, message)
            self.said = held, message
        return held.places

    def running(self) -> list[Worker]:
        """Return the workers that run something."""
        return [worker for worker in self.workers.values() if worker.number is not None]

    def begin(self, number: int, start: Start) -> None:
        """Have a part run by a worker that waits, or by a new one."""
        worker = next((each for each in self.workers.values() if each.number is None), None)
        if worker is None:
            worker = Worker(self.folder, self.plan, start)
            self.workers[worker.fileno()] = worker
            self.poll.register(worker, select.POLLIN)
        if number:
            self.journal.note(number, BEGUN)
        worker.begin(number)

    def wait(self) -> None:
        """Wait for the end of a part, a request to end, or a while."""
        for descriptor, _ in self.poll.poll(1000 * _LOOK_S):
            if descriptor == self.woken:
                os.read(self.woken, 512)
                self.stop()
                continue
            worker = self.workers[descriptor]
            if worker.has_ended():
                self.forget(worker)
            number, worker.number = worker.number, None
            if number:
                self.end(number)

    def stop(self) -> None:
        """Begin no more parts, and ask those that run to end."""
        self.todo.clear()
        self.is_stopping = True
        for worker in self.running():
            os.kill(worker.pid, signal.SIGTERM)  # not waited for: it is that process

    def forget(self, worker: Worker) -> None:
        """Forget a worker that has ended, and end what it left."""
        del self.workers[worker.fileno()]
        self.poll.unregister(worker)
        worker.close()
        os.waitpid(worker.pid, 0)
        self.end_strays()

    def end(self, number: int) -> None:
        """Note how a part ended whose supervisor has ended."""
        ended = self.verdict_of(number)
        self.journal.note(number, ended.phase, ended.sentence)
        self.note_end(number, ended)
        self.report()

    def verdict_of(self, number: int) -> Verdict:
        """Return how a part ended whose supervisor has ended."""
        ended = verdict.of_part(self.folder / plan.folder_of(number), self.plan.part, self.plan.statuses)
        return ended or verdict.of_unbegun(self.folder)

    def note_end(self, number: int, ended: Verdict) -> None:
        """Take note of how a part ended, and print its sentence if it has one."""
        self.ended[number] = ended
        if ended.sentence:
            kind = "INFO" if ended.phase is Phase.COMPLETED else "WARNING"
            print(f"[{kind}] part {number} ({self.plan.inputs[number - 1].text}): {ended.sentence}")

    def end_strays(self) -> None:
        """End the processes that a worker left which was killed: they became children of this one."""
        own = {worker.pid for worker in self.workers.values()}
        for _ in range(_STRAYS_TRIES):
            strays = [pid for pid in processes.children(os.getpid()) if pid not in own]
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
        print(stage_of(len(self.ended), len(self.plan.inputs), failed), flush=True)

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
        for worker in self.workers.values():  # they start what they were made for
            self.poll.unregister(worker)
            worker.close()
        self.workers.clear()
        while self.places(1) < 1:
            self.wait()
            if self.is_stopping:
                return 1
        self.begin(GATHERED, supervisor.execute)
        while self.running():
            self.wait()
        ended = verdict.of_part(place, self.plan.gather, self.plan.statuses)
        if ended is not None and ended.phase is Phase.COMPLETED:
            return 0
        why = ended.sentence if ended else "its supervisor could not be started"
        print(f"[ERROR] the parts could not be gathered: {why}", file=sys.stderr, flush=True)
        return 1


def stage_of(ended: int, total: int, failed: int) -> str:
    """Return the line of the log that says how many parts have ended."""
    more = f", {failed} failed" if failed else ""
    return f"[STAGE {ended}/{total}] {ended} of {total} parts have ended{more}"


def starter(planned: Plan) -> Start:
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
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGTERM, lambda *_: None)  # it is read from the pipe
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    folder = Path.cwd()
    planned = plan.read(folder)
    start = starter(planned)
    codecs.lookup("ascii")  # loaded here, and not in every fork
    loading.settle()
    with Journal(folder) as journal:
        code = Driver(folder, planned, journal, start, woken).run()
    sys.exit(code)


if __name__ == "__main__":
    main()
