"""The command `uws-server`. Loads the module of the command that is named, and of no other: `--help` needs none."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from reduction.errors import ReductionError
from uws_server.commands.options import add_command
from uws_server.errors import ClientError, ServerError
from uws_server.version import VERSION

COMMANDS = {
    "serve": ("serve", "serve jobs until Ctrl-C"),
    "bench": ("bench", "simulate an observation many times, reduce each, and hold the results against the truth"),
    "demo": ("demo", "simulate an observation, and make spectra, images and light curves of it"),
    "simulate": ("simulate", "write the event lists of a small XMM observation, and its truth"),
    "run": ("run", "run a job on a UWS server and fetch its results"),
    "rerun": ("rerun", "make a product again from its FITS file, with changes"),
    "check": ("check", "check job definitions, and run each with its test values"),
    "tag": ("tag", "show, write, check or take out the VO-TAGS of FITS files"),
    "accounts": ("accounts", "make, list, change, disable and remove accounts"),
    "jobs": ("jobs", "list, abort and hold jobs; drain the queue before an upgrade"),
    "archive": ("archive", "index the files of the archive, list them, find those that see a region"),
    "table": ("table", "load tables that queries find at /tap, list them, remove them"),
    "backup": ("backup", "back up database and folders of a server together, while it runs"),
    "restore": ("restore", "make a server of a backup"),
    "db": ("database", "show the version of the database, or upgrade it"),
}
"""Each command with its module in `uws_server.commands`, whose `configure` adds its arguments, and its sentence."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    options = _parse(_parser(_named(words)), words)
    try:
        return int(options.run(options) or 0)
    except (ServerError, ClientError, ReductionError) as error:
        print(f"uws-server: {error}", file=sys.stderr)
        return 2
    except (PermissionError, NotADirectoryError, FileExistsError) as error:  # a folder that cannot be used
        print(f"uws-server: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _named(words: Sequence[str]) -> str:
    """Return the command among the words of the command line: the first that is no option; '' if there is none."""
    return next((word for word in words if not word.startswith("-")), "")


def _parse(parser: argparse.ArgumentParser, words: Sequence[str]) -> argparse.Namespace:
    """Return the options; words after an option join the list in which the command keeps its last words."""
    options, rest = parser.parse_known_args(words)
    last = getattr(options, "last_words", "")
    if rest and (not last or any(word.startswith("-") for word in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        getattr(options, last).extend(rest)
    return options


def _parser(named: str) -> argparse.ArgumentParser:
    """Return the parser of the command line, with the arguments of the command that is named in it."""
    parser = argparse.ArgumentParser(
        prog="uws-server",
        description="A UWS 1.1 job server for X-ray photon lists.",
        epilog="uws-server COMMAND --help describes a command.",
    )
    parser.add_argument("--version", action="version", version=f"uws-server {VERSION}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (module, sentence) in COMMANDS.items():
        command = add_command(commands, name, sentence)
        if name == named:
            importlib.import_module(f"uws_server.commands.{module}").configure(command)
    return parser
