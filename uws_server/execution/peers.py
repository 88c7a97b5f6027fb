"""Registers this server process among those on one database, and finds those that have ended. Imports storage.

Of a process on the same boot of the same machine, in the same pid namespace, the system knows whether it runs; of any
other the database has the time of its last heartbeat.
"""

from __future__ import annotations

import logging
import os
import select
from pathlib import Path

from uws_server.execution import processes
from uws_server.storage.outages import first_line
from uws_server.storage.servers import Server, ServerStore

LOG = logging.getLogger(__name__)

BEAT_S = 5.0
"""Seconds between the heartbeats of a server, when it also checks the others."""

_SILENT_S = 30.0
"""Seconds without a heartbeat after which a server that cannot be seen counts as ended."""


class Peers:
    """The server processes on a database, as this one sees them."""

    def __init__(self, store: ServerStore, server_id: str, places: int) -> None:
        self._store = store
        pid, host = os.getpid(), os.uname().nodename
        self._me = Server(server_id, host, _pid_namespace(), pid, processes.start_time(pid), places)

    def join(self) -> None:
        """Register this process."""
        self._store.add(self._me)

    def leave(self) -> None:
        """Remove this process: it runs no more jobs."""
        try:
            self._store.remove(self._me.id, self._me.id)
        except Exception as error:  # noqa: BLE001 - whatever it is, the server ends
            LOG.warning("this server is not removed, the others will find that it ended: %s", first_line(error))

    def beat(self) -> set[str]:
        """Record a heartbeat of this process and remove those that have ended. Return the ids of the running ones."""
        self._store.beat(self._me)
        running = {self._me.id}
        for server, silent_s in self._store.all():
            if self._is_running(server, silent_s):
                running.add(server.id)
            else:
                self._store.remove(server.id, self._me.id)
        return running

    def _is_running(self, server: Server, silent_s: float) -> bool:
        if server.place == self._me.place:
            return runs(server.pid, server.start)
        return silent_s < _SILENT_S


def runs(pid: int, start: str) -> bool:
    """Return whether the process with that pid and start time runs; a zombie does not."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError as error:
        if error.errno in processes.NO_PROCESS:
            return False
        raise  # such as no descriptor left: it may be running
    try:
        # compared after the descriptor was opened: from then on the pid cannot pass to another process unseen
        ended = select.poll()  # select() takes no descriptor above 1,023, which there are with many clients
        ended.register(descriptor, select.POLLIN)
        return processes.start_time(pid) == start and not ended.poll(0)
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _pid_namespace() -> str:
    """The name of the pid namespace of this process, different on each boot."""
    return f"{processes.boot_id()} {Path('/proc/self/ns/pid').readlink()}"
