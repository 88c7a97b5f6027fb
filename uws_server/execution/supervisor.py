"""The supervisor of one job: a small detached process that starts the script, watches it and records its end.

Uses the standard library, and of this package only what looks at processes and writes in the folder of a job, so that
it starts in a few hundredths of a second (`local.command`). It reads `launch.json`, claims the folder with
`shepherd.json` (the name that the first version gave it), so that a job never runs twice, copies the output of the
script to `job.log` (and to `stdout.log`, `stderr.log`), and leaves `status.json`. SIGTERM aborts, SIGUSR1 suspends,
SIGUSR2 resumes. No process that the script started outlives it, not even one that called setsid: the supervisor is the
subreaper of the tree. It needs no server: one that was killed and started again reads `status.json`.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Protocol

from uws_server.execution.control_group import ControlGroup
from uws_server.execution.excess import Excess
from uws_server.execution.job_logs import Logs
from uws_server.execution.jobfolder import claim, remove_secrets, secrets_in, write_json
from uws_server.execution.processes import descendants, kill_tree
from uws_server.execution.usage import Sampler
from uws_server.storage.plainfiles import size_of

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
SIGNALS = frozenset({signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2})
"""The signals for a supervisor: blocked from before it starts until it can handle them."""

GRACE_S = 2.0
"""Seconds between the request to end (SIGTERM) and the end (SIGKILL)."""
_GIVE_UP_S = 10.0
"""Seconds for which it tries to end what cannot be killed: a process stuck in the kernel, or of another user."""
_SETTLE_S = 0.05
"""Seconds between two looks at whether all processes of a suspended script stand still."""
_ALSO_S = 2.0
"""Seconds for which a supervisor on a cluster waits for the request to end by which its script has ended."""
_STILL = frozenset("TtZXx")
"""The states of processes that are stopped or have ended."""
_DISK_CHECK_S = 2.0
"""Seconds between the checks of the disk space that the job uses, where that has a limit."""


class Script(Protocol):
    """A script that was started, as `subprocess.Popen` has it."""

    pid: int
    stdout: IO[bytes] | None
    stderr: IO[bytes] | None
    returncode: int | None


class Supervisor:
    """Runs one command to its end; `start` starts it."""

    def __init__(self, folder: Path, launch: dict[str, Any], start: Callable[[Supervisor], Script]) -> None:
        self.folder = folder
        self.launch = launch
        self.start = start
        self.pid = os.getpid()
        self.reason: str | None = None
        self.code: int | None = None
        self.ending_since = 0.0
        self.paused_since: float | None = None
        self.settling = False
        self.requests: deque[Callable[[], None]] = deque()
        self.started, self.begun = time.time(), time.monotonic()
        self.deadline = self.begun + launch["duration"] if launch["duration"] else float("inf")
        self.max_disk = int(launch.get("max_disk", 0))
        self.excess = Excess(launch)
        self.group = ControlGroup(folder, launch)
        self.disk_before = size_of(folder) if self.max_disk else 0
        self.next_disk_check = time.monotonic() + _DISK_CHECK_S if self.max_disk else float("inf")
        self.process = 0
        self.cpu_s, self.max_rss_kib = 0.0, 0
        self.relays = bool(launch.get("relays"))
        """Whether the script passes a request to end on to supervisors of its own, which need as long as this one."""
        self.sampler = Sampler(folder, self.excess.processes)
        self.secrets = str(launch.get("secrets", ""))
        self.logs = Logs(folder, launch["max_log"], secrets_in(self.secrets))
        self.home = os.open(folder, os.O_PATH | os.O_DIRECTORY)
        self.selector = selectors.DefaultSelector()
        self.wake_out, self.wake_in = os.pipe()

    def run(self) -> None:
        """Start the script, wait for its end, end all its processes, write status.json."""
        self.listen()
        try:
            process = self.start(self)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            self.logs.add("stderr", f"[ERROR] the script cannot be started: {error}\n".encode())
            self.finish(127)
            return
        self.process = process.pid
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        try:
            self.watch(process)
            self.hear()
        finally:
            self.end_tree()
        self.drain()
        assert self.code is not None
        process.returncode = self.code
        self.finish(self.code)

    def listen(self) -> None:
        """Have the signals and the end of a child wake the supervisor."""
        os.set_blocking(self.wake_in, False)
        signal.set_wakeup_fd(self.wake_in, warn_on_full_buffer=False)
        # only noted here: what they ask for must not happen in the middle of another request
        signal.signal(signal.SIGTERM, lambda *_: self.requests.append(lambda: self.end("abort")))
        signal.signal(signal.SIGUSR1, lambda *_: self.requests.append(self.pause))
        signal.signal(signal.SIGUSR2, lambda *_: self.requests.append(self.go_on))
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.selector.register(self.wake_out, selectors.EVENT_READ, lambda: os.read(self.wake_out, 512))

    def hear(self) -> None:
        """Carry out a request to end that comes while the script ends by it: a cluster sends it to the script as well.

        In whichever order, and a process that stands still handles it later than others.
        """
        late = time.monotonic() + (_ALSO_S if "SLURM_JOB_ID" in os.environ else 0.0)
        while self.code == -signal.SIGTERM and self.reason is None:
            if self.requests:
                self.requests.popleft()()
            elif time.monotonic() < late:
                time.sleep(_SETTLE_S)
            else:
                return

    def limits(self) -> None:
        """Set the limits of a process of the script, in the child: it dies with the supervisor."""
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self.pid:
            os._exit(1)  # the supervisor died before the line above
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        self.group.join()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        memory = self.launch["max_memory"]
        if memory:
            hard = resource.getrlimit(resource.RLIMIT_AS)[1]
            most = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
        if self.max_disk:
            hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            most = self.max_disk if hard == resource.RLIM_INFINITY else min(self.max_disk, hard)
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        os.nice(self.launch.get("nice", 5))

    def watch(self, process: Script) -> None:
        """Copy the output and enforce the deadlines until the script ends."""
        for name, stream in (("stdout", process.stdout), ("stderr", process.stderr)):
            assert stream is not None
            self.selector.register(stream, selectors.EVENT_READ, self.reader(name, stream.fileno()))
        while self.reap(process.pid) and self.code is None:
            self.step()

    def reap(self, script: int = 0) -> bool:
        """Reap the children that ended, orphans of the script too. Return False if no child is left."""
        try:
            while True:
                pid, status, used = os.wait4(-1, os.WNOHANG)
                if pid == 0:
                    return True
                self.cpu_s += used.ru_utime + used.ru_stime
                self.max_rss_kib = max(self.max_rss_kib, used.ru_maxrss)
                if pid == script:
                    self.code = os.waitstatus_to_exitcode(status)
        except ChildProcessError:
            return False

    def end_tree(self) -> None:
        """Kill all processes of the script.

        A process that lost its parent became a child of the supervisor, so that none is left once this has no child.
        """
        give_up = time.monotonic() + _GIVE_UP_S
        while self.reap() and time.monotonic() < give_up:
            self.group.kill()
            kill_tree(signal.SIGKILL)
            time.sleep(0.002)

    def reader(self, name: str, fd: int) -> Callable[[], None]:
        """Return the handler of a pipe: it copies the content to the logs, or unregisters a pipe that was closed."""

        def read() -> None:
            data = os.read(fd, 1 << 16)
            if data:
                self.logs.add(name, data)
            else:
                self.selector.unregister(fd)

        return read

    def step(self) -> None:
        """Wait for output, a signal or the next deadline, and handle it."""
        while self.requests:
            self.requests.popleft()()
        now = time.monotonic()
        if self.reason is None and self.paused_since is None and now >= self.deadline:
            self.end("timeout")
        if self.reason is not None and now - self.ending_since > (2 * GRACE_S if self.relays else GRACE_S):
            kill_tree(signal.SIGKILL)
        if now >= self.next_disk_check:
            self.next_disk_check = now + _DISK_CHECK_S
            if self.is_over():
                self.end("disk")
        if self.settling:
            self.settle()
        if self.sampler.look(now):
            self.group.keep()
        if excess := self.excess.reason(self.sampler, self.pid):
            self.end(excess)
        wait = 0.1 if self.reason else 3600.0 if self.paused_since else min(self.deadline - now, 3600.0)
        wait = min(wait, _SETTLE_S) if self.settling else wait
        for key, _ in self.selector.select(max(0.0, min(wait, self.next_disk_check - now, self.sampler.next - now))):
            key.data()

    def is_over(self) -> bool:
        """Return whether the job has written as much as it may: a file that reached the limit stopped growing."""
        return size_of(self.folder) - self.disk_before >= self.max_disk

    def end(self, reason: str) -> None:
        """Ask all processes to end, once."""
        if self.reason is None:
            self.reason, self.settling = reason, False
            self.ending_since = time.monotonic()
            if self.relays:
                os.kill(self.process, signal.SIGTERM)  # not reaped yet: it is that process
            else:
                # the process of a sandbox would end the script at once: only the script is asked
                kill_tree(signal.SIGTERM, but=self.process if self.launch.get("sandboxed") else 0)
            kill_tree(signal.SIGCONT)  # a stopped process could not handle it

    def pause(self) -> None:
        """Stop all processes; the time limit is suspended."""
        if self.reason is None and self.paused_since is None:
            self.paused_since = time.monotonic()
            self.settling = True
            self.sampler.note_still(True)

    def settle(self) -> None:
        """Stop the processes, also those that were being started a moment ago, until all stand still."""
        self.settling = not all(process.state in _STILL for process in descendants(os.getpid()))
        if self.settling:
            kill_tree(signal.SIGSTOP)

    def go_on(self) -> None:
        """Continue the stopped processes."""
        if self.paused_since is not None:
            self.deadline += time.monotonic() - self.paused_since
            self.paused_since, self.settling = None, False
            kill_tree(signal.SIGCONT)
            self.sampler.note_still(False)

    def drain(self) -> None:
        """Read the rest of the pipes."""
        while events := self.selector.select(0):
            for key, _ in events:
                key.data()

    def finish(self, code: int) -> None:
        """Write how the script ended and which resources it used."""
        self.logs.end()
        if Path(self.secrets).name == self.folder.name:  # those of an array are its job's, not a part's
            remove_secrets(self.secrets)
        self.restore()
        if self.max_disk and (self.reason == "disk" or (self.reason is None and self.is_over())):
            self.reason, code = "disk", code or 1
            self.logs.report(
                f"[ERROR] disk: the job wrote more than its limit of {self.max_disk:,} bytes and was ended"
            )
        if self.reason is None and self.group.ran_out():
            self.reason = "memory"
        self.group.remove()
        if sentence := self.excess.sentence(self.reason):
            code = code or 1
            self.logs.report(sentence)
        status = {
            "reason": self.reason or "exit",
            "code": code,
            "start": self.started,
            "end": self.started + time.monotonic() - self.begun,  # whatever became of the clock meanwhile
            "cpu_s": self.cpu_s,
            "max_rss_kib": self.max_rss_kib,
            "memory": self.sampler.peak,
        }
        # a power failure that ends a part ends its driver, too: nothing would read what is settled
        settle = _leave if self.launch.get("passing") else os.fsync
        write_json(self.folder / "status.json", status, settle)
        self.logs.write_missed()

    def close(self) -> None:
        """Release what it has opened: its process may be the supervisor of another job next."""
        signal.set_wakeup_fd(-1)
        self.selector.close()
        for descriptor in (self.home, self.wake_in, self.wake_out):
            os.close(descriptor)
        for log in (self.logs.all, *self.logs.each.values()):
            log.close()

    def restore(self) -> None:
        """Put the folder back in its place if the script moved it; make a new one if it removed it."""
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(self.folder.stat(), os.fstat(self.home)):
                self.folder.chmod(0o700)
                return
        with contextlib.suppress(OSError):  # such as one that was removed, or whose place was taken
            Path(f"/proc/self/fd/{self.home}").readlink().rename(self.folder)
            self.logs.report("[WARNING] the script moved the folder of its job; it was put back")
            return
        self.reason = self.reason or "gone"
        self.folder.mkdir(parents=True, exist_ok=True)
        claim(self.folder)  # whoever finds it must not run the job again


def _leave(_file: int) -> None:
    """Leave it to the system when a file comes to the disk."""


def execute(keeper: Supervisor) -> subprocess.Popen[bytes]:
    """Start the script of a supervisor in a session of its own, its output in two pipes."""
    return subprocess.Popen(
        keeper.launch["command"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=keeper.folder,
        env=keeper.launch["environment"],
        start_new_session=True,
        preexec_fn=keeper.limits,
    )


def supervise(folder: Path, start: Callable[[Supervisor], Script] = execute) -> None:
    """Supervise the job of a folder, whose script `start` starts, unless another supervisor has claimed it."""
    # until the script runs, a request to end it waits: it would end the supervisor, which would leave no status
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    with contextlib.suppress(PermissionError):  # it is the leader of a group or a session already
        os.setsid()
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    launch = json.loads((folder / "launch.json").read_text(encoding="utf-8"))
    if claim(folder):
        keeper = Supervisor(folder, launch, start)
        keeper.run()
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # the next one is for what this process runs next
        keeper.close()


def main() -> None:
    """Supervise the job whose folder is the only argument."""
    supervise(Path(sys.argv[1]))
    # all is written: the server waits for the end of the process, which the interpreter would delay by 10 ms
    os._exit(0)
