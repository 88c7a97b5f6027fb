"""Rows of exposures that were read before, as long as the footprints beside which they were read are the same."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from uws_server.storage.archive_rows import ArchiveRow

MOST: Final = 50_000
"""Rows that are kept, each in about 1 kB with its text: those of an archive of 14,000 observations."""

_MOST_OF_ONE: Final = 5_000
"""Rows of one answer that are kept: that of the whole sky must not drive out those of all others."""


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

    def at_hand(self, keys: Sequence[int]) -> Mapping[int, ArchiveRow] | None:
        """Return the rows of some keys without waiting for anything. Return None if one has to be read."""
        found = {key: row for key in keys if (row := self._rows.get(key)) is not None}
        return found if len(found) == len(keys) else None
