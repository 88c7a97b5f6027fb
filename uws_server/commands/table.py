"""The command `uws-server table`: load tables that queries find at /tap, list them, remove them.

What reads tables and the database is imported where it is used: `--help` needs none of it.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from uws_server import config
from uws_server.commands.options import add_command, add_configuration, require_database
from uws_server.commands.progress import ProgressBar
from uws_server.errors import ConfigurationError, counted

if TYPE_CHECKING:
    from uws_server.tap.loading.table import Loader


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions of the command."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    add = add_command(actions, "add", "load a table: VOTable, FITS, CSV or Parquet, with its units and UCDs")
    add.add_argument("file", type=Path, metavar="FILE", help="the table")
    add.add_argument("--schema", required=True, metavar="NAME", help="schema that queries name, such as xmm")
    add.add_argument("--name", default="", metavar="NAME", help="name of the table (default: after the file)")
    add.add_argument("--description", default="", metavar="TEXT", help="what the table holds")
    add.add_argument("--index", action="append", default=[], metavar="COLUMNS", dest="indexes",
                     help="columns to be found by, several with commas between; may be given again")  # fmt: skip
    add.set_defaults(act=_add)
    listed = add_command(actions, "list", "list the tables that were loaded")
    listed.set_defaults(act=_list)
    remove = add_command(actions, "remove", "remove a table that was loaded")
    remove.add_argument("table", metavar="SCHEMA.NAME", help="the table")
    remove.set_defaults(act=_remove)
    for action in (add, listed, remove):
        action.set_defaults(run=_with_tables)
        add_configuration(action)


def _with_tables(options: argparse.Namespace) -> int:
    """Run an action on the tables of a server; its database may be used by running servers meanwhile."""
    from uws_server.storage.jobstore import JobStore
    from uws_server.storage.tap_schema import SchemaStore
    from uws_server.tap.loading.table import Loader

    settings = config.load(options.config, os.environ, data=options.data)
    if options.act is _add:
        if not options.file.is_file():
            raise ConfigurationError(f"{options.file} is no file")
        settings.folders.data.mkdir(parents=True, exist_ok=True)
    else:
        require_database(settings)
    store = JobStore(settings.database_url())
    try:
        return int(options.act(Loader(SchemaStore(store.engine)), options))
    finally:
        store.close()


def _add(loader: Loader, options: argparse.Namespace) -> int:
    from uws_server.tap.loading.table import LoadRequest

    bar = ProgressBar(indent=0)
    request = LoadRequest(
        options.file, options.schema, options.name, options.description, tuple(options.indexes)
    )  # fmt: skip
    table = loader.add(request, lambda rows: bar.count(counted(rows, "row")))
    bar.done()
    indexed = ", ".join(each.column.name for each in table.columns if each.indexed) or "no column"
    rows, columns = counted(table.rows or 0, "row"), counted(len(table.columns), "column")
    print(f"{table.name}: {rows} of {columns}; indexed: {indexed}")
    return 0


def _list(loader: Loader, options: argparse.Namespace) -> int:
    del options
    for row in loader.tables():
        print(f"{row['table_name']:<40} {counted(row['rows'] or 0, 'row'):>17}  {row['description'] or ''}".rstrip())
    return 0


def _remove(loader: Loader, options: argparse.Namespace) -> int:
    loader.remove(options.table)
    print(f"{options.table} is removed")
    return 0
