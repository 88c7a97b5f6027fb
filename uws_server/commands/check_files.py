"""What `uws-server check --files` does: holds the files of a server's jobs against its database.

Imports everything below.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import TYPE_CHECKING

from uws_server import config
from uws_server.errors import NotFound

if TYPE_CHECKING:
    from uws_server.integrity import Tally

_EVERY_S = 0.2


def run(options: argparse.Namespace) -> int:
    """Tell of every file that is missing, changed or extra, a line each; 1 where there is one."""
    from uws_server.integrity import Tally, examine  # here: --help and other commands need not load all of it
    from uws_server.storage.files import JobFiles
    from uws_server.storage.jobstore import JobStore

    settings = config.load(options.config, os.environ, data=options.data)
    if not (settings.data / "jobs").is_dir():
        raise NotFound(f"{settings.data} is no data folder of a server: give --data DIR")
    tally, progress, found = Tally(), _Progress(), 0
    store = JobStore(settings.database_url())
    try:
        for finding in examine(store, JobFiles(settings.data), tally, lambda: progress.show(tally)):
            progress.clear()
            print(finding, flush=True)
            found += 1
    finally:
        progress.clear()
        store.close()
    print(f"{tally.files:,} files of {tally.jobs:,} jobs, {tally.bytes / 1e6:,.1f} MB: "
          f"{f'{found:,} are not as they were' if found else 'all as they were'}")  # fmt: skip
    return 1 if found else 0


class _Progress:
    """How far it is, on a terminal only."""

    def __init__(self) -> None:
        self._begun = self._last = time.monotonic()
        self._live = sys.stderr.isatty()

    def show(self, tally: Tally) -> None:
        """Draw the line anew, not too often."""
        now = time.monotonic()
        if not self._live or now - self._last < _EVERY_S:
            return
        self._last = now
        rate = tally.bytes / 1e6 / (now - self._begun)
        line = f"{tally.files:,} files, {tally.bytes / 1e6:,.0f} MB, {rate:,.0f} MB/s"
        print(f"\r{line:<72}", end="", flush=True, file=sys.stderr)

    def clear(self) -> None:
        """Take the line away."""
        if self._live:
            print(f"\r{'':72}\r", end="", flush=True, file=sys.stderr)
