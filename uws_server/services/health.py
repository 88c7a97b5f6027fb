"""Whether a server can do its work now: its database answers, its disk has room, its queue goes round.

Imports execution and storage.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from uws_server.execution.scheduler import Scheduler
from uws_server.storage.counts import Counts
from uws_server.storage.files import JobFiles

LOG = logging.getLogger(__name__)
_PATIENCE_S = 3.0
"""Seconds for which the database is waited for; whoever asks has a patience of his own."""


@dataclass(frozen=True)
class Readiness:
    """What of a server works.

    `cluster` is None where no job was to run on one. While it does not answer, jobs are taken, and wait.
    """

    database: bool
    disk: bool
    scheduler: bool
    cluster: bool | None = None

    @property
    def ready(self) -> bool:
        """Return whether everything works that the server cannot do without."""
        return self.database and self.disk and self.scheduler


class Health:
    """Looks at the parts that a server cannot do without."""

    def __init__(
        self, counts: Counts, files: JobFiles, scheduler: Scheduler, cluster_answers: Callable[[], bool | None]
    ) -> None:
        self._counts, self._files, self._scheduler = counts, files, scheduler
        self._cluster_answers = cluster_answers
        self._lock = threading.Lock()
        self._asking: _Question | None = None

    def readiness(self) -> Readiness:
        """Return what works now; a database that is silent is not waited for longer than some seconds."""
        return Readiness(
            self._database_answers(),
            not self._files.reserve.problem(),
            self._scheduler.beats(),
            self._cluster_answers(),
        )

    def _database_answers(self) -> bool:
        """Ask the database, in a thread of its own; while it is silent all who ask share one question."""
        with self._lock:
            if self._asking is None or self._asking.is_over.is_set():
                self._asking = _Question(self._counts)
            asking = self._asking
        return asking.is_over.wait(_PATIENCE_S) and asking.was_answered


class _Question:
    """One question to the database."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self.is_over = threading.Event()
        self.was_answered = False
        threading.Thread(target=self._ask, name="health", daemon=True).start()

    def _ask(self) -> None:
        try:
            self._counts.require_answer()
            self.was_answered = True
        except Exception as error:  # noqa: BLE001 - whatever it is, the database cannot be used
            LOG.warning("the database does not answer: %s", type(error).__name__)
        finally:
            self.is_over.set()
