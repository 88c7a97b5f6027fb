"""Notices that files grow, without a thread for each: their sizes are looked at together, some times a second."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping

EVERY_S = 0.2
"""Seconds between two looks at all files. A look at a file takes some microseconds, in a thread: disks can be slow."""

Grown = Callable[[], None]


class Growth:
    """The files that somebody waits for, and who is called once, in the event loop, when one has another size."""

    def __init__(self) -> None:
        self._watched: dict[Grown, tuple[str, int]] = {}
        self._task: asyncio.Task[None] | None = None

    def watch(self, path: str, size: int, grown: Grown) -> None:
        """Have `grown` called when the file has another size than this; one that is not there has 0 bytes."""
        self._watched[grown] = path, size
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._look())

    def forget(self, grown: Grown) -> None:
        """Watch for this one no more."""
        self._watched.pop(grown, None)

    async def _look(self) -> None:
        """Look at the files for as long as there are any."""
        try:
            while self._watched:
                await asyncio.sleep(EVERY_S)
                looked = dict(self._watched)
                sizes = await asyncio.to_thread(_sizes, {path for path, _ in looked.values()})
                for grown, (path, size) in looked.items():
                    if sizes[path] != size and self._watched.get(grown) == (path, size):
                        del self._watched[grown]
                        grown()
        finally:
            self._task = None


def _sizes(paths: set[str]) -> Mapping[str, int]:
    """Return the sizes of files; 0 for one that is not there."""
    found = dict.fromkeys(paths, 0)
    for path in paths:
        with contextlib.suppress(OSError):
            found[path] = os.stat(path, follow_symlinks=False).st_size  # noqa: PTH116 - a Path for each takes longer
    return found
