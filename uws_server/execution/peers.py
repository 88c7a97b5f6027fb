"""The server processes on one database: makes this one known, says which of them live. Imports storage.

Where a process can be seen (same boot of the same machine, same space of pids) the system says at once whether it
lives; of any other the database knows when it was last heard of.
"""

from __future__ import annotations

import errno
import logging
import os
import select
from pathlib import Path

from uws_server.execution import supervisor
from uws_server.storage.servers import Server, ServerStore

LOG = logging.getLogger(__name__)

BEAT_S = 5.0
"""How often a server says that it lives, and looks after the others."""

_SILENT_S = 30.0
"""After this a server that cannot be seen from here is taken for dead."""


class Peers:
    """All server processes on a database, from the view of this one."""

    def __init__(self, store: ServerStore, server_id: str) -> None:
        self._store = store
        self._me = Server(server_id, os.uname().nodename, _place(), os.getpid(), supervisor.start_time(os.getpid()))

    def join(self) -> None:
        """Make this process known."""
        self._store.add(self._me)

    def leave(self) -> None:
        """Say that this process runs no more jobs."""
        try:
            self._store.remove(self._me.id, self._me.id)
        except Exception:
            LOG.exception("the other servers find out by themselves that this one ended")

    def beat(self) -> set[str]:
        """Say that this process lives, and forget the dead; returns the ids of those that live."""
        self._store.beat(self._me)
        living = {self._me.id}
        for server, silent_s in self._store.all():
            if self._lives(server, silent_s):
                living.add(server.id)
            else:
                self._store.remove(server.id, self._me.id)
        return living

    def _lives(self, server: Server, silent_s: float) -> bool:
        if server.place == self._me.place:
            return runs(server.pid, server.start)
        return silent_s < _SILENT_S


def runs(pid: int, start: str) -> bool:
    """Whether the process with that pid and start time has not ended; one that nobody buried yet has."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError as error:
        if error.errno in (errno.ESRCH, errno.EINVAL):  # no such process, no such pid
            return False
        raise  # no descriptor left, say: it may be alive
    try:
        # asked after the descriptor was opened: from then on the pid cannot pass to another process unseen
        ended = select.poll()  # select() takes no descriptor from 1,024 on: with many clients there are such
        ended.register(descriptor, select.POLLIN)
        return supervisor.start_time(pid) == start and not ended.poll(0)
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _place() -> str:
    """Names the space of pids that this process lives in."""
    return f"{supervisor.boot_id()} {Path('/proc/self/ns/pid').readlink()}"
