"""The option `uws-server check --files`: compares the files of a server's jobs with its database.

Imports everything below.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import TYPE_CHECKING

from uws_server import config
from uws_server.commands.progress import ProgressBar
from uws_server.errors import NotFound, counted

if TYPE_CHECKING:
    from uws_server.services.integrity import Tally


def run(options: argparse.Namespace) -> int:
    """Print every file that is missing, changed or extra, one a line, and return 1 if there is any."""
    from uws_server.services.integrity import Tally, examine  # here: --help and other commands need not load all of it
    from uws_server.storage.files import JobFiles
    from uws_server.storage.jobstore import JobStore

    settings = config.load(options.config, os.environ, data=options.data)
    if not (settings.folders.data / "jobs").is_dir():
        raise NotFound(f"{settings.folders.data} is no data folder of a server: give --data DIR")
    tally, progress_bar, begun, found = Tally(), ProgressBar(sys.stderr, indent=0), time.monotonic(), 0
    store = JobStore(settings.database_url())
    try:
        for finding in examine(
            store, JobFiles(settings.folders.data), tally, lambda: progress_bar.count(_so_far(tally, begun))
        ):
            progress_bar.done()
            print(finding, flush=True)
            found += 1
    finally:
        progress_bar.done()
        store.close()
    changed = "1 is not as it was" if found == 1 else f"{found:,} are not as they were"
    print(f"{counted(tally.files, 'file')} of {counted(tally.jobs, 'job')}, {tally.bytes / 1e6:,.1f} MB: "
          f"{changed if found else 'all as they were'}")  # fmt: skip
    return 1 if found else 0


def _so_far(tally: Tally, begun: float) -> str:
    rate = tally.bytes / 1e6 / (time.monotonic() - begun)
    return f"{counted(tally.files, 'file')}, {tally.bytes / 1e6:,.0f} MB, {rate:,.0f} MB/s"
