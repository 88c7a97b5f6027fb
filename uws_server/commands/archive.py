"""The command `uws-server archive`: index the files of the archive, list its exposures, find those that see a region.

What reads files and the database is imported where it is used: `--help` needs none of it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uws_server import config
from uws_server.commands.options import add_command, add_configuration, require_database
from uws_server.commands.progress import ProgressBar
from uws_server.errors import ConfigurationError, counted

if TYPE_CHECKING:
    from uws_server.services.archive_index import ArchiveIndex, Report
    from uws_server.storage.archive_rows import ArchiveRows

_NOTES_SHOWN = 20
_NOT_INDEXED = "nothing of the archive is indexed yet: run `uws-server archive add` first"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions of the command."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    add = add_command(actions, "add", "index a folder of the archive; again after files came, changed or went")
    add.add_argument("folder", nargs="?", type=Path, metavar="FOLDER", help="a folder in the archive (default: all)")
    add.add_argument("--processes", type=int, metavar="N", help="files read at a time (default: as many as processors)")
    add.set_defaults(act=_add)
    table = add_command(
        actions, "import", "take in a table of observations whose files are elsewhere: CSV, VOTable, FITS"
    )
    table.add_argument("table", type=Path, metavar="TABLE", help="a file with obs_id, ra, dec and what else is known")
    table.add_argument("--columns", default="", metavar="NAMES",
                       help="names of its columns with commas, if its first line holds none")  # fmt: skip
    table.add_argument("--number-rows", action="store_true", help="take the number of a row where no id is known")
    table.add_argument("--telescope", default="XMM", metavar="NAME", help="where the table names none (default XMM)")
    table.add_argument("--ra-unit", choices=("deg", "h"), help="of right ascensions without a unit")
    table.add_argument("--replace", action="store_true",
                       help="forget the exposures of tables taken in before that are not in this one")  # fmt: skip
    table.set_defaults(act=_import)
    listed = add_command(actions, "list", "list the exposures of the archive")
    listed.set_defaults(act=_list)
    find = add_command(actions, "find", "list the exposures that see a part of a region")
    notations = 'DS9 (icrs; circle(83.63, 22.01, 40")), STC-S (Circle ICRS 83.63 22.01 0.1) or JSON'
    find.add_argument("region", metavar="REGION", help=notations)
    find.set_defaults(act=_find)
    for action in (add, table, listed, find):
        action.add_argument("--archive", type=Path, metavar="DIR", help="folder of event lists that jobs may name")
        action.set_defaults(run=_with_archive)
        add_configuration(action)


def _with_archive(options: argparse.Namespace) -> int:
    """Run an action on the archive of a server; its database may be used by running servers meanwhile."""
    from uws_server.services.archive_index import ArchiveIndex
    from uws_server.storage.archive_rows import ArchiveRows
    from uws_server.storage.jobstore import JobStore

    settings = config.load(options.config, os.environ, data=options.data, archive=options.archive)
    folder = settings.folders.archive
    if folder is None:
        raise ConfigurationError("this server has no archive: give --archive DIR, or the key archive of --config FILE")
    if not folder.is_dir():
        raise ConfigurationError(f"archive: {folder} is no folder")
    if options.act in (_add, _import):
        settings.folders.data.mkdir(parents=True, exist_ok=True)
    else:
        require_database(settings)
    store = JobStore(settings.database_url())
    try:
        rows = ArchiveRows(store.engine)
        return int(options.act(ArchiveIndex(rows, folder, settings.folders.data), rows, options))
    finally:
        store.close()


def _add(index: ArchiveIndex, rows: ArchiveRows, options: argparse.Namespace) -> int:
    from uws_server.services.archive_index import processors

    processes = options.processes if options.processes is not None else processors()
    if processes < 1:
        raise ConfigurationError(f"--processes: {processes} came; a number from 1 is allowed")
    bar = ProgressBar(indent=0)

    def show(done: int, total: int, source: str) -> None:
        bar.show(done + 1, total, source.rpartition("/")[2])

    folder = options.folder or index.folder
    report = index.update(folder, show if bar.live else lambda *_: None, processes)
    bar.done()
    _tell(report, rows)
    return 0


def _import(index: ArchiveIndex, rows: ArchiveRows, options: argparse.Namespace) -> int:
    from uws_server.services.archive_index import read_observations

    if not options.table.is_file():
        raise ConfigurationError(f"{options.table} is no file")
    columns = tuple(name.strip() for name in options.columns.split(",")) if options.columns else ()
    in_hours = None if options.ra_unit is None else options.ra_unit == "h"
    table = read_observations(options.table, columns, options.number_rows, options.telescope, in_hours)
    bar = ProgressBar(indent=0)
    report = index.import_table(table, bar.show if bar.live else lambda *_: None)
    bar.done()
    lines = counted(table.rows, "row")
    print(f"{counted(report.found, 'exposure')} of {lines}: {report.added} new, {report.changed} changed; "
          f"{counted(table.left_out, 'row')} left out")  # fmt: skip
    count = len(report.others)
    before = f"{counted(count, 'exposure')} of tables taken in before {'is' if count == 1 else 'are'}"
    if report.others and options.replace:
        index.forget(report.others)
        print(f"{before} forgotten: not in this one")
    elif report.others:
        print(f"{before} not in this one, and kept: --replace forgets what is not")
    _tell_notes(report)
    _tell_counts(rows)
    return 0


def _tell(report: Report, rows: ArchiveRows) -> None:
    print(f"{counted(report.found, 'file')}: {report.added} new, {report.changed} changed, {report.removed} gone")
    _tell_notes(report)
    _tell_counts(rows)


def _tell_notes(report: Report) -> None:
    for source, note in list(report.notes.items())[:_NOTES_SHOWN]:
        print(f"  {source}: {note}", file=sys.stderr)
    if len(report.notes) > _NOTES_SHOWN:
        print(f"  and {len(report.notes) - _NOTES_SHOWN} more", file=sys.stderr)


def _tell_counts(rows: ArchiveRows) -> None:
    counts = rows.counts()
    known = [counted(counts.get("events", 0), "event list"), counted(counts.get("product", 0), "other product")]
    if elsewhere := counts.get("observation", 0):
        known.append(f"{counted(elsewhere, 'exposure')} whose files are not here")
    print(f"the archive has {', '.join(known[:-1])} and {known[-1]}")


def _list(_: ArchiveIndex, rows: ArchiveRows, options: argparse.Namespace) -> int:
    if not rows.counts():
        print(_NOT_INDEXED, file=sys.stderr)
        return 0
    print(f"{_HEAD}file")
    for kind in ("events", "observation"):
        last = 0
        while page := rows.page(kind, last):
            _print(("", row) for row in page)
            last = page[-1]["key"]
    return 0


def _find(index: ArchiveIndex, rows: ArchiveRows, options: argparse.Namespace) -> int:
    from reduction import regions
    from uws_server.services.search_region import search_region

    found = index.seeing(search_region(regions.parse(options.region, "REGION")).cells)
    if not found:
        print("no exposure of the archive sees this region" if rows.counts() else _NOT_INDEXED, file=sys.stderr)
        return 0
    print(f"{_HEAD}{'of region':>10} {'of field':>9}  file")
    _print((f"{seen.of_region:>10.1%} {seen.of_footprint:>9.1%}  ", row) for seen, row in found)
    return 0


_COLUMNS = "{:<12} {:<7} {:<6} {:<8} {:<24} {:>10} {:>10} {:>9}  "
_HEAD = _COLUMNS.format("observation", "camera", "exp.", "filter", "mode", "RA", "Dec", "live s")


def _print(rows: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    for shares, row in rows:
        texts = [row[name] for name in ("obs_id", "instrument", "exposure", "filter", "mode")]
        numbers = [_number(row["ra"], ".5f"), _number(row["dec"], "+.5f"), _number(row["exposure_s"], ".0f")]
        print(f"{_COLUMNS.format(*texts, *numbers)}{shares}{_file(row)}")


def _file(row: Mapping[str, Any]) -> str:
    return "(not here)" if row["kind"] == "observation" else str(row["source"])


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"
