"""The command `uws-server tag`: shows, writes, checks and removes the VO-TAGS of FITS files from anywhere.

Imports the commands' own words and provenance; it needs no server.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from uws_server.commands.options import add_command
from uws_server.errors import counted

if TYPE_CHECKING:
    from provenance.obscore import ObsCoreRow, Value
    from provenance.steps import Arg, Step
    from provenance.votags import Tags

_EPILOG = """\
show FILE...     the ObsCore columns and the steps, as a table; --json: one JSON object a line for each file
write FILE...    adds to what the file has: --derive fills columns from its headers and tables, --set COLUMN=VALUE sets
                 one (COLUMN= takes it away), --steps FILE puts the steps of a JSON list behind those it has
check FILE...    what is wrong, a line for each problem
strip FILE...    takes the VO-TAGS out; every other byte of the file stays

The science HDUs are never written. exit status: 0 all is well, 1 a file is not or could not be changed, 2 the command
line is wrong.
"""
_KINDS = {"InputData": "input", "Parameter": "parameter", "OutputData": "output"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions of the command."""
    parser.description = "The VO-TAGS of FITS files: their ObsCore columns and the steps that made them."
    parser.epilog, parser.formatter_class = _EPILOG, argparse.RawDescriptionHelpFormatter
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    show = add_command(actions, "show", "show the ObsCore columns and the steps")
    show.add_argument("--json", action="store_true", help="one JSON object a line for each file")
    show.set_defaults(run=lambda options: _each(options, _show_json if options.json else _show))
    write = add_command(actions, "write", "add columns and steps to those that a file has")
    write.add_argument("--derive", action="store_true", help="fill columns from the file's own headers and tables")
    write.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="COLUMN=VALUE",
        dest="columns",
        help="set a column; COLUMN= takes it away; may be given again",
    )
    write.add_argument(
        "--steps", metavar="FILE", help="JSON list of steps to put behind those there are; -: standard input"
    )
    write.set_defaults(run=_write)
    check = add_command(actions, "check", "check the VO-TAGS and print every problem")
    check.set_defaults(run=lambda options: _each(options, _check))
    strip = add_command(actions, "strip", "take the VO-TAGS out")
    strip.set_defaults(run=lambda options: _each(options, _strip))
    for action in (show, write, check, strip):
        action.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a FITS file")


def _each(options: argparse.Namespace, use: Callable[[Path], bool]) -> int:
    """Apply an action to each file and return 1 if it failed, or found a problem, for any of them."""
    from provenance.text.errors import ProvenanceError

    status = 0
    for path in options.files:
        try:
            well = use(path)
        except ProvenanceError as error:
            print(f"uws-server: {_plain(_named(path, str(error)))}", file=sys.stderr)
            well = False
        except OSError as error:
            print(f"uws-server: {path}: {error.strerror or error}", file=sys.stderr)
            well = False
        status = status if well else 1
    return status


def _named(path: Path, text: str) -> str:
    """Return the message of an error, with the file it is about in front, once."""
    return text if text.startswith(str(path)) else f"{path}: {text}"


def _read(path: Path) -> Tags | None:
    from provenance import votags

    tags = votags.read(path)
    if tags is None:
        print(f"uws-server: {path}: has no VO-TAGS", file=sys.stderr)
    return tags


def _show_json(path: Path) -> bool:
    from provenance import steps

    tags = _read(path)
    if tags is not None:
        document = {"file": str(path), "obscore": dict(tags.row), **json.loads(steps.dump(tags.steps))}
        print(json.dumps(document), flush=True)
    return tags is not None


def _show(path: Path) -> bool:
    tags = _read(path)
    if tags is None:
        return False
    print(path)
    for line in (*_column_lines(tags.row), *_step_lines(tags.steps)):
        print(f"  {_plain(line)}")
    return True


def _column_lines(row: ObsCoreRow) -> Iterator[str]:
    """Return a line for each column that has a value, with its unit."""
    from provenance.obscore import ALL_COLUMNS

    width = max((len(name) for name in row), default=0)
    for column in ALL_COLUMNS:
        if column.name in row:
            unit = f" {column.unit}" if column.unit and column.unit != "o_unit" else ""
            yield f"{column.name:{width}}  {row[column.name]}{unit}"


def _step_lines(steps: tuple[Step, ...]) -> Iterator[str]:
    """Return the lines of the steps, with their arguments in order."""
    if not steps:
        yield "no steps"
    for number, step in enumerate(steps, start=1):
        about = (str(step.extra.get(key) or "") for key in ("task", "version", "job", "ended"))
        yield f"step {number} of {len(steps)}: {' '.join(part for part in about if part)}".rstrip(": ")
        for arg in step.args:
            kind = _KINDS[type(arg).__name__]
            editable = "" if kind == "output" or arg.editable else " (locked)"
            yield f"  {arg.index:3} {kind:9} {_value(arg)}{editable}"


def _value(arg: Arg) -> str:
    """Return the name of an argument, and its value or file."""
    from provenance.steps import Parameter

    name = str(arg.extra.get("name") or arg.description)
    if isinstance(arg, Parameter):
        unit = f" {arg.extra['unit']}" if arg.extra.get("unit") else ""
        return f"{name} = {arg.value}{unit}"
    paths = arg.path if isinstance(arg.path, str) else ", ".join(arg.path)
    return f"{name}: {arg.location.rstrip('/')}/{paths}" if arg.location else f"{name}: {paths}"


def _check(path: Path) -> bool:
    from provenance import votags

    found = votags.check(path)
    for trouble in found:
        print(_plain(_named(path, trouble)))
    if not found:
        print(f"{path}: well tagged")
    return not found


def _strip(path: Path) -> bool:
    from provenance import votags

    print(f"{path}: {'VO-TAGS taken out' if votags.strip(path) else 'had no VO-TAGS'}")
    return True


def _write(options: argparse.Namespace) -> int:
    from provenance.text.errors import ProvenanceError

    try:
        columns = dict(_column(text) for text in options.columns)
        steps = _steps(options.steps) if options.steps else ()
    except ProvenanceError as error:
        print(f"uws-server: {_plain(str(error))}", file=sys.stderr)
        return 2
    if not (columns or steps or options.derive):
        print("uws-server: nothing to write: give --derive, --set COLUMN=VALUE or --steps FILE", file=sys.stderr)
        return 2
    return _each(options, lambda path: _write_one(path, columns, steps, options.derive))


def _write_one(path: Path, columns: dict[str, Value | None], given: tuple[Step, ...], derive: bool) -> bool:
    """Add columns and steps to the tags of one file."""
    from provenance import obscore, steps, votags
    from provenance.text.errors import TagsError

    try:
        tags = votags.read(path) or votags.Tags(obscore.ObsCoreRow(), ())
    except TagsError as error:
        if votags.EXTNAME not in str(error).removeprefix(str(path)):
            raise
        raise TagsError(f"{error}; `uws-server tag strip` takes out what cannot be read") from error
    row = tags.row.replaced(**columns)
    if derive:
        taken_away = {name: None for name, value in columns.items() if value is None}
        row = obscore.from_file(path, **row).replaced(**taken_away)
    votags.write(path, row, steps.merge(tags.steps, given))
    count = len(steps.merge(tags.steps, given))
    print(f"{path}: {counted(len(row), 'column')}, {counted(count, 'step')} written")
    for trouble in obscore.problems(row):
        print(f"uws-server: {path}: note: {_plain(trouble)}", file=sys.stderr)
    return True


def _column(text: str) -> tuple[str, Value | None]:
    """Return a column and its value, of the column's type, from COLUMN=VALUE. Raise ObsCoreError for any other text."""
    from provenance.obscore import ALL_COLUMNS, ObsCoreRow
    from provenance.text.errors import ObsCoreError

    name, mark, value = (part.strip() for part in text.partition("="))
    if not mark:
        raise ObsCoreError(f"--set {text}: COLUMN=VALUE is expected, such as target_name=M82")
    ObsCoreRow({name: "known?"})
    kind = next(column.type for column in ALL_COLUMNS if column.name == name)
    if not value or kind == "str":
        return name, value or None
    try:
        return name, int(value) if kind == "int" else float(value)
    except ValueError as error:
        expected = "a whole number" if kind == "int" else "a number"
        raise ObsCoreError(f"--set {name}: {value!r} came; {expected} is expected") from error


def _steps(name: str) -> tuple[Step, ...]:
    """Return the steps of a JSON file, or of the standard input. Raise StepsError, with the file, if they cannot be
    read.
    """
    from provenance import steps
    from provenance.text.errors import StepsError
    from provenance.text.jsontext import MAX_BYTES

    try:
        return steps.parse(sys.stdin.buffer.read(MAX_BYTES + 1)) if name == "-" else steps.read(Path(name))
    except (StepsError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise StepsError(f"--steps {name}: {reason}") from error


def _plain(text: str) -> str:
    """Return text of a file from anywhere without the control characters that a terminal would obey."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
