"""The command `uws-server restore`: makes a server of a backup. Imports the backups."""

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
        "The data folder and the database are those of the configuration, which must be empty; they need not be of the "
        "kind, nor at the place, of the server that was backed up. The whole backup is checked first."
    )
    parser.add_argument("backup", type=Path, metavar="DIR", help="a backup, or a folder of backups: the newest of them")
    add_configuration(parser, "new folder of the server")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from uws_server.backups import restoring  # here: --help needs no database

    settings = config.load(options.config, os.environ, data=options.data)
    backup = restoring.chosen(options.backup)
    bar = ProgressBar(sys.stderr, indent=0)
    try:
        made = restoring.restore(backup, settings.database_url(), settings.folders.data, bar.count)
    finally:
        bar.done()
    jobs = counted(made.rows.get("jobs", 0) - len(made.deleted), "job")
    print(f"{settings.folders.data}: {jobs}, {counted(made.files, 'file')}, as they were at {made.made[:19]}Z")
