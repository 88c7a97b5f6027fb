"""A warm process as its server sees it: asked with a limit of time, and killed when it misbehaves.

Imports the messages and the handles of processes.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import uws_server
from uws_server.execution import local
from uws_server.execution.warm import messages
from uws_server.execution.warm.title import ARGUMENTS_ROOM, ENVIRONMENT_ROOM, ROOM_VARIABLE

ANSWER_S = 2.0
"""Seconds within which a process that is ready answers: it has a fork to make."""
LOAD_S = 120.0
"""Seconds within which a process has loaded modules."""
IDLE_S = 600
"""Seconds after which a process ends that nothing has used."""
_PROGRAM = (
    f"import sys; sys.path.insert(0, {str(Path(uws_server.__file__).parents[1])!r}); "
    "from uws_server.execution.warm import process; process.main()"
)


class Misbehaved(Exception):
    """A warm process that ended, did not answer in time, or is not to be used any more."""


class WarmLink:
    """A warm process; `pending` is called with the answer that it still owes."""

    def __init__(self, handle: local.Handle, connection: socket.socket) -> None:
        self.handle, self._connection = handle, connection
        self._pending: Callable[[dict[str, Any]], None] | None = lambda _: None  # its first message: it is ready
        self._due = time.monotonic() + LOAD_S

    @classmethod
    def started(cls, environment: Mapping[str, str]) -> WarmLink:
        """Start a process. Raises OSError where that is impossible."""
        with _pair() as (ours, theirs):
            process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, str(theirs.fileno()), str(IDLE_S), " " * ARGUMENTS_ROOM],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd="/",
                env={**environment, ROOM_VARIABLE: " " * ENVIRONMENT_ROOM},
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
            for stream in (process.stdout, process.stderr):
                assert stream is not None
                stream.close()
            try:
                return cls(local.Handle(process.pid, process), ours.dup())
            except OSError:
                process.kill()
                process.wait()
                raise

    def split(self) -> WarmLink:
        """Return a further process that this one has forked. Raise Misbehaved."""
        with _pair() as (ours, theirs):
            return WarmLink(self._forked({"do": "split"}, theirs.fileno()), ours.dup())

    def start(self, folder: Path, own: tuple[str, ...], script: str) -> local.Handle | str:
        """Return the supervisor of a job, or why the job cannot be started here. Raise Misbehaved.

        Parameters
        ----------
        folder
            The folder of the job.
        own
            The names of modules in the folder of the script.
        script
            How the supervisor starts the script: 'fork' or 'execute'.
        """
        message = {"do": "start", "folder": str(folder), "own": own, "script": script == "fork"}
        try:
            return self._forked(message | {"title": local.command(folder)})
        except _Refused as refused:
            return str(refused)

    def load(self, imports: object, loaded: Callable[[dict[str, Any]], None]) -> None:
        """Have modules imported; `loaded` gets the answer when it is there, by `is_ready`. Raise Misbehaved."""
        self._send({"do": "load", "imports": imports})
        self._pending, self._due = loaded, time.monotonic() + LOAD_S

    def is_ready(self) -> bool:
        """Return whether the process owes no answer. Raise Misbehaved if it has ended, or owes one for too long."""
        if self._has_answered(0):
            answer, descriptor = self._receive()
            if descriptor >= 0:
                os.close(descriptor)
            if self._pending is None:
                raise Misbehaved("it sent what nobody asked for")
            pending, self._pending = self._pending, None
            pending(answer)
        if self._pending is not None and time.monotonic() > self._due:
            raise Misbehaved(f"it has not answered for {LOAD_S:.0f} s")
        return self._pending is None

    def kill(self) -> None:
        """End the process, but none of those that it forked."""
        self._connection.close()
        self.handle.kill()
        self.handle.close()

    def _forked(self, message: dict[str, Any], *descriptors: int) -> local.Handle:
        """The process that was forked upon a message."""
        spare = os.open(os.devnull, os.O_RDONLY)  # so that a descriptor is left for that of the new process
        try:
            self._send(message, *descriptors)
            if not self._has_answered(ANSWER_S):
                raise Misbehaved(f"it has not answered for {ANSWER_S:.0f} s")
            os.close(spare)
            spare = -1
            answer, descriptor = self._receive()
        finally:
            if spare >= 0:
                os.close(spare)
        if "refused" in answer:
            raise _Refused(answer["refused"])
        if "pid" not in answer:
            raise Misbehaved(answer.get("failed") or "the code of a module that it has loaded was changed")
        if descriptor < 0:  # a supervisor that nobody watches must not run
            os.kill(answer["pid"], signal.SIGKILL)
            raise Misbehaved("no descriptor was left for what it forked")
        return local.Handle(answer["pid"], fd=descriptor)

    def _has_answered(self, seconds: float) -> bool:
        """Whether there is something to receive, or the process has ended, within so many seconds."""
        poll = select.poll()  # a server has more descriptors than select() takes
        poll.register(self._connection, select.POLLIN)
        return bool(poll.poll(1000 * seconds))

    def _send(self, message: dict[str, Any], *descriptors: int) -> None:
        try:
            messages.send(self._connection, message, *descriptors)
        except OSError as error:
            raise Misbehaved("it has ended") from error

    def _receive(self) -> tuple[dict[str, Any], int]:
        try:
            return messages.receive(self._connection)
        except (OSError, EOFError, ValueError) as error:
            raise Misbehaved("it has ended") from error


class _Refused(Exception):
    """A job that a process does not start, and why."""


@contextlib.contextmanager
def _pair() -> Any:
    """Two connected sockets, closed after the block; ours never blocks."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        ours.setblocking(False)  # a process that does not read must not hold up its server
        yield ours, theirs
