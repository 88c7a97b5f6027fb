"""The command `uws-server backup`: database and folders of a server together, while it runs. Imports the backups."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from uws_server import config
from uws_server.commands.options import add_configuration
from uws_server.commands.progress import ProgressBar
from uws_server.errors import counted


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        "Servers on the database go on meanwhile. What the last backup in DIR has, and was not changed, becomes a hard "
        "link to it. The backup holds the keys of jobs, and hashes of tokens: keep it as you keep the data folder."
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of backups: this one gets a folder in it")
    add_configuration(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from uws_server.backups import taking  # here: --help needs no database

    settings = config.load(options.config, os.environ, data=options.data)
    bar = ProgressBar(sys.stderr, indent=0)
    try:
        place, made = taking.take(settings.database_url(), settings.folders.data, options.folder, bar.count)
    finally:
        bar.done()
    jobs = counted(made.rows.get("jobs", 0) - len(made.deleted), "job")
    print(f"{place}: {jobs}, {counted(made.files, 'file')}, {made.bytes / 1e6:,.1f} MB")
    if made.lacking:
        lacking = counted(len(made.lacking), "job")
        print(f"{lacking} had lost files before: uws-server check --files names them", file=sys.stderr)
