"""Rows of exposures that were read before, as long as the footprints beside which they were read are the same.

Those that nobody asked for yet are read ahead, once a first search came.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from uws_server.storage.archive_rows import ArchiveRow

LOG = logging.getLogger(__name__)
MOST: Final = 50_000
"""Rows that are kept, each in about 1 kB with its text: those of an archive of 14,000 observations."""

_MOST_OF_ONE: Final = 5_000
"""Rows of one answer that are kept: that of the whole sky must not drive out those of all others."""

_AHEAD: Final = 100
"""Rows that are read ahead at a time, in 2 ms: a search that comes meanwhile waits for no more."""
_PAUSE_S: Final = 0.02
_PAUSES: Final = 4
"""Between two such parts: seconds at least, and times that the last one took, so that searches have four fifths."""


class KeptRows:
    """Rows by their keys; the first that came goes first."""

    def __init__(self, read: Callable[[Sequence[int]], Sequence[ArchiveRow]], most: int = MOST) -> None:
        self._read, self._most = read, most
        self._rows: dict[int, ArchiveRow] = {}
        self._lock = threading.Lock()

    def of_keys(self, keys: Sequence[int]) -> Mapping[int, ArchiveRow]:
        """Return the rows of some keys; there is none of a key that is gone."""
        found = {key: row for key in keys if (row := self._rows.get(key)) is not None}
        absent = [key for key in keys if key not in found]
        if not absent:
            return found
        new = {row["key"]: row for row in self._read(absent)}
        if len(absent) <= _MOST_OF_ONE:
            with self._lock:
                self._rows |= new
                while len(self._rows) > self._most:
                    del self._rows[next(iter(self._rows))]
        return found | new

    def keep_further(self, keys: Sequence[int]) -> bool:
        """Read those rows that are absent, as far as there is room; none that was asked for goes for them.

        Return False if there is no room left.
        """
        absent = [key for key in keys if key not in self._rows][: max(0, self._most - len(self._rows))]
        new = {row["key"]: row for row in self._read(absent)} if absent else {}
        with self._lock:
            for key, row in new.items():
                if len(self._rows) < self._most:
                    self._rows.setdefault(key, row)
            return len(self._rows) < self._most

    def at_hand(self, keys: Sequence[int]) -> Mapping[int, ArchiveRow] | None:
        """Return the rows of some keys without waiting for anything. Return None if one has to be read."""
        found = {key: row for key in keys if (row := self._rows.get(key)) is not None}
        return found if len(found) == len(keys) else None


class RowsAhead:
    """Reads rows of an index before somebody asks for them, in a thread of its own, from when it is begun."""

    def __init__(self, rows: KeptRows, keys: Sequence[int]) -> None:
        self._rows, self._keys = rows, keys
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Begin to read, unless that was begun before."""
        with self._lock:
            if self._thread is None and not self._stopped.is_set():
                self._thread = threading.Thread(target=self._read, name="rows ahead", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Read no more than what is being read."""
        self._stopped.set()

    def join(self) -> None:
        """Wait until nothing is read any more."""
        if self._thread is not None:
            self._thread.join()

    def _read(self) -> None:
        try:
            pause_s = _PAUSE_S
            for first in range(0, len(self._keys), _AHEAD):
                if self._stopped.wait(pause_s):
                    return
                begun = time.monotonic()
                if not self._rows.keep_further(self._keys[first : first + _AHEAD]):
                    return
                pause_s = max(_PAUSE_S, _PAUSES * (time.monotonic() - begun))
        except Exception as error:  # noqa: BLE001 - searches read what is missing, and tell what is wrong
            LOG.info("the rows of the archive are not read ahead: %s", error)
