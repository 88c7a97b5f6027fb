"""Python programs started as forks of a process that has their modules loaded, by the code of the warm starts of jobs.

Hundreds of servers, commands and scripts run in the tests, and half a second of each was the import of the same
modules. A fork gets streams, folder, environment, arguments and exit status as a new interpreter does; `popen` and
`run` take and return what those of `subprocess` do. What Python reads before its first line (PYTHON*, the locale) is
that of the process that is forked: there is one for each such set of variables.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from uws_server.execution.warm import loading, script
from uws_server.execution.warm.imports import Import
from uws_server.execution.warm.title import ARGUMENTS_ROOM, ENVIRONMENT_ROOM, ROOM_VARIABLE, Title

ROOT = Path(__file__).resolve().parents[2]
_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "TZ", "OMP_", "OPENBLAS_")
"""Beginnings of the names of variables that Python or a library reads when it is loaded."""
_MEASURED = "COVERAGE_PROCESS_CONFIG"
"""The variable by which `make coverage` has processes measured."""
_PROGRAM = "import sys; sys.path[:0] = sys.argv[2].split(':'); import warmpython; warmpython.main()"
_STREAMS = 3
_MOST = 1 << 17


class Forked:
    """A program that was started, like a `subprocess.Popen` of it."""

    def __init__(self, arguments: Sequence[str], told: int, stdout: IO[str] | None) -> None:
        self.args, self.stdout = list(arguments), stdout
        self.returncode: int | None = None
        self._told = told
        self._pid = self._fd = -1
        self.pid = int(self._line())
        with contextlib.suppress(ProcessLookupError):  # it has ended: its status is there
            self._fd = os.pidfd_open(self.pid)

    def poll(self) -> int | None:
        """Return the exit status; None as long as the program runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end of the program. Return its exit status, or raise TimeoutExpired."""
        if self.returncode is None:
            ready = select.poll()
            ready.register(self._told, select.POLLIN)
            if not ready.poll(None if timeout is None else timeout * 1000):
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            self.returncode = int(self._line())
            for descriptor in (self._told, self._fd):
                if descriptor >= 0:
                    os.close(descriptor)
        return self.returncode

    def send_signal(self, sign: int) -> None:
        """Send a signal, unless the program has ended."""
        if self.poll() is None and self._fd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._fd, sign)

    def terminate(self) -> None:
        """Ask the program to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the program."""
        self.send_signal(signal.SIGKILL)

    def _line(self) -> str:
        """The next line that is told of the program: its number, then its exit status."""
        line = b""
        while not line.endswith(b"\n"):
            byte = os.read(self._told, 1)
            assert byte, "the process that was forked has ended"
            line += byte
        return line.decode()


def popen(
    arguments: Sequence[str],
    needed: Sequence[Import],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdout: IO[Any] | int | None = None,
    stderr: IO[Any] | None = None,
) -> Forked | subprocess.Popen[str]:
    """Start a program of Python, whose command line is `sys.executable` and more, where these modules are loaded.

    Its input is empty; its output goes where that of `subprocess.Popen` would, as text. Where no modules are named,
    or the code that runs is measured, it starts in a new interpreter.
    """
    assert arguments[0] == sys.executable, arguments
    environment = dict(os.environ if env is None else env)
    if not needed or _MEASURED in environment:
        return subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, text=True, env=environment, cwd=cwd
        )
    at_start = {name: value for name, value in environment.items() if name.startswith(_AT_START)}
    connection = _process(tuple(sorted(at_start.items())), tuple(needed))
    message = {"command": list(arguments), "env": environment, "cwd": str(cwd or Path.cwd())}
    told, told_end = os.pipe()
    out, out_end = os.pipe() if stdout == subprocess.PIPE else (-1, -1)
    ours = out_end if stdout == subprocess.PIPE else _descriptor(stdout, 1)
    try:
        data = json.dumps(message, ensure_ascii=True).encode()
        socket.send_fds(connection, [data], [ours, _descriptor(stderr, 2), told_end])
    finally:
        os.close(told_end)
        if out_end >= 0:
            os.close(out_end)
    return Forked(arguments, told, os.fdopen(out, encoding="utf-8") if out >= 0 else None)


def run(
    arguments: Sequence[str],
    needed: Sequence[Import],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program of Python to its end, as `subprocess.run` with `capture_output` and `text` does."""
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as out,
        tempfile.TemporaryFile("w+", encoding="utf-8") as errors,
    ):
        started = popen(arguments, needed, env=env, cwd=cwd, stdout=out, stderr=errors)
        try:
            code = started.wait(timeout)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()
            raise
        for stream in (out, errors):
            stream.seek(0)
        return subprocess.CompletedProcess(list(arguments), code, out.read(), errors.read())


def _descriptor(stream: IO[Any] | int | None, inherited: int) -> int:
    assert stream is None or not isinstance(stream, int), "only a file, a pipe for the output, or what the tests have"
    return inherited if stream is None else stream.fileno()


@functools.cache
def _process(at_start: tuple[tuple[str, str], ...], needed: tuple[Import, ...]) -> socket.socket:
    """The connection to a process with these modules loaded, which ends when it is closed."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_AT_START)}
    paths = f"{Path(__file__).parent}:{ROOT}"
    words = [sys.executable, "-c", _PROGRAM, str(theirs.fileno()), paths, json.dumps(needed), " " * ARGUMENTS_ROOM]
    with theirs:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,  # streams are made for pipes, as those of most programs are
            stderr=subprocess.PIPE,
            cwd="/",
            env=environment | dict(at_start) | {ROOM_VARIABLE: " " * ENVIRONMENT_ROOM},
            pass_fds=[theirs.fileno()],
        )
    assert process.stdout is not None
    assert process.stderr is not None
    if process.stdout.read(1) != b"+":  # it is ready
        raise AssertionError(process.stderr.read().decode())
    process.stdout.close()
    process.stderr.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def main() -> None:
    """Load the modules that are named and fork a program for each message, until the tests end."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    connection.set_inheritable(False)
    # where this is imported from, and the current folder
    del sys.path[: len(sys.argv[2].split(":")) + (0 if sys.flags.safe_path else 1)]
    os.environ.pop(ROOM_VARIABLE, None)
    if why := loading.load(json.loads(sys.argv[3])):
        sys.exit(why)
    del sys.modules["warmpython"]
    os.write(1, b"+")
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):
        os.dup2(null, stream)
    os.close(null)
    title = Title()
    gc.collect()
    gc.freeze()
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    running: dict[int, tuple[int, int]] = {}
    while True:
        for ready, _ in poll.poll():
            if ready in running:
                poll.unregister(ready)
                pid, told = running.pop(ready)
                _, status = os.waitpid(pid, 0)
                _tell(told, os.waitstatus_to_exitcode(status))
                os.close(ready)
                os.close(told)
                continue
            data, descriptors, _, _ = socket.recv_fds(connection, _MOST, _STREAMS)
            if not data:
                os._exit(0)
            pid = os.fork()
            if pid == 0:
                _become(json.loads(data), descriptors[:2], title)
            *streams, told = descriptors
            for stream in streams:
                os.close(stream)
            _tell(told, pid)
            descriptor = os.pidfd_open(pid)
            running[descriptor] = pid, told
            poll.register(descriptor, select.POLLIN)


def _tell(told: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody waits for it any more
        os.write(told, f"{number}\n".encode())


def _become(message: dict[str, Any], streams: Sequence[int], title: Title) -> None:
    """Be the program of a message, in a fork."""
    code = 1
    try:
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (streams[0], 1), (streams[1], 2)):
            os.dup2(source, target)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        os.chdir(message["cwd"])
        command = message["command"]
        script._describe(command, message["env"], title)
        if command[1] == "-c":  # the scripts of jobs have no arguments behind their code
            command[2:] = [f"import sys; sys.argv += {command[3:]!r}; {command[2]}"]
        elif command[1] == "-m" and not sys.flags.safe_path:
            sys.path.insert(0, message["cwd"])
        modules = set(sys.modules)
        code = script._run(command)
        code = script._end(code, modules)
    finally:
        os._exit(code)
