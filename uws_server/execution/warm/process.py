"""The warm process: waits for a server's messages, loads modules, and forks supervisors. Imports the supervisor.

It has one thread, does nothing by itself, and ends with its server or when nothing has used it for a while. Whatever it
forks needs it no more. Messages: `start` a supervisor, `load` modules, `split` off a process like this one.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from uws_server.execution import supervisor
from uws_server.execution.warm import loading, messages, script, state
from uws_server.execution.warm.title import ROOM_VARIABLE, Title

_IDLE_S = 600.0
"""Seconds without a message after which the process ends."""


class WarmProcess:
    """This process, as it answers one server."""

    def __init__(self, connection: socket.socket, idle_s: float) -> None:
        # with its server, or the process that it was split from, ends one that hangs in an import, too
        ctypes.CDLL(None).prctl(supervisor.PR_SET_PDEATHSIG, signal.SIGKILL)
        self.connection, self.idle_s = connection, idle_s
        self.title = Title()
        self.selector = selectors.DefaultSelector()
        self.selector.register(connection, selectors.EVENT_READ)
        self.files = state.signatures()
        gc.collect()
        gc.freeze()

    def serve(self) -> None:
        """Answer messages until the server ends, or sends none for a while."""
        messages.send(self.connection, {"ready": True})
        until = time.monotonic() + self.idle_s
        while (left := until - time.monotonic()) > 0:
            for key, _ in self.selector.select(left):
                if key.data is not None:
                    self.reap(key.data, key.fd)
                    continue
                try:
                    message, descriptor = messages.receive(self.connection)
                    self.answer(message, descriptor)
                except (EOFError, ConnectionError, BrokenPipeError):
                    return
                until = time.monotonic() + self.idle_s

    def reap(self, pid: int, descriptor: int) -> None:
        """Forget a fork that has ended."""
        self.selector.unregister(descriptor)
        os.close(descriptor)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)

    def answer(self, message: dict[str, Any], descriptor: int) -> None:
        """Do what a message asks for, and answer it."""
        match message["do"]:
            case "load":
                messages.send(self.connection, self.load(message["imports"]))
            case "split":
                self.fork(lambda: self.split(descriptor))
                os.close(descriptor)
            case "start":
                if refusal := self.refusal(message["own"]):
                    messages.send(self.connection, refusal)
                else:
                    self.fork(lambda: self.supervise(message))

    def refusal(self, own: Sequence[str]) -> dict[str, Any]:
        """Return why a job must not start here; empty if it may. `own` are modules in the folder of its script."""
        if any(state.signature(file) != before for file, before in self.files.items()):
            return {"stale": True}
        why = loading.shadowed(own)
        return {"refused": why} if why else {}

    def fork(self, child: Any) -> None:
        """Fork a process that calls `child`, and answer with its pid and a descriptor of it."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, supervisor.SIGNALS)
        try:
            pid = os.fork()
            if pid == 0:
                _run_and_exit(child)
            own = os.pidfd_open(pid)  # of this very process, even if it has ended: it was not waited for
        except OSError as error:
            messages.send(self.connection, {"failed": str(error)})
            return
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self.selector.register(own, selectors.EVENT_READ, pid)
        messages.send(self.connection, {"pid": pid}, own)

    def supervise(self, message: dict[str, Any]) -> None:
        """Be the supervisor of a job, in a fork."""
        folder = Path(message["folder"])
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        os.chdir(folder)
        self.title.set_arguments(message["title"])
        try:
            if message["script"]:
                supervisor.supervise(folder, functools.partial(script.fork, title=self.title))
            else:
                supervisor.supervise(folder)
        except BaseException:
            with (folder / "shepherd.err").open("ab") as errors:  # where the server looks for what went wrong
                os.dup2(errors.fileno(), 2)
            raise

    def split(self, descriptor: int) -> None:
        """Be a further warm process, in a fork, that answers over another socket."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, supervisor.SIGNALS)
        os.setsid()
        os.closerange(3, descriptor)
        os.closerange(descriptor + 1, os.sysconf("SC_OPEN_MAX"))
        WarmProcess(socket.socket(fileno=descriptor), self.idle_s).serve()

    def load(self, imports: Sequence[tuple[str, Sequence[str]]]) -> dict[str, Any]:
        """Import modules. Return the memory in use, or why the process is not to be used any more."""
        begun = time.time_ns()
        if why := loading.load(imports):
            return {"refused": why}
        self.files = state.signatures()
        if any(kept is None or kept[0] >= begun for kept in self.files.values()):
            return {"stale": True}
        loading.settle()
        return {"memory": state.memory()}


def _run_and_exit(child: Any) -> None:
    code = 1
    try:
        child()
        code = 0
    except BaseException:  # noqa: BLE001 - told where the error output goes, and never in the loop of the parent
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def main() -> None:
    """Serve the socket whose descriptor is the first argument."""
    del sys.path[: 1 if sys.flags.safe_path else 2]  # where this is imported from, and the current folder
    os.environ.pop(ROOM_VARIABLE, None)
    # streams were made for pipes, as those of a script are; the pipes that they write to are dup'ed over in a fork
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(null, stream)
    os.close(null)
    connection = socket.socket(fileno=int(sys.argv[1]))
    connection.set_inheritable(False)
    WarmProcess(connection, float(sys.argv[2])).serve()
    os._exit(0)
