"""The command `uws-server db`: the version of a server's database, and its upgrade. Imports the migrations."""

from __future__ import annotations

import argparse
import os

from uws_server import config
from uws_server.commands.options import add_command, add_configuration


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions of the command."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    upgrade = add_command(actions, "upgrade", "upgrade the tables to this version")
    upgrade.set_defaults(run=_upgrade)
    version = add_command(actions, "version", "show the version of the tables")
    version.set_defaults(run=_version)
    for action in (upgrade, version):
        add_configuration(action)


def _upgrade(options: argparse.Namespace) -> None:
    from uws_server.storage import migrate  # here: --help needs no database

    settings = config.load(options.config, os.environ, data=options.data)
    settings.folders.data.mkdir(parents=True, exist_ok=True)
    migrate.upgrade(settings.database_url())
    print(f"the database is at version {migrate.current(settings.database_url())}")


def _version(options: argparse.Namespace) -> None:
    from uws_server.storage import migrate  # here: --help needs no database

    settings = config.load(options.config, os.environ, data=options.data)
    print(migrate.current(settings.database_url()) or "none: there are no tables yet")
